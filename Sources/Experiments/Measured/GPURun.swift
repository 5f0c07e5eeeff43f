import Capture
import CheckedNumbers
public import Diagnosis
import JSONText
import Reporting
import TimeBase
import Trace

/// One variant's stay on a GPU, as it was seen from outside.
struct GPURun {
  /// While the variant ran without a profiler; nil where they were not read.
  var counters: MetricsResult?
  /// The same load under the profiler; nil where it was left out.
  var profiled: GeneratorRun?
  /// What the profiler's recording lacks.
  var remarks: [String] = []

  init(counters: MetricsResult?, profiled: GeneratorRun? = nil) {
    self.counters = counters
    self.profiled = profiled
  }
}

extension MeasuredVariant {
  /// What a GPU's profiler and counters say of a variant.
  public struct OnGPU: Sendable {
    /// Requests per second under the profiler, over those without it, less one; nil where no profiler ran.
    public var observerShift: Figure?
    /// Requests per second under the profiler.
    public var profiledThroughput: Figure?
    /// Kernel time per batch, under the profiler: where kernels overlap the time is counted once.
    public var kernelTimePerBatch: Figure?
    /// Share of the time in which a kernel ran, without the profiler: kernel time per batch, as the profiler saw it, times batches per second.
    public var gpuBusy: Figure?
    /// The same times SMs with a resident block, from the kernels' grids.
    public var residentSMs: Figure?
    /// Counters, each with the source that answered.
    public var counters: [Counter]
    /// Counters that did not answer, each with its reason, and what the profiler could not record.
    public var missing: [String]

    /// One counter's mean over the run.
    public struct Counter: Sendable, Hashable {
      /// "SM active".
      public var name: String
      /// A share for percent; else a count of its unit.
      public var figure: Figure
      /// "%", "MHz", "W".
      public var unit: String
    }

    /// Beyond this shift what the profiler saw is doubtful.
    public static let largestShift = 0.05

    /// Whether the profiler changed what it measured by more than a twentieth.
    public var isDisturbed: Bool { (observerShift?.value.magnitude ?? 0) > Self.largestShift }
  }
}

extension MeasuredVariant.OnGPU {
  /// From a run without the profiler and one with it.
  ///
  /// - Parameters:
  ///   - batches: of the run without.
  ///   - analysis: of the run with it, where there was one.
  init(_ run: GPURun, load: GeneratorRun, batches: Int, analysis: TraceAnalysis, trace: Trace) {
    missing = run.remarks
    counters = []
    if let counters = run.counters { read(counters) }
    guard let profiled = run.profiled else { return }
    let (without, with) = (load.result.answersPerSecond, profiled.result.answersPerSecond)
    profiledThroughput = Figure(with, .requestsPerSecond, .measured, source: "generator: answers in the profiled window")
    if without > 0 {
      observerShift = Figure(with / without - 1, .share, .measured, source: "requests/s under the profiler over those without it")
    }
    let seen = trace.batches.count
    guard seen > 0, trace.kernels.count > 0 else {
      if trace.kernels.count == 0 { missing.append("no kernel was recorded in the profiled window") }
      return
    }
    let perBatch = Double(analysis.device.gpuBusy) / Double(seen)
    kernelTimePerBatch = Figure(perBatch / 1000, .microseconds, .measured, source: "profiler: union of kernels over \(seen) batches")
    let window = Double(max(1, load.window.upperBound - load.window.lowerBound))
    let busy = Figure(
      min(1, perBatch * Double(batches) / window), .share, .estimated,
      source: "kernel time per batch under the profiler x batches/s without it")
    gpuBusy = busy
    if let share = TraceAnalysis.residentSMShare(of: trace, kind: .estimated) {
      residentSMs = Figure(
        busy.value * share.value, .share, .estimated, source: "GPU busy time x blocks over SMs, by time; an upper estimate")
    }
  }

  private mutating func read(_ result: MetricsResult) {
    if let failure = result.failure { missing.append("counters: \(failure)") }
    guard let gpu = result.gpus.first else { return }
    for mean in result.means(gpu.index) where mean.quantity.unit != "bytes" {
      let isShare = mean.quantity.unit == "%"
      counters.append(
        Counter(
          name: mean.quantity.rawValue,
          figure: Figure(
            isShare ? mean.mean / 100 : mean.mean, isShare ? .share : .count, .measured,
            source: "\(mean.source), mean of \(mean.count) readings"),
          unit: mean.quantity.unit))
    }
    missing += result.refusals(gpu.index).map { "counter not read: \($0)" }
  }

  /// A counter by its name.
  public func counter(_ name: String) -> Figure? { counters.first { $0.name == name }?.figure }

  var json: JSONValue {
    [
      "observerShift": observerShift?.json ?? .null, "profiledThroughput": profiledThroughput?.json ?? .null,
      "kernelTimePerBatch": kernelTimePerBatch?.json ?? .null, "gpuBusy": gpuBusy?.json ?? .null,
      "residentSMs": residentSMs?.json ?? .null,
      "counters": .array(counters.map { ["name": .string($0.name), "unit": .string($0.unit), "mean": $0.figure.json] }),
      "missing": .array(missing.map { .string($0) }),
    ]
  }
}

extension RunEvidence {
  /// Takes what a profiler slows from the run without it: throughput, latency, batches, and the share of time in which kernels ran.
  mutating func takeUnprofiled(_ run: GeneratorRun, _ batches: BatchTable, _ onGPU: MeasuredVariant.OnGPU?) {
    let outcome = run.result
    let source = "client-side latency, \(outcome.latency.count) answers, no profiler"
    func percentile(_ percentile: Double) -> Figure? {
      outcome.latency.value(atPercentile: percentile).map { Figure(Double($0) / 1e6, .milliseconds, .measured, source: source) }
    }
    load.throughput = Figure(
      outcome.answersPerSecond, .requestsPerSecond, .measured, source: "generator: answers in the window, no profiler")
    load.meanLatency = outcome.meanLatencySeconds.map { Figure($0 * 1e3, .milliseconds, .measured, source: source) }
    load.medianLatency = percentile(50)
    load.p99Latency = percentile(99)
    if let busy = onGPU?.gpuBusy { device.gpuBusy = busy }
    let count = Double(batches.count)
    if count > 0 {
      let rows = batches.rows.reduce(0.0) { $0 + Double($1) } / count
      let requests = batches.requests.reduce(0.0) { $0 + Double($1) } / count
      batching.meanRows = Figure(rows, .rows, .measured, source: "batches in the window, no profiler")
      batching.meanRequests = Figure(requests, .count, .measured, source: "batches in the window, no profiler")
    }
  }
}
