import CheckedNumbers
public import Diagnosis
import Glibc
public import TimeBase
public import Trace

/// What a server did in a window: its statistics and metrics at both ends, and what is known beside them.
public struct ServerWindow: Sendable {
  /// Length, seconds.
  public var seconds: Double
  /// The model's statistics over the window.
  public var model: ModelStatistics
  /// Its configuration; nil where nobody asked.
  public var configuration: ServerConfiguration?
  /// GPU utilization as the server or DCGM reports it, 0...1, mean of what was read; nil where unknown.
  public var gpuUtilization: Double?
  /// What the batches run on; nil where nothing says so, as with a Triton whose metrics nobody gave: then no sentence speaks of a GPU.
  public var deviceClass: DeviceClass?
  /// SM active and tensor active, from DCGM, 0...1.
  public var smActive: Double?
  /// As `smActive`.
  public var tensorActive: Double?
  /// Requests waiting at the window's ends; nil where the server does not say.
  public var pending: (before: Double?, after: Double?)
  /// Requests rejected in the window, by reason.
  public var rejected: [String: Double]
  /// The server host's processors, 0...1.
  public var cpuUtilization: Double?
  /// Kernel time of a batch as a plan predicts it, microseconds, with its error band as a share; nil without a model.
  public var plannedKernelMicroseconds: (value: Double, band: Double)?
  /// The model and the GPU of that plan, as they were typed.
  public var planned: (model: String, gpu: String)?
  /// Whether the load was the same throughout; nil where nobody looked in between.
  public private(set) var steadiness: Steadiness?

  /// From statistics and metrics pages at both ends.
  ///
  /// - Throws: where the model is missing at an end, nothing was answered, or the counters went back.
  public init(
    before: [ModelStatistics], after: [ModelStatistics], metricsBefore: PrometheusText?, metricsAfter: PrometheusText?, seconds: Double,
    model name: String?, configuration: ServerConfiguration?
  ) throws(ServerStatisticsError) {
    guard seconds > 0, seconds.isFinite else { throw ServerStatisticsError("the window is \(seconds) s long: give --observed-seconds") }
    var changes: [ModelStatistics] = []
    for later in after where name == nil || later.name == name {
      guard let earlier = before.first(where: { $0.name == later.name && $0.version == later.version }) else { continue }
      guard let change = later.since(earlier) else {
        throw ServerStatisticsError(
          "\(later.name): the counters went back between the two readings: the model was reloaded, or the files are swapped")
      }
      changes.append(change)
    }
    guard let busiest = changes.max(by: { ($0.requests, $1.name) < ($1.requests, $0.name) }) else {
      let known = Set(after.map(\.name)).sorted().joined(separator: ", ")
      throw ServerStatisticsError(name.map { "no model \"\($0)\" in both readings; there are: \(known)" } ?? "no model is in both readings")
    }
    guard busiest.requests > 0, busiest.executions > 0 else {
      throw ServerStatisticsError("\(busiest.name) answered no request in the window: send load meanwhile")
    }
    self.seconds = seconds
    self.model = busiest
    self.configuration = configuration
    let own = ["model": busiest.name]
    func mean(_ values: [Double?]) -> Double? {
      let known = values.compactMap { $0 }.filter(\.isFinite)
      return known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
    }
    let utilization = [metricsBefore, metricsAfter].map { page in page?.values("nv_gpu_utilization").max() }
    gpuUtilization = mean(utilization)
    deviceClass =
      Self.deviceClass(metricsAfter ?? metricsBefore) ?? configuration?.instanceDevice ?? (gpuUtilization == nil ? nil : .gpu)
    let cpu = [metricsBefore, metricsAfter].map { page in page?.values("nv_cpu_utilization").first }
    cpuUtilization = mean(cpu)
    pending = (
      metricsBefore?.sum("nv_inference_pending_request_count", own), metricsAfter?.sum("nv_inference_pending_request_count", own)
    )
    rejected = [:]
    for sample in metricsAfter?.samples ?? [] where sample.name == "nv_inference_request_failure" && sample.labels["model"] == busiest.name
    {
      let earlier = metricsBefore?.sum("nv_inference_request_failure", sample.labels) ?? 0
      if sample.value > earlier, let reason = sample.labels["reason"] { rejected[reason, default: 0] += sample.value - earlier }
    }
  }

