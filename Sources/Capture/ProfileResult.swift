import CheckedNumbers
import Diagnosis
import JSONText
import Reporting
import TimeBase
import Trace
import TraceFormats

/// A recorded command, as it is printed.
package struct ProfileResult {
  package let command: [String]
  package let outcome: RecordedCommand.Outcome
  /// nil where OS calls were not recorded.
  package var capture: OSCallCapture?
  /// Recorded processes that outlived the command.
  package var leftRunning = 0
  /// nil where CUDA was not recorded.
  package var cuda: CUDACapture?
  /// nil where counters were not recorded.
  package var metrics: MetricsResult?
  /// The library that had CUDA_INJECTION64_PATH before us; nothing of CUDA was recorded then.
  package var cudaHolder: String?
  /// What recording costs; nil where it was not measured.
  package var cost: RecordingCost?
  /// Processes that use CUDA and were not recorded.
  package var unrecorded: [UnrecordedProcesses.Process] = []

  package init(command: [String], outcome: RecordedCommand.Outcome) {
    self.command = command
    self.outcome = outcome
  }

  /// Everything in one.
  package var trace: Trace {
    var trace = cuda?.trace ?? capture?.trace ?? Trace()
    metrics?.add(to: &trace, ordinals: cuda?.ordinals ?? [:])
    for entry in cost?.costs ?? [] {
      trace.run["cudaCostNanoseconds." + entry.mode.rawValue] = String(Int64(saturating: entry.added.rounded()))
      if let each = entry.addedPerLaunch {
        trace.run["cudaCostPerLaunchNanoseconds." + entry.mode.rawValue] = String(Int64(saturating: each.rounded()))
      }
    }
    return trace
  }

  private var recordedSeconds: Double { outcome.armed.map { (outcome.recordingEnded - $0).seconds } ?? 0 }
  private var thresholdNanoseconds: Double { Double(capture?.trace.run["thresholdNanoseconds"] ?? "") ?? 0 }

  package func lines(files: [String]) -> [String] {
    var lines: [String] = []
    if cuda != nil || cudaHolder != nil { lines += cudaLines }
    if let metrics { lines += metrics.lines }
    if let capture { lines += osLines(capture) }
    if outcome.armed == nil { lines.append("  the recording never began: COMMAND ended before --delay was over or the signal came") }
    lines.append("  written: " + files.joined(separator: ", "))
    return lines
  }

  private func osLines(_ capture: OSCallCapture) -> [String] {
    let summary = Summary(.osRuntime, of: capture.trace)
    var lines = [
      "",
      "\(summary.report.title(on: .processor)), as `nsys stats --report osrt_sum`: \(Self.plural(capture.processes, "process", "processes")), "
        + "\(Self.plural(capture.threads, "thread", "threads")), recorded for \(NumberText.time(nanoseconds: recordedSeconds * 1e9))",
      "",
    ]
    if summary.rows.isEmpty {
      lines.append("  no call of \(NumberText.time(nanoseconds: thresholdNanoseconds)) or more")
    } else {
      lines += Self.table(summary, limit: summary.rows.count)
    }
    lines.append("")
    lines += remarks(capture).map { "  " + $0 }
    return lines
  }

  /// The longest rows of a summary, with the columns of `nsys stats`.
  static func table(_ summary: Summary, limit: Int) -> [String] {
    func time(_ nanoseconds: Double) -> String { NumberText.time(nanoseconds: nanoseconds) }
    let heads = ["Time (%)", "Total Time", "Num Calls", "Avg", "Med", "Min", "Max", "StdDev"]
    var table = TextTable(heads.map { TextTable.Column($0) } + [TextTable.Column("Name", .left)])
    for row in summary.rows.prefix(limit) {
      table.add([
        NumberText.fixed(row.share * 100, decimals: 1) + " %", time(Double(row.totalNanoseconds)), NumberText.grouped(row.count),
        time(row.averageNanoseconds), time(row.medianNanoseconds), time(Double(row.minimumNanoseconds)),
        time(Double(row.maximumNanoseconds)), time(row.deviationNanoseconds), row.name,
      ])
    }
    let more = summary.rows.count - limit
    return table.lines.map { "  " + $0 }
      + (more > 0 ? ["  ... \(more) more: headroom explain FILE --report \(summary.report.rawValue)"] : [])
  }

  /// What the table does not show.
  private func remarks(_ capture: OSCallCapture) -> [String] {
    var remarks: [String] = []
    func add(_ tallies: [OSCallCapture.NamedTally], _ count: Int64, _ text: String) {
      if count == 0 { return }
      let named = tallies.prefix(4).map { "\($0.name) \(NumberText.grouped($0.calls))" }.joined(separator: ", ")
      let total = tallies.reduce(0.0) { $0 + Double($1.nanoseconds) }
      remarks.append(
        "\(text): \(NumberText.grouped(count)) calls, \(NumberText.time(nanoseconds: total)) (\(named)\(tallies.count > 4 ? ", ..." : ""))")
    }
    add(capture.below, capture.belowCalls, "shorter than \(NumberText.time(nanoseconds: thresholdNanoseconds)), counted alone")
    add(capture.dropped, capture.droppedCalls, "DROPPED for want of room (--os-limit-megabytes)")
    add(capture.cut, capture.cutCalls, "cut off by the end of the recording, in the table up to there")
    if leftRunning > 0 {
      remarks.append("\(Self.plural(leftRunning, "process", "processes")) outlived the command, recorded up to its end")
    }
    for program in capture.unseen {
      remarks.append(
        "NOT SEEN: \(program.path) (process \(program.process)): static, another processor's, or with rights of its own (set-id, capabilities)"
      )
    }
    for damage in capture.damage { remarks.append("NOT READ: \(damage)") }
    for blindSpot in OSCallCapture.blindSpots { remarks.append("never seen: \(blindSpot)") }
    return remarks
  }

  package func json(version: String, files: [String]) -> JSONValue {
    func list(_ tallies: [OSCallCapture.NamedTally]) -> JSONValue {
      .array(
        tallies.map { ["name": .string($0.name), "calls": JSONValue($0.calls), "totalNanoseconds": JSONValue($0.nanoseconds)] })
    }
    var signal: Int32?
    if case .killed(let number) = outcome.ending { signal = number }
    func os(_ value: (OSCallCapture) -> JSONValue) -> JSONValue { capture.map(value) ?? .null }
    return [
      "schema": "headroom.profile/1", "headroom": .string(version), "mode": "measured",
      "command": .array(command.map { .string($0) }), "exitCode": JSONValue(outcome.exitStatus),
      "signal": signal.map { JSONValue($0) } ?? .null,
      "process": JSONValue(outcome.process), "startedNanoseconds": JSONValue(outcome.started.nanoseconds),
      "wallSeconds": JSONValue((outcome.ended - outcome.started).seconds), "recordedSeconds": JSONValue(recordedSeconds),
      "endedByDuration": .bool(outcome.wasEnded), "thresholdNanoseconds": os { _ in JSONValue(thresholdNanoseconds) },
      "processes": os { JSONValue($0.processes) }, "processImages": os { JSONValue($0.images) }, "threads": os { JSONValue($0.threads) },
      "processesLeftRunning": os { _ in JSONValue(leftRunning) }, "recordedCalls": os { JSONValue($0.recordedCalls) },
      "belowThresholdCalls": os { JSONValue($0.belowCalls) }, "droppedCalls": os { JSONValue($0.droppedCalls) },
      "cutOffCalls": os { JSONValue($0.cutCalls) },
      "osRuntime": os { .array(Summary(.osRuntime, of: $0.trace).rows.map { $0.json }) }, "belowThreshold": os { list($0.below) },
      "dropped": os { list($0.dropped) }, "cutOff": os { list($0.cut) },
      "notSeen": os { .array($0.unseen.map { ["process": JSONValue($0.process), "path": .string($0.path)] }) },
      "notRead": os { .array($0.damage.map { .string($0) }) },
      "neverSeen": os { _ in .array(OSCallCapture.blindSpots.map { .string($0) }) }, "cuda": cudaJSON,
      "metrics": metrics?.json ?? .null,
      "files": .array(files.map { .string($0) }),
    ]
  }

  static func plural(_ count: Int, _ one: String, _ many: String) -> String { "\(NumberText.grouped(count)) \(count == 1 ? one : many)" }
}
