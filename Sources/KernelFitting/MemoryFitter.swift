import Glibc
public import GPUModel

/// Fits the constants of kernels bound by memory, and of matrix-vector products, to records.
public struct MemoryFitter: Sendable {
  /// Rounds of fitting the GPU's figures and the kinds' in turn; with one round the GPU's figures stay.
  public var rounds: Int
  /// Weight of the squared distance from the prior, in log space, for each constant of a kind: what few measurements leave open stays.
  public var regularization: Double

  /// A fitter.
  public init(rounds: Int = 4, regularization: Double = 0) {
    self.rounds = rounds
    self.regularization = regularization
  }

  /// Error of a prediction: relative over 2 us; under that, where a timer's step is 3 % of the time, absolute.
  static func error(_ predicted: Double, _ measured: Double) -> Double {
    measured > 2 ? abs(log(predicted / measured)) : abs(predicted - measured) / 2.5
  }

  /// Constants of one GPU. Kinds that were not measured keep those of `prior`.
  public func fit(_ measurements: [MemoryMeasurement], on gpu: GPU, prior: MemoryConstants) -> MemoryConstants {
    var constants = prior
    func loss(_ trial: MemoryConstants, _ kernels: [MemoryMeasurement]) -> Double {
      let model = KernelModel(gpu: gpu, calibration: .onTrial(trial))
      return kernels.reduce(0) { $0 + Self.error(model.predict($1.kernel).microseconds, $1.microseconds) } / Double(max(1, kernels.count))
    }
    func minimized(_ values: [Double], _ spread: Double, _ function: @escaping ([Double]) -> Double) -> [Double] {
      let start = values.map { log(max($0, 1e-4)) }
      let best = NelderMead.minimize(
        from: start, spread: start.map { _ in spread }, evaluations: 400,
        { point in
          // Beyond a factor of e^9 either way nothing changes any more.
          point.contains { abs($0) > 9.5 } ? 1e9 : function(point.map { exp($0) })
        })
      return best.point.map { exp($0) }
    }
    for round in 0..<rounds {
      for kind in MemoryKernel.Kind.allCases {
        let own = measurements.filter { $0.kernel.kind == kind }
        if own.isEmpty { continue }
        let known = prior.kinds[kind.rawValue].values
        let held = regularization * KernelFitter.fewness(own.count, of: 6)
        for spread in [0.5, -0.5] {
          let values = minimized(constants.kinds[kind.rawValue].values, spread) { values in
            var trial = constants
            trial.kinds[kind.rawValue] = .init(values)
            let distance = zip(values, known).reduce(0.0) { sum, pair in
              let step = log(max(pair.0, 1e-4) / max(pair.1, 1e-4))
              return sum + step * step
            }
            return loss(trial, own) + held * distance
          }
          // Without rows of their own nothing depends on what a row costs.
          constants.kinds[kind.rawValue] = .init(values)
          if !kind.worksByRow {
            constants.kinds[kind.rawValue].clocksPerColumn = 0
            constants.kinds[kind.rawValue].clocksPerRow = 0
          }
        }
      }
      if round + 1 == rounds { break }
      for spread in [0.2, -0.2] {
        let values = minimized(constants.values, spread) { values in
          loss(MemoryConstants(values, kinds: constants.kinds.map(\.values), errorBands: []), measurements)
        }
        constants = MemoryConstants(values, kinds: constants.kinds.map(\.values), errorBands: constants.errorBands)
      }
    }
    return constants
  }

  /// Where a fit starts: Hopper's clock and bus, round figures for the kinds.
  public static let start = MemoryConstants(
    [0.9, 34, 0.88, 0.6, 0.4, 3],
    kinds: [
      [0.05, 0.001, 0.5, 0.14, 0.17], [0.2, 0.001, 1, 0.27, 0.24], [0.45, 0.001, 0.05, 0.5, 0.6], [1.3, 1, 200, 0.28, 0.4],
      [0.45, 4, 10, 0.3, 0.2], [0.01, 0.001, 1, 0.08, 0.18], [0.4, 0.04, 0.4, 0.16, 0.02],
    ], errorBands: [0.15, 0.1, 0.1])

  /// Bands that hold 80 % of held-out pairs: under 2 us, 2 to 10 us, and longer.
  public static func bands(_ pairs: [(predicted: Double, measured: Double)]) -> [Double] {
    (0..<3).map { bucket in
      let errors = pairs.filter { ($0.predicted < 2 ? 0 : $0.predicted < 10 ? 1 : 2) == bucket }
        .map { abs($0.predicted - $0.measured) / $0.measured }.sorted()
      return errors.count < 5 ? 0.2 : (ErrorSummary.quantile(errors, 0.8) * 1000).rounded() / 1000
    }
  }

  /// Matrix-vector constants: one row of 32-bit elements, and two to four rows of fp32 where such a kernel beats the tiled ones of `calibration`.
  public static func vectors(_ sample: KernelFitter.Sample, _ calibration: KernelCalibration) -> VectorConstants? {
    let rows = sample.measurements.filter {
      $0.quantity == .kernel && $0.gemm.batch == 1 && $0.gemm.m <= 4 && $0.gemm.type.bytesPerElement == 4
        && ($0.gemm.m == 1 || $0.gemm.type == .fp32)
        && $0.gemm.n >= 64
    }
    guard rows.contains(where: { $0.gemm.m == 1 }) else { return nil }
    func loss(_ values: [Double]) -> Double {
      var trial = calibration
      trial.vectors = VectorConstants(
        fixedMicroseconds: values[0], memoryShare: min(1, values[1]), fewRowsMemoryShare: min(1, values[2]), clocksPerDepth: values[3])
      let model = KernelModel(gpu: sample.gpu, calibration: trial)
      return rows.reduce(0) { sum, row in
        sum + abs(log(((try? model.microseconds(row.gemm)) ?? 1e9) / row.microseconds)) * row.weight
      }
    }
    let usual = VectorConstants.usual
    var point = [usual.fixedMicroseconds, usual.memoryShare, usual.fewRowsMemoryShare, usual.clocksPerDepth].map { log($0) }
    for spread in [0.3, -0.2] {
      point = NelderMead.minimize(from: point, spread: point.map { _ in spread }, evaluations: 150) { loss($0.map { exp($0) }) }.point
    }
    let values = point.map { exp($0) }
    return VectorConstants(
      fixedMicroseconds: values[0], memoryShare: min(1, values[1]), fewRowsMemoryShare: min(1, values[2]), clocksPerDepth: values[3])
  }
}

extension KernelCalibration {
  /// Memory constants on trial.
  static func onTrial(_ memory: MemoryConstants) -> KernelCalibration {
    var calibration = KernelCalibrations.family(.wgmma)
    calibration.memory = memory
    return calibration
  }
}