  /// Adds what a DCGM exporter's pages say.
  public mutating func add(dcgm pages: [PrometheusText]) {
    func mean(_ names: [String], _ scale: Double) -> Double? {
      let values = pages.flatMap { page in names.flatMap { page.values($0) } }.filter(\.isFinite)
      return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count) * scale
    }
    if let value = mean(["DCGM_FI_DEV_GPU_UTIL"], 0.01) { gpuUtilization = value }
    if gpuUtilization != nil { deviceClass = deviceClass ?? .gpu }
    smActive = mean(["DCGM_FI_PROF_SM_ACTIVE"], 1) ?? smActive
    tensorActive = mean(["DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"], 1) ?? tensorActive
  }

  /// Adds what was read between the ends: whether the load was the same throughout.
  public mutating func add(readings: [(time: Instant, models: [ModelStatistics])]) {
    let counts = readings.map { reading in
      (reading.time, reading.models.first { $0.name == model.name && $0.version == model.version }?.requests)
    }
    guard let start = counts.first?.0, let end = counts.last?.0, end > start, counts.count > Steadiness.minimumSlices else { return }
    // Each reading takes its time: the slices are as long as the mean one.
    let mean = (end - start).seconds / Double(counts.count - 1)
    var slices: [Int] = []
    for (earlier, later) in zip(counts, counts.dropFirst()) {
      guard let before = earlier.1, let after = later.1, after >= before else { return }
      let seconds = (later.0 - earlier.0).seconds
      if seconds > 0.5 * mean { slices.append(Int(saturating: (Double(after - before) * mean / seconds).rounded())) }
    }
    steadiness = Steadiness(stepIn: slices, kind: .measured) ?? Steadiness(answersPerSlice: slices, kind: .measured)
  }

  /// As a server of this program names its device in its metrics.
  private static func deviceClass(_ page: PrometheusText?) -> DeviceClass? {
    let names = page?.samples.filter { $0.name == "headroom_build_info" }.compactMap { $0.labels["device"] } ?? []
    return names.first.map { DeviceClass(deviceName: $0) }
  }

  /// "GPU", or "device" where it is none or nobody says what it is.
  var deviceNoun: String { deviceClass?.noun ?? "device" }
  /// Whether what only GPUs have may be spoken of: it is one, or nobody says.
  var mayBeGPU: Bool { deviceClass != .processor }

  /// Requests answered per second.
  public var requestsPerSecond: Double { Double(model.requests) / seconds }
  /// Batches per second.
  public var batchesPerSecond: Double { Double(model.executions) / seconds }
  /// Rows of a batch, mean.
  public var rowsPerBatch: Double { Double(model.inferences) / Double(max(1, model.executions)) }
  /// Requests of a batch, mean.
  public var requestsPerBatch: Double { Double(model.requests) / Double(max(1, model.executions)) }
  /// Queue time of a request, microseconds, mean.
  public var queueMicroseconds: Double { Double(model.queue) / Double(max(1, model.requests)) / 1e3 }
  /// Time of a batch in its parts, microseconds, mean. By batch sizes where the server counts them, else per request: each request of a
  /// batch carries its time, so that full batches weigh more.
  public var batchMicroseconds: (input: Double, infer: Double, output: Double) {
    let count = model.batches.reduce(Int64(0)) { $0 + $1.count }
    if count > 0 {
      let weight = Double(count) * 1e3
      return (
        model.batches.reduce(0) { $0 + Double($1.input) } / weight, model.batches.reduce(0) { $0 + Double($1.infer) } / weight,
        model.batches.reduce(0) { $0 + Double($1.output) } / weight
      )
    }
    let weight = Double(max(1, model.requests)) * 1e3
    return (Double(model.input) / weight, Double(model.infer) / weight, Double(model.output) / weight)
  }
  /// Time of a batch, microseconds.
  public var serviceMicroseconds: Double { batchMicroseconds.input + batchMicroseconds.infer + batchMicroseconds.output }
  /// Instances, where the configuration says; else one.
  public var instances: Double { Double(configuration?.instances ?? 1) }
  /// From one batch's start to the next's on an instance, microseconds.
  public var periodMicroseconds: Double { instances / max(1e-12, batchesPerSecond) * 1e6 }
  /// Share of the window in which an instance had a batch, 0...1.
  public var utilization: Double { min(1, serviceMicroseconds / periodMicroseconds) }

  /// Time of a batch against its rows: intercept and slope in microseconds, weighted by count; nil below two sizes.
  public var timeByRows: (fixed: Double, perRow: Double)? {
    let points = model.batches.filter { $0.count > 0 }
    guard points.count >= 2 else { return nil }
    var (weight, x, y, xx, xy) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for point in points {
      let w = Double(point.count)
      let time = Double(point.input.addingSaturated(point.infer).addingSaturated(point.output)) / w / 1e3
      let rows = Double(point.rows)
      weight += w
      x += w * rows
      y += w * time
      xx += w * rows * rows
      xy += w * rows * time
    }
    let spread = weight * xx - x * x
    guard spread > 1e-6 * weight * xx else { return nil }
    let slope = (weight * xy - x * y) / spread
    let fixed = (y - slope * x) / weight
    return slope >= 0 && fixed >= 0 ? (fixed, slope) : nil
  }
}
