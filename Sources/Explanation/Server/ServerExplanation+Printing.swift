import CheckedNumbers
import Diagnosis
public import JSONText
import Reporting

extension ServerExplanation {
  /// The first of the ten lines, without its beginning.
  var title: String {
    switch bottleneck {
    case .loadLimited: "Load-limited"
    case .noPipelining: "Bottleneck: no batch pipelining in the back end"
    case .gpuBound: "Bottleneck: the \(window.deviceNoun)"
    case .instanceBound: "Bottleneck: the model's instances"
    case .inconclusive: "Inconclusive"
    case .notSteady: "Not steady"
    }
  }

  /// The ten lines.
  public var answer: [String] {
    var answer = AnswerLines()
    let rate = NumberText.grouped(Int(saturating: window.requestsPerSecond.rounded()))
    switch bottleneck {
    case .loadLimited: answer.add(first: "\(title) (\(confidence.phrase)): the server keeps up with the \(rate) req/s offered")
    case .inconclusive where hasUnexplainedQueue:
      answer.add(
        first:
          "\(title): requests wait \(NumberText.time(nanoseconds: window.queueMicroseconds * 1e3)) and an instance has a batch only \(NumberText.percent(window.utilization)) of the time"
      )
    case .inconclusive:
      answer.add(first: "\(title): \(rate) req/s, an instance busy \(NumberText.percent(window.utilization)), a short queue")
    case .notSteady: answer.add(first: "\(title): no bottleneck, headroom or change follows from a mean over this window")
    case .instanceBound:
      answer.add(first: "\(title) (\(confidence.phrase)): busy \(NumberText.percent(window.utilization)) of the time")
    default: answer.add(first: "\(title) (\(confidence.phrase))")
    }
    addHeadroom(&answer)
    answer.add(
      "Now",
      "\(rate) req/s, \(dispatch), queue \(NumberText.time(nanoseconds: window.queueMicroseconds * 1e3)), "
        + "compute \(NumberText.time(nanoseconds: window.batchMicroseconds.infer * 1e3)) per batch", kind: "measured")
    answer.add(window.deviceClass?.isGPU == true ? "GPU time" : "Time", timeLine, kind: "measured")
    for mismatch in mismatches.prefix(2) { answer.add("Mismatch", mismatch) }
    for (index, change) in changes.enumerated() {
      answer.add(change: index + 1, effect: change.effect, fix: change.fix, gain: change.gain, kind: change.kind)
    }
    if !noEffect.isEmpty { answer.add("No effect", noEffect.joined(separator: "; ")) }
    answer.add("Confirm", confirm)
    return answer.lines
  }

  private func addHeadroom(_ answer: inout AnswerLines) {
    if let (goal, figure) = maximumRateAtGoal, bottleneck == .loadLimited || bottleneck == .inconclusive {
      let times = figure.value / max(1e-9, window.requestsPerSecond)
      let number = NumberText.grouped(Int(saturating: figure.value.rounded()))
      answer.add(
        "Headroom", "\(NumberInWords.times(times)): about \(number) req/s at p99 <= \(NumberInWords.short(goal)) ms", kind: "estimated")
      return
    }
    guard let capacity else {
      let reason = window.steadiness?.unsteadyBecause ?? "the statistics hold no batch"
      return answer.add("Headroom", "unknown, because \(reason)", kind: "unknown")
    }
    let times = capacity.value / max(1e-9, window.requestsPerSecond)
    let number = NumberText.grouped(Int(saturating: capacity.value.rounded()))
    let isOpen = bottleneck == .loadLimited || bottleneck == .inconclusive || hasRoomInBatches
    if isOpen, let interval = capacity.interval, interval.upperBound > 4 * interval.lowerBound {
      let low = NumberText.grouped(Int(saturating: interval.lowerBound.rounded()))
      let high = NumberText.grouped(Int(saturating: interval.upperBound.rounded()))
      let sure = NumberInWords.times(interval.lowerBound / max(1e-9, window.requestsPerSecond))
      answer.add(
        "Headroom", "at least \(sure): between \(low) and \(high) req/s, as no nearly full batch was seen", kind: capacity.kind.rawValue)
      return
    }
    if isOpen {
      let ends = capacity.interval.map {
        " (\(NumberText.grouped(Int(saturating: $0.lowerBound.rounded())))..\(NumberText.grouped(Int(saturating: $0.upperBound.rounded()))))"
      }
      answer.add(
        "Headroom", "\(NumberInWords.times(times)): about \(number)\(ends ?? "") req/s as configured", kind: capacity.kind.rawValue)
    } else {
      let period = NumberText.time(nanoseconds: window.periodMicroseconds * 1e3)
      answer.add("Headroom", "1.0x: \(number) req/s is all this loop can do (\(period) per batch)", kind: capacity.kind.rawValue)
    }
  }

