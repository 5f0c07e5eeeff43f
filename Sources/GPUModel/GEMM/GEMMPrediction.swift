import CheckedNumbers

/// A GEMM's predicted time, the kernel that is expected to run it, and what holds it up.
public struct GEMMPrediction: Sendable, Hashable {
  /// The product.
  public var microseconds: Double
  /// Half-width of the 80 % band as a share of the time, from cross-validation.
  public var relativeErrorBand: Double
  /// The tile.
  public var tile: GEMMTile
  /// Parts of k.
  public var splitK: Int
  /// Blocks in x (n), y (m) and z (batch times split).
  public var grid: [Int]
  /// Waves, SM fill and slot efficiency of that grid.
  public var fit: GridFit
  /// Computed elements that are padding: 1 - m n / (tiles' area).
  public var paddingShare: Double
  /// What each limit would take alone.
  public var limits: LimitTimes
  /// What holds the kernel up; nil where fits of resampled data disagree.
  public var bound: Bound?

  init(best: Problem.Candidate, tile: GEMMTile, problem: Problem, calibration: KernelCalibration) {
    microseconds = best.microseconds
    relativeErrorBand = calibration.errorBand(microseconds: best.microseconds)
    self.tile = tile
    splitK = best.splitK
    let columns = (problem.n / Double(tile.n)).rounded(.up)
    let rows = (problem.m / Double(tile.m)).rounded(.up)
    // Sizes are at most 2^40 each and their product's bytes under 2^50, so that the counts fit an Int.
    grid = [Int(saturating: columns), Int(saturating: rows), Int(saturating: problem.batch) * best.splitK]
    fit = GridFit(
      blocks: Int(saturating: columns) * Int(saturating: rows) * Int(saturating: problem.batch) * best.splitK,
      blocksPerSM: tile.blocksPerSM, smCount: Int(saturating: problem.smCount))
    paddingShare = 1 - problem.m * problem.n / (columns * Double(tile.n) * rows * Double(tile.m))
    limits = problem.evaluate(tile, split: best.splitK, resident: Double(tile.blocksPerSM)).limits
    bound = nil
  }

  /// The bound by majority over the calibration's fits: the first place must be the same in at least four of five, and in the prediction's own.
  mutating func decideBound(_ votes: [Bound]) {
    guard let own = limits.ranked.first?.0 else { return }
    let agreeing = votes.count { $0 == own }
    bound = agreeing * 5 >= votes.count * 4 ? own : nil
  }
}

extension KernelModel {
  /// `predict`, with the bound decided by the ensemble: the same candidate evaluated under every fit.
  public func explain(_ gemm: GEMM) throws(KernelModelError) -> GEMMPrediction {
    var prediction = try predict(gemm)
    guard let peak = gpu.peakFLOPs(gemm.type) else { return prediction }
    var votes: [Bound] = []
    for constants in calibration.ensemble {
      let problem = Problem(gemm: gemm, gpu: gpu, peakFLOPs: peak, constants: constants)
      let limits = problem.evaluate(prediction.tile, split: prediction.splitK, resident: Double(prediction.tile.blocksPerSM)).limits
      if let first = limits.ranked.first { votes.append(first.0) }
    }
    prediction.decideBound(votes)
    return prediction
  }
}
