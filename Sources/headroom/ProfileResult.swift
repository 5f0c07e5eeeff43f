import Capture
import Diagnosis
import Experiments
import JSONText
import Reporting
import TimeBase
import TraceFormats

/// A recorded command, as it is printed.
struct ProfileResult {
  let command: [String]
  let outcome: RecordedCommand.Outcome
  let capture: OSCallCapture
  /// Recorded processes that outlived the command.
  let leftRunning: Int

  private var summary: Summary { Summary(.osRuntime, of: capture.trace) }
  private var recordedSeconds: Double { (outcome.recordingEnded - outcome.started).seconds }
  private var thresholdNanoseconds: Double { Double(capture.trace.run["thresholdNanoseconds"] ?? "") ?? 0 }

  func lines(files: [String]) -> [String] {
    func time(_ nanoseconds: Double) -> String { NumberText.time(nanoseconds: nanoseconds) }
    let summary = summary
    var lines = [
      "",
      "\(summary.report.title(on: .processor)), as `nsys stats --report osrt_sum`: \(plural(capture.processes, "process", "processes")), "
        + "\(plural(capture.threads, "thread", "threads")), recorded for \(time(recordedSeconds * 1e9))",
      "",
    ]
    if summary.rows.isEmpty {
      lines.append("  no call of \(time(thresholdNanoseconds)) or more")
    } else {
      let heads = ["Time (%)", "Total Time", "Num Calls", "Avg", "Med", "Min", "Max", "StdDev"]
      var table = TextTable(heads.map { TextTable.Column($0) } + [TextTable.Column("Name", .left)])
      for row in summary.rows {
        table.add([
          NumberText.fixed(row.share * 100, decimals: 1) + " %", time(Double(row.totalNanoseconds)), NumberText.grouped(row.count),
          time(row.averageNanoseconds), time(row.medianNanoseconds), time(Double(row.minimumNanoseconds)),
          time(Double(row.maximumNanoseconds)), time(row.deviationNanoseconds), row.name,
        ])
      }
      lines += table.lines.map { "  " + $0 }
    }
    lines.append("")
    lines += remarks.map { "  " + $0 }
    lines.append("  written: " + files.joined(separator: ", "))
    return lines
  }

  /// What the table does not show.
  private var remarks: [String] {
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
    if leftRunning > 0 { remarks.append("\(plural(leftRunning, "process", "processes")) outlived the command, recorded up to its end") }
    for program in capture.unseen {
      remarks.append(
        "NOT SEEN: \(program.path) (process \(program.process)): static, another processor's, or with rights of its own (set-id, capabilities)"
      )
    }
    for damage in capture.damage { remarks.append("NOT READ: \(damage)") }
    for blindSpot in OSCallCapture.blindSpots { remarks.append("never seen: \(blindSpot)") }
    return remarks
  }

  func json(version: String, status: Int32, files: [String]) -> JSONValue {
    func list(_ tallies: [OSCallCapture.NamedTally]) -> JSONValue {
      .array(
        tallies.map { ["name": .string($0.name), "calls": JSONValue($0.calls), "totalNanoseconds": JSONValue($0.nanoseconds)] })
    }
    var signal: Int32?
    if case .killed(let number) = outcome.ending { signal = number }
    return [
      "schema": "headroom.profile/1", "headroom": .string(version), "mode": "measured",
      "command": .array(command.map { .string($0) }), "exitCode": JSONValue(status), "signal": signal.map { JSONValue($0) } ?? .null,
      "process": JSONValue(outcome.process), "startedNanoseconds": JSONValue(outcome.started.nanoseconds),
      "wallSeconds": JSONValue((outcome.ended - outcome.started).seconds), "recordedSeconds": JSONValue(recordedSeconds),
      "endedByDuration": .bool(outcome.wasEnded), "thresholdNanoseconds": JSONValue(thresholdNanoseconds),
      "processes": JSONValue(capture.processes), "processImages": JSONValue(capture.images), "threads": JSONValue(capture.threads),
      "processesLeftRunning": JSONValue(leftRunning), "recordedCalls": JSONValue(capture.recordedCalls),
      "belowThresholdCalls": JSONValue(capture.belowCalls), "droppedCalls": JSONValue(capture.droppedCalls),
      "cutOffCalls": JSONValue(capture.cutCalls), "osRuntime": .array(summary.rows.map { $0.json }), "belowThreshold": list(capture.below),
      "dropped": list(capture.dropped), "cutOff": list(capture.cut),
      "notSeen": .array(capture.unseen.map { ["process": JSONValue($0.process), "path": .string($0.path)] }),
      "notRead": .array(capture.damage.map { .string($0) }), "neverSeen": .array(OSCallCapture.blindSpots.map { .string($0) }),
      "files": .array(files.map { .string($0) }),
    ]
  }

  private func plural(_ count: Int, _ one: String, _ many: String) -> String { "\(NumberText.grouped(count)) \(count == 1 ? one : many)" }
}
