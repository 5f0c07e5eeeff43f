public import Planning

/// A kernel as the machine runs it: how long alone, and how much of the device it keeps from others meanwhile.
@frozen public struct KernelTiming: Sendable, Hashable {
  /// From its first block's start to its last block's end, alone on the device; what a profiler prints.
  public var nanoseconds: Double
  /// Share of that time in which it needs all it can get (`need`); the rest is its last wave (`tailNeed`).
  public var bodyShare: Double
  /// Share of the block slots it occupies in the body: waves, at most 1.
  public var need: Double
  /// Share of the block slots it occupies in its last wave.
  public var tailNeed: Double
  /// Share of the device memory's bandwidth it uses.
  public var bandwidth: Double

  /// A kernel with every field stated.
  public init(nanoseconds: Double, bodyShare: Double, need: Double, tailNeed: Double, bandwidth: Double) {
    self.nanoseconds = nanoseconds
    self.bodyShare = bodyShare
    self.need = need
    self.tailNeed = tailNeed
    self.bandwidth = bandwidth
  }

  /// From a plan's launch, whose predicted time is what a profiler records; the gap to the next kernel is the machine's.
  ///
  /// - Parameter bytesPerNanosecond: the device memory's bandwidth.
  public init(_ launch: Launch, bytesPerNanosecond: Double) {
    let alone = max(1, launch.predictedNanoseconds)
    var (body, need, tail) = (1.0, 1.0, 1.0)
    if case .gpu(let shape) = launch.shape, shape.waves.isFinite, shape.waves > 0 {
      if shape.waves <= 1 {
        (need, tail) = (shape.waves, shape.waves)
      } else {
        // Every wave takes as long as every other, the last one too, and the last one holds what is left.
        let whole = shape.waves.rounded(.down)
        let rest = shape.waves - whole
        body = rest > 0 ? whole / (whole + 1) : 1
        tail = rest > 0 ? rest : 1
      }
    }
    let bandwidth = bytesPerNanosecond > 0 ? min(1, launch.bytes / bytesPerNanosecond / alone) : 0
    self.init(nanoseconds: alone, bodyShare: body, need: need, tailNeed: tail, bandwidth: bandwidth)
  }
}
