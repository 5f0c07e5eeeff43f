import CheckedNumbers
import Diagnosis
import Reporting

/// An answer in ten lines of 80 columns: bottleneck, headroom, now, GPU time, mismatch, at most three changes, no effect, confirm. Every line
/// that holds figures ends with one kind in brackets.
public struct AnswerLines: Sendable, Hashable {
  /// Columns.
  static let width = 80
  /// Columns of a line's name.
  static let indent = 11
  /// As printed.
  public private(set) var lines: [String] = []

  /// None yet.
  public init() {}

  /// The first line, over as many as it needs.
  public mutating func add(first text: String) { lines += Report.wrap(text, width: Self.width, indent: "            ", first: "") }

  /// "Headroom   ..." with its kind at the right edge.
  public mutating func add(_ name: String, _ text: String, kind: String? = nil) {
    let head = name.count < Self.indent ? name + String(repeating: " ", count: Self.indent - name.count) : name + " "
    let bracket = kind.map { "[\($0)]" }
    var wrapped = Report.wrap(text, width: Self.width, indent: String(repeating: " ", count: Self.indent), first: head)
    if let bracket {
      let last = wrapped.last ?? ""
      if last.count + 1 + bracket.count <= Self.width {
        wrapped[wrapped.count - 1] = last + String(repeating: " ", count: Self.width - last.count - bracket.count) + bracket
      } else {
        wrapped.append(String(repeating: " ", count: Self.width - bracket.count) + bracket)
      }
    }
    lines += wrapped
  }

  /// A change: "1 throughput  CUDA graph ...   +300 %  [replayed]".
  public mutating func add(change number: Int, effect: String, fix: String, gain: String, kind: String) {
    let head = "\(number) \(effect)"
    let padded = head + String(repeating: " ", count: max(1, 13 - head.count))
    let tail = gain.isEmpty || gain == kind ? "[\(kind)]" : "\(gain) [\(kind)]"
    let line = padded + " " + fix
    if line.count + 2 + tail.count <= Self.width {
      lines.append(line + String(repeating: " ", count: Self.width - line.count - tail.count) + tail)
      return
    }
    lines += Report.wrap(fix, width: Self.width, indent: String(repeating: " ", count: 14), first: padded)
    let last = lines.last ?? ""
    if last.count + 2 + tail.count <= Self.width {
      lines[lines.count - 1] = last + String(repeating: " ", count: Self.width - last.count - tail.count) + tail
    } else {
      lines.append(String(repeating: " ", count: max(0, Self.width - tail.count)) + tail)
    }
  }
}

extension TraceExplanation {
  /// The ten lines.
  public var answer: [String] {
    var answer = AnswerLines()
    guard let device, let verdict else {
      answer.add(first: "No verdict: \(refusal ?? "nothing ran")")
      answer.add("Confirm", "record the GPU: nsys profile --trace=cuda,nvtx,osrt -- COMMAND")
      return answer.lines
    }
    let measured = isSimulated ? "simulated" : "measured"
    answer.add(first: "Bottleneck: \(verdict.title) (\(verdict.confidence))")
    addHeadroom(&answer, device)
    let kernels = device.kernels
    var now = "GPU busy \(device.counters.kernelBusy.text) (kernels"
    if device.counters.rate != nil { now += ", without the profiler" }
    now += ")"
    if let rate = device.counters.rate, let perSecond = rate.unprofiledPerSecond {
      now += ", \(NumberText.significant(perSecond)) steps/s"
    }
    if let top = kernels.rows.first {
      now +=
        ", \(NumberText.grouped(device.busy.kernels)) kernels, median of the top one \(NumberText.time(nanoseconds: Double(top.median)))"
    }
    if let fill = kernels.fill { now += ", SM fill \(NumberText.percent(fill))" }
    if let load { now += ", load \(load.text)" }
    answer.add("Now", now, kind: device.counters.rate == nil ? measured : "estimated")
    answer.add("GPU time", timeLine(device), kind: measured)
    answer.add("Predicted", counterLine(device), kind: "estimated")
    for mismatch in mismatches.prefix(2) {
      answer.add(
        "Mismatch",
        "\(mismatch.counter.shortText) \(NumberText.percent(mismatch.observed)) observed, \(mismatch.predicted.text) predicted: another process, "
          + "other clocks, another run?")
    }
    let found = findings.indices.contains(main) ? findings[main] : nil
    for (index, finding) in (found?.recommendations ?? []).enumerated() {
      answer.add(change: index + 1, effect: finding.effect.rawValue, fix: finding.fix, gain: finding.gain.text, kind: finding.gain.kind)
    }
    if verdict.isUpstream {
      answer.add(
        change: 1 + (found?.recommendations.count ?? 0), effect: "measure", fix: "requests beside the trace: --load, --triton-trace",
        gain: "", kind: "decides")
    }
    if let text = noEffect(device) { answer.add("No effect", text) }
    answer.add("Confirm", verdict.confirm)
    return answer.lines
  }

