import Glibc
public import GPUModel
import TimeBase

/// Fits the kernel model's constants to measurements: the same compiled model that predicts, so that nothing is lost in a port.
public struct KernelFitter: Sendable {
  /// Measurements of one GPU.
  public struct Sample: Sendable {
    /// The GPU they were made on.
    public var gpu: GPU
    /// What was measured.
    public var measurements: [Measurement]

    /// Measurements of one GPU.
    public init(gpu: GPU, measurements: [Measurement]) {
      self.gpu = gpu
      self.measurements = measurements
    }
  }

  /// Calls of the loss function in one fit.
  public var evaluations: Int
  /// Weight of the squared distance from the prior, in log space, for each constant. 0.03 was best with 24 points in the study the
  /// model starts from; 0 with hundreds.
  public var regularization: Double

  /// A fitter.
  public init(evaluations: Int = 2500, regularization: Double = 0) {
    self.evaluations = evaluations
    self.regularization = regularization
  }

  /// Constants that minimize the mean absolute log error, GPUs weighted alike; log error treats "twice as long" and "half" alike.
  public func fit(_ samples: [Sample], prior: KernelConstants, seed: UInt64) -> KernelConstants {
    let origin = prior.values.map { log($0) }
    var generator = SplitMix64(seed: seed)
    func constants(_ point: [Double]) -> KernelConstants? { KernelConstants(values: point.map { exp($0) }) }
    func loss(_ point: [Double]) -> Double {
      guard let constants = constants(point) else { return 1e9 }
      var total = 0.0
      for sample in samples { total += Self.meanLogError(sample, constants) }
      total /= Double(max(1, samples.count))
      for (index, value) in point.enumerated() {
        // Outside its bounds a constant is clamped: without a slope back the search would wander there.
        let outside = value - log(constants.values[index])
        total += 0.01 * outside * outside + regularization * (value - origin[index]) * (value - origin[index])
      }
      return total
    }
    var point = origin
    // Restarts with a fresh simplex: a flat one stops moving before the minimum.
    for _ in 0..<3 {
      let spread = point.map { _ in generator.next() & 1 == 0 ? 0.35 : -0.35 }
      point = NelderMead.minimize(from: point, spread: spread, evaluations: evaluations / 3, loss).point
    }
    return constants(point) ?? prior
  }

  static func meanLogError(_ sample: Sample, _ constants: KernelConstants) -> Double {
    let model = KernelModel(gpu: sample.gpu, calibration: .unnamed(constants))
    var total = 0.0
    for measurement in sample.measurements {
      guard let predicted = try? model.microseconds(measurement.gemm) else { return 1e9 }
      total += abs(log(predicted / measurement.microseconds))
    }
    return total / Double(max(1, sample.measurements.count))
  }

  /// Predictions beside measurements.
  public static func predictions(_ sample: Sample, _ constants: KernelConstants) -> [Double] {
    let model = KernelModel(gpu: sample.gpu, calibration: .unnamed(constants))
    return sample.measurements.map { (try? model.microseconds($0.gemm)) ?? .nan }
  }

  /// A calibration of one GPU from few measurements, held near its family's constants, with fits that leave out a quarter of the points each.
  public func calibrate(_ sample: Sample, prior: KernelCalibration, source: String) -> KernelCalibration {
    let constants = fit([sample], prior: prior.constants, seed: 1)
    var ensemble: [KernelConstants] = []
    var held: [(predicted: Double, measured: Double)] = []
    for fold in 0..<4 {
      var rest = sample
      rest.measurements = sample.measurements.enumerated().filter { $0.offset % 4 != fold }.map(\.element)
      let partial = fit([rest], prior: prior.constants, seed: UInt64(clamping: fold) + 2)
      ensemble.append(partial)
      let out = Sample(gpu: sample.gpu, measurements: sample.measurements.enumerated().filter { $0.offset % 4 == fold }.map(\.element))
      held += zip(Self.predictions(out, partial), out.measurements.map(\.microseconds)).map { ($0, $1) }
    }
    return KernelCalibration(
      name: sample.gpu.name, isMeasured: true, source: source, constants: constants, ensemble: ensemble,
      errorBands: ErrorSummary.bands(held, fallback: prior.errorBands))
  }

  /// Whole weight shapes are dealt to folds, so that no fold has seen a weight matrix it is tested on.
  public static func folds(_ measurements: [Measurement], count: Int, seed: UInt64) -> [Int] {
    struct Weights: Hashable {
      var n: Int
      var k: Int
    }
    var shapes = Array(Set(measurements.map { Weights(n: $0.gemm.n, k: $0.gemm.k) })).sorted { ($0.n, $0.k) < ($1.n, $1.k) }
    var generator = SplitMix64(seed: seed)
    shapes.shuffle(using: &generator)
    let fold = Dictionary(uniqueKeysWithValues: shapes.enumerated().map { ($1, $0 % count) })
    return measurements.map { fold[Weights(n: $0.gemm.n, k: $0.gemm.k)] ?? 0 }
  }
}

extension KernelCalibration {
  /// Constants on trial.
  static func unnamed(_ constants: KernelConstants) -> KernelCalibration {
    KernelCalibration(name: "", isMeasured: false, source: "", constants: constants, ensemble: [], errorBands: [])
  }
}