  private var timeLine: String {
    let busy = window.utilization
    guard let gpu = window.gpuUtilization else {
      let text = "an instance has a batch \(NumberText.percent(busy)) of the time"
      // How much of that a GPU computes is asked of GPUs alone.
      return window.mayBeGPU ? text + "; how much of it the \(window.deviceNoun) computes is unknown (--metrics, --dcgm)" : text
    }
    let inBatch = max(0, busy - gpu)
    var text = "\(NumberText.percent(gpu)) busy, \(NumberText.percent(inBatch)) idle inside batches (host), "
    text += "\(NumberText.percent(max(0, 1 - max(busy, gpu)))) idle between batches"
    if let sm = window.smActive { text += "; SM active \(NumberText.percent(sm))" }
    if let tensor = window.tensorActive { text += ", tensor active \(NumberText.percent(tensor))" }
    return text
  }

  /// One server's part of `headroom.explain/3`.
  public var json: JSONValue {
    [
      "model": .string(window.model.name), "mode": "measured", "bottleneck": .string(bottleneck.rawValue),
      "confidence": .string(confidence.text),
      "windowSeconds": JSONValue(window.seconds), "requestsPerSecond": JSONValue(window.requestsPerSecond),
      "batchesPerSecond": JSONValue(window.batchesPerSecond), "rowsPerBatch": JSONValue(window.rowsPerBatch),
      "requestsPerBatch": JSONValue(window.requestsPerBatch), "queueMicroseconds": JSONValue(window.queueMicroseconds),
      "computeInputMicroseconds": JSONValue(window.batchMicroseconds.input),
      "computeInferMicroseconds": JSONValue(window.batchMicroseconds.infer),
      "computeOutputMicroseconds": JSONValue(window.batchMicroseconds.output), "periodMicroseconds": JSONValue(window.periodMicroseconds),
      "instanceBusyShare": JSONValue(window.utilization), "gpuBusyShare": JSONValue(window.gpuUtilization),
      "smActiveShare": JSONValue(window.smActive), "tensorActiveShare": JSONValue(window.tensorActive),
      "capacity": capacity?.json ?? .null, "maximumRequestsPerSecondAtGoal": maximumRateAtGoal?.figure.json ?? .null,
      "goalMilliseconds": JSONValue(maximumRateAtGoal?.goalMilliseconds), "dispatch": .string(dispatch),
      "batchSizes": .array(
        window.model.batches.map {
          [
            "rows": JSONValue($0.rows), "count": JSONValue($0.count),
            "inferMicroseconds": JSONValue(Double($0.infer) / Double(max(1, $0.count)) / 1e3),
          ]
        }),
      "evidence": .array(evidence.map { .string($0.text) }),
      "changes": .array(
        changes.map {
          [
            "code": .string($0.code), "effect": .string($0.effect), "fix": .string($0.fix), "gain": .string($0.gain),
            "kind": .string($0.kind),
          ]
        }),
      "noEffect": .array(noEffect.map { .string($0) }), "mismatches": .array(mismatches.map { .string($0) }), "confirm": .string(confirm),
    ]
  }

  /// What a trace would add, and everything behind the ten lines.
  public var verboseLines: [String] {
    var lines = [""]
    lines += evidence.map { "  " + $0.text }
    if !window.model.batches.isEmpty {
      lines.append("")
      var table = TextTable([
        .init("rows"), .init("batches"), .init("share"), .init("input us"), .init("infer us"), .init("output us"),
      ])
      let total = Double(max(1, window.model.batches.reduce(Int64(0)) { $0 + $1.count }))
      for batch in window.model.batches {
        func mean(_ sum: Int64) -> String { NumberText.significant(Double(sum) / Double(max(1, batch.count)) / 1e3) }
        table.add([
          NumberText.grouped(batch.rows), NumberText.grouped(batch.count), NumberText.percent(Double(batch.count) / total),
          mean(batch.input),
          mean(batch.infer), mean(batch.output),
        ])
      }
      lines += table.lines.map { "  " + $0 }
    }
    if let line = window.timeByRows {
      lines.append("")
      lines.append(
        "  time of a batch: \(NumberText.significant(line.fixed)) us + \(NumberText.significant(line.perRow)) us per row (fitted to the sizes seen)"
      )
    }
    lines.append("")
    if window.mayBeGPU {
      lines.append("  A trace would add: \(window.deviceNoun) time inside a batch by kernel, the gap after each batch by cause,")
      lines.append("  SMs with a resident block and waves. nsys profile --trace=cuda,nvtx,osrt, then")
      lines.append("  headroom explain REPORT.sqlite")
    } else {
      lines.append("  A trace would add what the server's threads wait in: headroom profile --os -- COMMAND")
    }
    return lines
  }
}
