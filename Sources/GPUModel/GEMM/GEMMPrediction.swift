import CheckedNumbers

/// A GEMM's predicted time, the kernel that is expected to run it, and what holds it up.
public struct GEMMPrediction: Sendable, Hashable {
  /// From its first block's start to its last block's end, as a profiler records it; the gap to the next kernel is not in it.
  public var microseconds: Double
  /// Half-width of the 80 % band as a share of the time, from cross-validation.
  public var relativeErrorBand: Double
  /// The tile.
  public var tile: GEMMTile
  /// Parts of k.
  public var splitK: Int
  /// Blocks in x (n), y (m) and z (batch times split).
  public var grid: [Int]
  /// Waves, SMs with a resident block and slot efficiency of that grid.
  public var fit: GridFit
  /// Computed elements that are padding: 1 - m n / (tiles' area).
  public var paddingShare: Double
  /// What each limit would take alone.
  public var limits: LimitTimes
  /// What holds the kernel up; nil where fits of resampled data disagree.
  public var bound: Bound?

  /// The least time that the device's three roofs allow: FLOPs at the peak (at the sustained rate where that was measured above the rated
  /// one), what device memory has to deliver at its rated bandwidth, and what L2 holds at L2's fitted bandwidth. Never more than
  /// `microseconds`.
  public private(set) var roofMicroseconds: Double

  /// The clock that the board's power allows meanwhile, GHz; nil where the kernel runs at the usual one.
  public private(set) var powerLimitedGigahertz: Double?

  /// The class of kernels.
  public var kernels: KernelClass
  /// Whether as many blocks as SMs run, each tile after tile: `grid` then counts tiles.
  public var isPersistent: Bool
  /// Whether a matrix-vector kernel computes it in place of a tiled one.
  public private(set) var isVector = false

  init(best: Problem.Candidate, tile: GEMMTile, problem: Problem, kernels: KernelClassModel) {
    microseconds = best.microseconds
    relativeErrorBand = kernels.fit.errorBand(microseconds: best.microseconds, isBatched: problem.batch > 1)
    self.kernels = kernels.kernels
    isPersistent = kernels.isPersistent
    self.tile = tile
    splitK = best.splitK
    let columns = (problem.n / Double(tile.n)).rounded(.up)
    let rows = (problem.m / Double(tile.m)).rounded(.up)
    // Sizes are at most 2^40 each and their product's bytes under 2^50, so that the counts fit an Int.
    grid = [Int(saturating: columns), Int(saturating: rows), Int(saturating: problem.batch) * best.splitK]
    fit = GridFit(
      blocks: Int(saturating: columns) * Int(saturating: rows) * Int(saturating: problem.batch) * best.splitK,
      blocksPerSM: isPersistent ? 1 : tile.blocksPerSM, smCount: Int(saturating: problem.smCount))
    paddingShare = 1 - problem.m * problem.n / (columns * Double(tile.n) * rows * Double(tile.m))
    let evaluated = problem.evaluate(tile, split: best.splitK, resident: Double(tile.blocksPerSM))
    limits = evaluated.limits
    powerLimitedGigahertz = evaluated.clockShare < 1 ? evaluated.clockShare * problem.clock / 1e3 : nil
    bound = nil
    roofMicroseconds = problem.roofMicroseconds
  }

  /// The same product on a matrix-vector kernel: one block for some columns, bound by the bytes of B.
  mutating func becomeVector(_ time: Double, _ kernels: KernelClassModel) {
    isVector = true
    microseconds = time
    relativeErrorBand = kernels.fit.errorBand(microseconds: time, isBatched: false)
    splitK = 1
    // Such kernels are modelled as streams, whatever L2 holds.
    roofMicroseconds = min(roofMicroseconds, time)
    let others = max(limits.math, limits.l2)
    limits = LimitTimes(math: others, l2: 0, latency: 0, memory: time, power: 0, fixed: 0)
    powerLimitedGigahertz = nil
  }

  /// The bound by majority over the calibration's fits: the first place must be the same in at least four of five, and in the prediction's own.
  /// Fits that disagree on whether power slows the math down agree on math.
  mutating func decideBound(_ votes: [Bound]) {
    guard let own = limits.bound else { return }
    func isAgreed(_ bounds: Set<Bound>) -> Bool { bounds.contains(own) && votes.count { bounds.contains($0) } * 5 >= votes.count * 4 }
    bound = isAgreed([own]) ? own : isAgreed([.math, .power]) ? .math : nil
  }
}

extension KernelModel {
  /// `predict`, with the bound decided by the ensemble: the same candidate evaluated under every fit.
  public func explain(_ gemm: GEMM) throws(KernelModelError) -> GEMMPrediction {
    var prediction = try predict(gemm)
    guard let peak = gpu.peakFLOPs(gemm.type) else { return prediction }
    let kernels = kernels(for: gemm)
    if prediction.isVector {
      prediction.bound = prediction.microseconds > 2 * (calibration.vectors ?? .usual).fixedMicroseconds ? .memory : .latency
      return prediction
    }
    var votes: [Bound] = []
    for constants in kernels.fit.ensemble {
      let problem = Problem(gemm: gemm, gpu: gpu, peakFLOPs: peak, kernels: kernels, constants: constants)
      let limits = problem.evaluate(prediction.tile, split: prediction.splitK, resident: Double(prediction.tile.blocksPerSM)).limits
      if let vote = limits.bound { votes.append(vote) }
    }
    prediction.decideBound(votes)
    return prediction
  }
}
