public import GPUModel
public import Planning

/// What the kernels of a run are, each weighted by the time it took. A trace without a graph knows none of it; the plan does.
public struct KernelEvidence: Sendable, Hashable {
  /// Share of kernel time by what bounds it; shares of unknown bound are left out.
  public var boundShares: [Bound: Figure] = [:]
  /// Share of kernel time spent in GEMMs.
  public var gemmTimeShare: Figure?
  /// SMs with a resident block of the GEMMs, weighted by time.
  public var residentSMShare: Figure?
  /// SMs with a resident block of all kernels, weighted by time.
  public var residentSMShareOfAll: Figure?
  /// waves / ceil(waves) of the kernels with more than one wave, weighted by time.
  public var slotEfficiency: Figure?
  /// Share of kernel time in kernels with more than one wave.
  public var multiWaveTimeShare: Figure?
  /// Waves of the kernel that takes most time.
  public var dominantWaves: Figure?
  /// FLOPs over bytes that must move.
  public var intensity: Figure?
  /// Dense peak over memory bandwidth: the intensity at which both roofs meet.
  public var ridge: Figure?
  /// Bytes that must move over (kernel time x peak bandwidth): MBU.
  public var memoryBandwidthUtilization: Figure?
  /// Weights read by one batch.
  public var weightBytes: Figure?
  /// L2 of the device.
  public var l2Bytes: Figure?
  /// True where the usable part of L2 was measured; false where only the sheet's figure is known ("L2 at most": partitions may duplicate).
  public var l2IsCalibrated = false
  /// FLOPs on rows that are copies of other rows, over all; nil without a graph, where nothing can be proved.
  public var redundantShare: Figure?

  /// Share of kernel time in products whose rows are not 16-byte aligned, which an older, slower class of kernels runs.
  public var misalignedTimeShare: Figure?
  /// All kernels' time with those products padded, as a share of today's.
  public var paddedTimeScale: Figure?
  /// The misaligned product that takes most time, in words: "n = 30522, padded to 30528".
  public var misalignedProduct: String?

  /// Nothing known.
  public init() {}

