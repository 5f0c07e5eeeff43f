import CheckedNumbers
import Diagnosis
import Reporting

/// An answer in ten lines of 80 columns: bottleneck, headroom, now, GPU time, mismatch, at most three changes, no effect, confirm. Every line
/// that holds figures ends with one kind in brackets.
public struct AnswerLines: Sendable {
  /// Columns.
  public static let width = 80
  /// Columns of a line's name.
  static let indent = 11
  /// As printed.
  public private(set) var lines: [String] = []
  /// The same as values, without the first: a name, a text and what stands in brackets at the end.
  public private(set) var rows: [(name: String, text: String, kind: String?)] = []

  /// None yet.
  public init() {}

  /// The first line, over as many as it needs.
  public mutating func add(first text: String) { lines += Report.wrap(text, width: Self.width, indent: "            ", first: "") }

  /// "Headroom   ..." with its kind at the right edge.
  public mutating func add(_ name: String, _ text: String, kind: String? = nil) {
    rows.append((name, text, kind))
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
    rows.append((head, gain.isEmpty || gain == kind ? fix : fix + (gain.hasPrefix("is enough") ? " " : ": ") + gain, kind))
    let padded = head + String(repeating: " ", count: max(1, 13 - head.count))
    let tail = gain.isEmpty || gain == kind ? "[\(kind)]" : "\(gain) [\(kind)]"
    let line = padded + " " + fix
    if line.count + 2 + tail.count <= Self.width {
      lines.append(line + String(repeating: " ", count: Self.width - line.count - tail.count) + tail)
      return
    }
    lines += Report.wrap(fix, width: Self.width, indent: String(repeating: " ", count: 14), first: padded + " ")
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
  public var answer: [String] { answerLines.lines }

  /// As lines and as rows.
  var answerLines: AnswerLines {
    var answer = AnswerLines()
    guard let device, let verdict else {
      answer.add(first: headline)
      if let otherSummaries { answer.add("Instead", "what it holds: \(otherSummaries)") }
      answer.add("Confirm", "record the GPU: \(recordingCommand)")
      return answer
    }
    let words = device.facts.vendor.words
    let measured = isSimulated ? "simulated" : "measured"
    answer.add(first: headline)
    if let windowText {
      answer.add("Window", "only \(windowText): \(NumberText.time(nanoseconds: Double(device.wall))); all below is of it", kind: measured)
    }
    addHeadroom(&answer, device)
    let kernels = device.kernels
    var now = "GPU busy \(device.counters.gpuBusy.text) (kernels"
    if device.counters.rate != nil { now += ", without the profiler" }
    now += ")"
    if let rate = device.counters.rate, let perSecond = rate.unprofiledPerSecond {
      now += ", \(NumberText.significant(perSecond)) steps/s"
    }
    let named = device.busy.kernels - device.busy.graphs
    if device.busy.graphs > 0 { now += ", \(NumberText.grouped(device.busy.graphs)) CUDA graphs recorded whole" }
    if let top = kernels.rows.first {
      now +=
        named == 1
        ? ", 1 kernel of \(NumberText.time(nanoseconds: Double(top.median)))"
        : ", \(NumberText.grouped(named)) kernels, median of the top one \(NumberText.time(nanoseconds: Double(top.median)))"
    }
    if device.shares.byProcess.count > 1 { now += ", of \(device.shares.byProcess.count) processes" }
    if let fill = kernels.fill, device.hiddenShare <= DeviceExplanation.largestHiddenShare {
      now += ", \(NumberText.percent(fill)) of SMs hold a block"
    }
    if verdict.regime == .transferBound, let top = device.copies.rows.first {
      now += "; \(NumberText.grouped(top.count)) x \(top.name) at \(Figure(top.rate, .bytesPerSecond, device.kind, source: "trace").text)"
    }
    if let load { now += ", load \(load.text)" }
    answer.add("Now", words(now), kind: device.counters.rate == nil ? measured : "estimated")
    answer.add(Self.timeName, words(timeLine(device)), kind: measured)
    if let others = otherDevices { answer.add("GPUs", others, kind: measured) }
    if let requests { answer.add("Requests", requestLine(requests, device), kind: measured) }
    if let model { answer.add("Model", modelLine(model, device), kind: "estimated") }
    answer.add("Predicted", counterLine(device), kind: "estimated")
    for mismatch in mismatches.prefix(2) {
      answer.add(
        "Mismatch",
        "\(mismatch.counter.shortText) \(NumberText.percent(mismatch.observed)) observed, \(mismatch.predicted.text) predicted: another process, "
          + "other clocks, another run?")
    }
    let found = findings.indices.contains(main) ? findings[main] : nil
    for (index, finding) in (found?.recommendations ?? []).enumerated() {
      answer.add(
        change: index + 1, effect: finding.effect.rawValue, fix: words(finding.fix), gain: finding.gain.text, kind: finding.gain.kind)
    }
    if copiesLimit, found?.recommendations.isEmpty ?? true {
      let left = Double(max(1, device.wall - device.busy.nonOverlappedMemcpy))
      let maximum = Figure(Double(device.wall) / left - 1, .share, .estimated, source: "the span without copies that run alone")
      answer.add(
        change: 1, effect: "throughput", fix: "copy less: keep data on the GPU, smaller types",
        gain: TraceFinding.Gain.atMost(maximum).text, kind: "bound")
    }
    if verdict.isUpstream, !verdict.isWaitingForInput {
      answer.add(
        change: 1 + (found?.recommendations.count ?? 0), effect: "measure", fix: measureNext, gain: "", kind: "decides")
    }
    if verdict.confidence != .inconclusive, verdict.regime != .notSteady, let text = noEffect(device) {
      answer.add("No effect", words(text))
    }
    answer.add("Confirm", verdict.confirm)
    return answer
  }

  /// The line of where time went: on a page the bar and its legend.
  static let timeName = "GPU time"

  /// Copies that run alone are the limit, not the host's calls for them.
  private var copiesLimit: Bool {
    guard verdict?.regime == .transferBound, let device else { return false }
    return Double(device.busy.nonOverlappedMemcpy) >= 0.3 * Double(device.wall)
  }

  /// "GPU 0 (this one) 99 %, GPU 1 0.7 % in kernels, of the same time: uneven"; nil with one GPU.
  private var otherDevices: String? {
    guard devices.count > 1, let low = devices.map(\.span.lowerBound).min(), let high = devices.map(\.span.upperBound).max(), high > low
    else { return nil }
    let isCut = windowText != nil
    let shares = devices.map { Double($0.busy.kernel) / (isCut ? Double($0.wall) : Double(high - low)) }
    let order = devices.indices.sorted { (shares[$1], $0) < (shares[$0], $1) }
    let texts = order.prefix(8).map { index in
      let ordinal = devices[index].ordinal
      // Processes that see one device each all call it 0.
      let isShared = devices.filter { $0.ordinal == ordinal }.count > 1
      let name = isShared ? devices[index].name : ordinal >= 0 ? "GPU \(ordinal)" : "a GPU"
      return "\(name)\(index == main ? " (this one)" : "") \(NumberText.percent(shares[index]))"
    }
    var text = texts.joined(separator: ", ") + " of the time in kernels"
    if devices.count > 8 { text += ", \(devices.count - 8) more" }
    if let most = shares.max(), let least = shares.min(), least < 0.5 * most { text += ": uneven" }
    return text
  }

  private func addHeadroom(_ answer: inout AnswerLines, _ device: DeviceExplanation) {
    if verdict?.regime == .notSteady { return answer.add("Headroom", "unknown: the trace is not of a steady state") }
    if TraceVerdict.isTooLittle(device) { return answer.add("Headroom", "unknown: too little in the trace") }
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
    if copiesLimit {
      let copies = Double(device.busy.nonOverlappedMemcpy) / Double(device.wall)
      let without = 1 / max(0.001, 1 - copies)
      answer.add(
        "Headroom",
        "\(NumberText.significant(times, digits: 2))x with these copies; at most \(NumberText.significant(without, digits: 2))x without them: kernels need \(NumberText.percent(Double(device.busy.kernel) / Double(device.wall))) of the time",
        kind: "estimated")
      return
    }
    // Collectives that run alone are kernels to the clock and waiting to the SMs.
    let alone = Double(device.shares.communicationAlone) * scale
    if alone > TraceVerdict.communicationShare {
      let without = Figure.timesText(1 / max(0.01, busy - alone))
      answer.add(
        "Headroom",
        "at most \(without) if collectives ran beside other kernels: alone they take \(NumberText.percent(min(1, alone))) of the time",
        kind: "estimated")
      return
    }
    let text =
      times < 1.15
      ? "\(NumberText.significant(times, digits: 2))x: the GPU works \(NumberText.percent(busy)) of the time; more needs faster kernels"
      : "at most \(NumberText.significant(times, digits: 2))x with the same kernels and copies: the GPU works \(NumberText.percent(busy)) of the time"
    answer.add("Headroom", text, kind: "estimated")
  }

  /// What a file beside the trace would decide that no file decided yet.
  private var measureNext: String {
    switch (requests == nil, load?.isClientBound == nil) {
    case (true, true): "requests beside the trace: --load, --triton-trace"
    case (true, false): "requests beside the trace: --triton-trace"
    case (false, true): "the generator's own CPU and send lag: --load"
    case (false, false): "twice the load: does throughput double?"
    }
  }

  /// "240 in batches of 4.0: front end 0.02 ms, queue 1.2 ms, batch 1.1 ms; while the GPU idled: 80 % queued, no batch running".
  private func requestLine(_ requests: RequestUse, _ device: DeviceExplanation) -> String {
    func time(_ name: String, _ value: Double?) -> String? { value.map { "\(name) \(NumberText.time(nanoseconds: $0))" } }
    let parts = [
      time("front end", requests.frontEnd), time("queue", requests.queue), time("batch", requests.compute),
      time("answer", requests.response),
    ].compactMap { $0 }
    var text =
      "\(NumberText.grouped(requests.requests)) in batches of \(NumberText.significant(requests.requestsPerBatch)): \(parts.joined(separator: ", "))"
    let total = Double(requests.idle.values.reduce(0, +))
    if total > 0, let top = requests.idle.max(by: { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }) {
      text += "; while the GPU idled: \(NumberText.percent(Double(top.value) / total)) \(top.key.text)"
    }
    if let clock = requestClock { text += "; clocks joined to +-\(NumberText.time(nanoseconds: Double(clock.residual)))" }
    return text
  }

  /// "m.onnx of 256 rows: 1.2 ms of kernels planned, 1.3 measured; 64 % of FLOPs redundant; MFU 12 %".
  private func modelLine(_ model: ModelUse, _ device: DeviceExplanation) -> String {
    var text = "\(model.name), \(model.rows) rows: \(NumberText.time(nanoseconds: model.plannedNanoseconds)) of kernels planned"
    if let steps = device.counters.rate?.stepsInTrace ?? steps ?? requests.map({ Double($0.batches) }), steps > 0 {
      text += ", \(NumberText.time(nanoseconds: Double(device.kernels.total) / steps)) in the trace"
    }
    if model.redundantShare > 0.005 { text += "; \(NumberText.percent(model.redundantShare)) of its FLOPs on copies of rows" }
    if let perSecond = stepsPerSecond, let mfu = model.mfu(stepsPerSecond: perSecond) { text += "; MFU \(mfu.text)" }
    return text
  }

  private func timeLine(_ device: DeviceExplanation) -> String {
    let wall = Double(device.wall)
    var parts: [(String, Double)] = [
      ("kernels", Double(device.busy.kernel) / wall), ("non-overlapped memcpy", Double(device.busy.nonOverlappedMemcpy) / wall),
    ]
    parts += GapCause.Family.allCases.map { ("idle: " + (verdict?.name($0) ?? TraceVerdict.name($0)), Double(device.idle[$0]) / wall) }
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
    if device.facts.vendor == .amd { return "unknown: counters are modelled for NVIDIA's GPUs only" }
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
