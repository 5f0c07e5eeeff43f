import CheckedNumbers
public import Diagnosis
public import Explanation
import Reporting
import Simulation
import TimeBase
public import Trace

/// A run as a comparison shows it, simulated or measured.
public struct ComparedRun: Sendable {
  /// The variant's.
  public var name: String
  /// Counted by the generator and the server.
  public var run: RunTotals
  /// Answers per second.
  public var throughputFigure: Figure
  /// What the trace says.
  public var analysis: TraceAnalysis
  /// The same, completed by what the trace does not know.
  public var evidence: RunEvidence
  /// Verdict, findings, gains.
  public var assessment: Assessment
  /// How much more it can take.
  public var headroom: Headroom
  /// Device and host profile, in a line.
  public var setting: String
  /// The model, as a command line names it.
  public var model: String
  /// What happened.
  public var trace: Trace
}

/// What was counted in a run's window.
public struct RunTotals: Sendable {
  /// Answers.
  public var answered: Int
  /// Requests rejected or failed.
  public var refused: Int
  /// Batches.
  public var batches: Int
  /// By the client-side latency, ascending, with how many requests took each.
  public var latencies: [(nanoseconds: Int64, count: Int)]

  /// With every field stated.
  public init(answered: Int, refused: Int, batches: Int, latencies: [(nanoseconds: Int64, count: Int)]) {
    self.answered = answered
    self.refused = refused
    self.batches = batches
    self.latencies = latencies
  }

  init(_ result: SimulationResult) {
    answered = result.answered
    refused = result.refused.values.reduce(0, +)
    batches = result.batches
    latencies = result.latencies.map { ($0, 1) }
  }

  /// A percentile of the latency by nearest rank, milliseconds; nil without an answer.
  public func latencyMilliseconds(percentile: Double) -> Double? {
    let total = latencies.reduce(0) { $0 + $1.count }
    guard let last = latencies.last, total > 0 else { return nil }
    let rank = Int(clamping: NearestRank.rank(percentile: percentile, of: Int64(clamping: total)))
    var seen = 0
    for latency in latencies {
      seen += latency.count
      if seen >= rank { return Double(latency.nanoseconds) / 1e6 }
    }
    return Double(last.nanoseconds) / 1e6
  }
}

extension ComparedRun {
  /// What is said of it first.
  public var answer: RunAnswer {
    RunAnswer(
      name: name, setting: setting, run: evidence, assessment: assessment, waterfall: analysis.waterfall, headroom: headroom,
      kind: analysis.kind, rejected: run.refused, model: model)
  }

  static func gains(_ gains: Result<GainEstimate, GainRefusal>, on device: DeviceClass) -> Sentence {
    switch gains {
    case .failure(let refusal): return refusal.text
    case .success(let estimate):
      var sentence = Sentence(parts: [])
      func add(_ name: String, _ gain: Gain?) {
        guard let gain else { return }
        let separator = sentence.parts.isEmpty ? "" : ", "
        sentence = "\(sentence)\(separator)\(name) \(Sentence(changeOf: gain))"
      }
      add("throughput", estimate.throughput)
      add("p99", estimate.p99Latency)
      add("max requests/s at the goal", estimate.maximumRateAtGoal)
      add("\(device.noun)-seconds per million inferences", estimate.gpuSecondsPerMillionInferences)
      return sentence.parts.isEmpty ? "not quantified" : sentence
    }
  }

  /// One batch from its first request to its answers, or a fifth of a second of the run.
  func timeline(ofBatch: Bool) -> Timeline {
    let table = trace.batches
    var range = analysis.window.lowerBound..<(analysis.window.lowerBound + 1)
    if ofBatch, table.count > 0 {
      let middle = table.count / 2
      let from = table.formed[middle]
      let length = max(1000, table.outputEnd[middle] - from)
      range = (from - length / 4)..<(table.outputEnd[middle] + length / 4)
    } else {
      let middle = analysis.window.lowerBound + (analysis.window.upperBound - analysis.window.lowerBound) / 2
      range = middle..<min(analysis.window.upperBound, middle + 40_000_000)
    }
    var lanes: [(name: String, spans: [Timeline.Span])] = []
    func add(
      _ lane: String, _ start: [Int64], _ end: [Int64], style: (Int) -> Int, label: (Int) -> String, keep: (Int) -> Bool = { _ in true }
    ) {
      var spans: [Timeline.Span] = []
      for index in start.indices where start[index] < range.upperBound && end[index] > range.lowerBound && keep(index) {
        spans.append(
          Timeline.Span(
            start: max(start[index], range.lowerBound), end: min(end[index], range.upperBound), label: label(index), style: style(index)))
        if spans.count >= 1500 { break }
      }
      lanes.append((lane, spans))
    }
    let names = trace.names
    let dominant = analysis.summaries.first { $0.report == .gpuKernels }?.rows.first?.name
    add(
      "batches (forming to output)", table.formed, table.outputEnd, style: { _ in 3 },
      label: { "batch \(table.id[$0]): \(table.rows[$0]) rows, \(table.requests[$0]) requests" })
    add(
      "kernels", trace.kernels.start, trace.kernels.end,
      style: { names[trace[trace.kernels.description[$0]].demangledName] == dominant ? 0 : 1 },
      label: { names[trace[trace.kernels.description[$0]].demangledName] ?? "kernel" })
    add(
      "copies", trace.copies.start, trace.copies.end, style: { trace.copies.direction[$0] == 1 ? 2 : 4 },
      label: { Summary.label(ofCopy: trace.copies.direction[$0]) + ", \(trace.copies.bytes[$0]) bytes" })
    let threads = Set(trace.apiCalls.thread.prefix(5000)).sorted().prefix(4)
    for thread in threads {
      add(
        "CUDA calls, thread \(GlobalID.threadNumber(thread))", trace.apiCalls.start, trace.apiCalls.end,
        style: { names[trace.apiCalls.name[$0]]?.contains("Synchronize") == true ? 5 : 6 },
        label: { names[trace.apiCalls.name[$0]] ?? "call" },
        keep: { trace.apiCalls.thread[$0] == thread })
      add(
        "waits, thread \(GlobalID.threadNumber(thread))", trace.osCalls.start, trace.osCalls.end, style: { _ in 7 },
        label: { names[trace.osCalls.name[$0]] ?? "wait" }, keep: { trace.osCalls.thread[$0] == thread })
    }
    let requests = trace.requests
    var pending: [Int64: Int64] = [:]
    for (id, formed) in zip(table.id, table.formed) { pending[id] = formed }
    let leaves = requests.batch.map { pending[$0] ?? Trace.unknown }
    add("requests in the batcher's queue", requests.enqueued, leaves, style: { _ in 8 }, label: { "request \(requests.id[$0])" })
    let width = Figure(Double(range.upperBound - range.lowerBound) / 1e6, .milliseconds, analysis.kind, source: "stretch shown").text
    return Timeline(
      title: "\(name): \(ofBatch ? "one batch" : "the run")",
      explanation: ofBatch
        ? "\(width) around one batch in the middle of the run." : "\(width) in the middle of the run: bursts, and what lies between them.",
      range: range, lanes: lanes)
  }
}

extension ComparedRun {
  /// 36 characters of a name, its end kept: that is where tiles stand.
  static func shortened(_ name: String) -> String { name.count <= 36 ? name : name.prefix(14) + ".." + name.suffix(20) }
}