  /// From a batch's launches, each weighted by its predicted time.
  ///
  /// - Parameters:
  ///   - peakFloatingPointOperationsPerSecond: dense peak in the plan's data type.
  ///   - bandwidthBytesPerSecond: the device memory's.
  ///   - weightBytes: weights the batch reads, once each.
  ///   - kind: of the launches' times (a plan's own are estimated; a simulation that executed them says simulated).
  public init(
    plan: BatchPlan, peakFloatingPointOperationsPerSecond: Double?, bandwidthBytesPerSecond: Double?, weightBytes: Double?,
    l2Bytes: Double?,
    kind: Figure.Kind
  ) {
    let total = plan.predictedNanoseconds
    if let l2Bytes { self.l2Bytes = Figure(l2Bytes, .bytes, .estimated, source: "data sheet: L2 at most") }
    if let weightBytes { self.weightBytes = Figure(weightBytes, .bytes, .estimated, source: "plan: weights") }
    let flops = plan.launches.reduce(0) { $0 + $1.floatingPointOperations }
    if flops > 0 {
      let redundant = plan.launches.reduce(0) { $0 + $1.redundantFloatingPointOperations }
      self.redundantShare = Figure(redundant / flops, .share, .estimated, source: "graph proof: rows that are copies of other rows")
    }
    guard total > 0 else { return }
    let source = "plan's launches at \(plan.rows) rows, weighted by time"

    var time: [Bound: Double] = [:]
    var gemm = Weighted()
    var slots = Weighted()
    var bytes = 0.0
    for launch in plan.launches {
      bytes += launch.bytes
      if let bound = launch.bound { time[bound, default: 0] += launch.predictedNanoseconds }
      guard case .gpu(let shape) = launch.shape else { continue }
      if shape.tileM != nil { gemm.add(shape.residentSMShare, weight: launch.predictedNanoseconds) }
      if shape.waves > 1 { slots.add(shape.slotEfficiency, weight: launch.predictedNanoseconds) }
    }
    let misaligned = plan.launches.filter { $0.misalignment != nil }
    let now = misaligned.reduce(0) { $0 + $1.predictedNanoseconds }
    let padded = misaligned.reduce(0) { $0 + ($1.misalignment?.paddedNanoseconds ?? 0) }
    let oneRun = plan.launches.reduce(0) { $0 + $1.predictedNanoseconds }
    misalignedTimeShare = Figure(now / oneRun, .share, kind, source: source)
    paddedTimeScale = Figure((oneRun - now + min(now, padded)) / oneRun, .share, .estimated, source: "plan at the padded shapes")
    if let worst = misaligned.max(by: { $0.predictedNanoseconds < $1.predictedNanoseconds }), let gemm = worst.gemm,
      let size = worst.misalignment
    {
      let places = [("n", gemm.n, size.paddedN), ("k", gemm.k, size.paddedK)].filter { $0.1 != $0.2 }
      misalignedProduct =
        "layer \"\(worst.layer)\": " + places.map { "\($0.0) = \($0.1), padded \($0.2)" }.joined(separator: "; ")
    }
    for (bound, nanoseconds) in time { boundShares[bound] = Figure(nanoseconds / total, .share, kind, source: source) }
    self.gemmTimeShare = Figure(gemm.weight / total, .share, kind, source: source)
    self.residentSMShare = gemm.mean.map { Figure($0, .share, kind, source: source) }
    self.slotEfficiency = slots.mean.map { Figure($0, .share, kind, source: source) }
    self.multiWaveTimeShare = Figure(slots.weight / total, .share, kind, source: source)
    let dominant = plan.launches.max { $0.predictedNanoseconds < $1.predictedNanoseconds }
    if case .gpu(let shape)? = dominant?.shape { self.dominantWaves = Figure(shape.waves, .count, kind, source: source) }
    if bytes > 0 { self.intensity = Figure(flops / bytes, .ratio, .estimated, source: "plan: FLOPs over bytes that must move") }
    if let peak = peakFloatingPointOperationsPerSecond, let bandwidth = bandwidthBytesPerSecond, bandwidth > 0 {
      self.ridge = Figure(peak / bandwidth, .ratio, .estimated, source: "data sheet: dense peak over bandwidth")
    }
    if let bandwidth = bandwidthBytesPerSecond, bandwidth > 0 {
      self.memoryBandwidthUtilization = Figure(
        bytes / (total / 1e9) / bandwidth, .share, kind, source: "plan: bytes that must move over time and peak bandwidth")
    }
  }

  /// The regime of a device whose kernels limit, and the share of kernel time that says so. Underfilled comes first: a kernel that
  /// leaves most SMs empty cannot be helped by a faster one of either roof.
  public var regime: (regime: Regime, share: Figure?)? {
    if let fill = residentSMShare, let share = gemmTimeShare, share.value > 0.5, fill.value < HR201GEMMTooSmall.fillThreshold {
      return (.underfilled, share)
    }
    func share(_ bounds: [Bound]) -> Figure? {
      let parts = bounds.compactMap { boundShares[$0] }
      guard !parts.isEmpty else { return nil }
      return .combined(parts.reduce(0) { $0 + $1.value }, .share, parts, source: "kernel time by what bounds it")
    }
    let candidates: [(Regime, Figure?)] = [
      (.computeBound, share([.math, .power])), (.memoryBound, share([.memory, .l2])), (.underfilled, share([.latency])),
    ]
    let best = candidates.max { ($0.1?.value ?? 0) < ($1.1?.value ?? 0) }
    guard let best, let largest = best.1, largest.value > 0.5 else { return nil }
    return (best.0, largest)
  }
}

/// A weighted mean being collected.
struct Weighted {
  var sum = 0.0
  var weight = 0.0

  mutating func add(_ value: Double, weight: Double) {
    sum += value * weight
    self.weight += weight
  }

  var mean: Double? { weight > 0 ? sum / weight : nil }
}