  private func addHeadroom(_ answer: inout AnswerLines, _ device: DeviceExplanation) {
    // The device's own work bounds the rate of the same work on it.
    let scale: Double
    if let rate = device.counters.rate, let perSecond = rate.unprofiledPerSecond, rate.stepsInTrace > 0 {
      scale = perSecond / rate.stepsInTrace / 1e9
    } else {
      scale = 1 / Double(device.wall)
    }
    let busy = min(1, Double(device.busy.device) * scale)
    guard busy > 0 else { return answer.add("Headroom", "unknown") }
    let times = 1 / busy
    let text =
      times < 1.15
      ? "\(NumberText.significant(times, digits: 2))x: the GPU works nearly all the time; more needs faster kernels"
      : "at most \(NumberText.significant(times, digits: 2))x with the same kernels and copies: the GPU works \(NumberText.percent(busy)) of the time"
    answer.add("Headroom", text, kind: "estimated")
  }

  private func timeLine(_ device: DeviceExplanation) -> String {
    let wall = Double(device.wall)
    var parts: [(String, Double)] = [
      ("kernels", Double(device.busy.kernel) / wall), ("copies alone", Double(device.busy.copyOnly) / wall),
    ]
    parts += GapCause.Family.allCases.map { ("idle: " + TraceVerdict.name($0), Double(device.idle[$0]) / wall) }
    let shown = parts.filter { $0.1 >= 0.005 }.sorted { $0.1 > $1.1 }
    return shown.prefix(5).map { "\(NumberText.percent($0.1)) \($0.0)" }.joined(separator: ", ")
  }

  private func counterLine(_ device: DeviceExplanation) -> String {
    var parts: [String] = []
    for counter in PredictedCounter.Counter.allCases where counter != .memoryActive {
      guard let figure = device.counters[counter], let interval = figure.interval else { continue }
      let ends = "\(NumberText.percent(interval.lowerBound))..\(NumberText.percent(interval.upperBound))"
      parts.append("\(counter.shortText) \(figure.text) (\(ends.replacing(" %", with: "")))")
    }
    if let upper = device.counters.upperBound, device.counters.rate == nil {
      parts.append("a lower bound: without the profiler up to \(NumberText.percent(upper)); give --rate N/s")
    }
    return parts.isEmpty ? "unknown: \(device.facts.source)" : parts.joined(separator: ", ")
  }

  /// What would buy nothing here, so that nobody tries it first.
  private func noEffect(_ device: DeviceExplanation) -> String? {
    let wall = Double(device.wall)
    let kernel = Double(device.busy.kernel) / wall
    var parts: [String] = []
    if kernel < 0.3 {
      parts.append("faster kernels or a larger GPU (kernels run \(NumberText.percent(kernel)) of the time)")
    }
    if kernel > TraceVerdict.limitingShare, Double(device.idle[.launch]) / wall < 0.05 { parts.append("CUDA graphs") }
    if kernel > TraceVerdict.limitingShare, Double(device.idle[.loop]) / wall < 0.05 {
      parts.append("removing synchronize calls (the GPU works meanwhile)")
    }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }
}

extension PredictedCounter.Counter {
  /// In a line of the answer.
  public var shortText: String {
    switch self {
    case .nvidiaSMI: "nvidia-smi"
    case .graphicsActive: "DCGM 1001"
    case .smActive: "1002 (SM)"
    case .tensorActive: "1004 (tensor)"
    case .memoryActive: "1005 (DRAM)"
    }
  }
}
