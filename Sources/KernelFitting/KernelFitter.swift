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

  /// What a fit came to.
  public struct Fitted: Sendable {
    /// The constants.
    public var constants: KernelConstants
    /// Gap of the replays, us: fitted where one GPU has replays and records, else the usual one.
    public var replayGapMicroseconds: Double

    /// Every field stated.
    public init(constants: KernelConstants, replayGapMicroseconds: Double) {
      self.constants = constants
      self.replayGapMicroseconds = replayGapMicroseconds
    }
  }

  /// Constants that minimize the mean absolute log error of one class of kernels, GPUs weighted alike; log error treats "twice as long" and
  /// "half" alike. Replays are compared with kernel + gap, records with the kernel alone.
  public func fit(
    _ samples: [Sample], of kernels: KernelClass = .tensor16, prior: KernelConstants, seed: UInt64,
    replayGapMicroseconds: Double = KernelCalibration.usualReplayGapMicroseconds
  ) -> Fitted {
    let sets = samples.map { Groups($0, of: kernels) }
    // Only records beside replays of the same GPU tell the gap from the fixed time.
    let fitsGap = sets.contains { $0.replays.isEmpty == false && $0.records.isEmpty == false }
    let origin = prior.values.map { log($0) } + (fitsGap ? [log(replayGapMicroseconds)] : [])
    let count = prior.values.count
    var generator = SplitMix64(seed: seed)
    func gap(_ point: [Double]) -> Double {
      point.count > count ? min(max(exp(point[count]), Self.gapRange.lowerBound), Self.gapRange.upperBound) : replayGapMicroseconds
    }
    func constants(_ point: [Double]) -> KernelConstants? { KernelConstants(values: point.prefix(count).map { exp($0) }) }
    func loss(_ point: [Double]) -> Double {
      guard let constants = constants(point) else { return 1e9 }
      let gap = gap(point)
      var total = 0.0
      for set in sets { total += set.loss(constants, of: kernels, gap: gap) }
      total /= Double(max(1, sets.count))
      for (index, value) in point.enumerated() {
        // Outside its bounds a constant is clamped: without a slope back the search would wander there.
        let outside = value - log(index < count ? constants.values[index] : gap)
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
    return Fitted(constants: constants(point) ?? prior, replayGapMicroseconds: gap(point))
  }

  /// Gaps between kernels of a graph: nothing is shorter than 0.1 us, and an empty node's whole period is 0.6 us.
  static let gapRange = 0.1...0.5

  /// A GPU's measurements of one class, by what was timed.
  struct Groups: Sendable {
    var gpu: GPU
    var replays: [Measurement] = []
    var records: [Measurement] = []
    var batched: [Measurement] = []

    init(_ sample: Sample, of kernels: KernelClass) {
      gpu = sample.gpu
      for measurement in sample.measurements where KernelClass(measurement.gemm) == kernels {
        // One row of 32-bit elements is a matrix-vector kernel's, which has constants of its own.
        if measurement.gemm.m == 1, measurement.gemm.batch == 1, kernels != .tensor16, kernels != .misaligned16 { continue }
        if measurement.gemm.batch > 1 {
          batched.append(measurement)
        } else if measurement.quantity == .replay {
          replays.append(measurement)
        } else {
          records.append(measurement)
        }
      }
    }

    /// Replays count one and a half times, for there are more shapes of them, and batched products half, for there are few.
    func loss(_ constants: KernelConstants, of kernels: KernelClass, gap: Double) -> Double {
      let model = KernelModel(gpu: gpu, calibration: .onTrial(constants, of: kernels))
      var (total, weights) = (0.0, 0.0)
      for (group, weight) in [(replays, 1.5), (records, 1.0), (batched, 0.5)] where !group.isEmpty {
        var (sum, count) = (0.0, 0.0)
        for measurement in group {
          guard let predicted = try? model.microseconds(measurement.gemm) else { return 1e9 }
          let expected = measurement.quantity == .replay ? predicted + gap : predicted
          // Without records short kernels count three times: most of what serving launches is short, and few of the shapes are.
          let share = records.isEmpty && measurement.quantity == .replay && measurement.microseconds < 15 ? 3.0 : 1.0
          sum += abs(log(expected / measurement.microseconds)) * measurement.weight * share
          count += measurement.weight * share
        }
        total += weight * sum / max(count, 1e-9)
        weights += weight
      }
      return weights > 0 ? total / weights : 0
    }
  }

  /// Predictions beside measurements: what each of them timed, gap included for replays.
  public static func predictions(_ sample: Sample, _ calibration: KernelCalibration) -> [Double] {
    let model = KernelModel(gpu: sample.gpu, calibration: calibration)
    return sample.measurements.map { measurement in
      let time = (try? model.microseconds(measurement.gemm)) ?? .nan
      return measurement.quantity == .replay ? time + calibration.replayGapMicroseconds : time
    }
  }

  /// A calibration of one GPU from few measurements of any types: each class that has enough of them is held near its prior, with fits that
  /// leave out a quarter of the points each; classes without measurements stay as they are.
  ///
  /// - Parameters:
  ///   - memory: kernels bound by memory; the costs of their kinds are held near the prior's.
  ///   - source: what was measured, in words: "24 measurements of records.csv".
  ///   - minimum: measurements of a class under which it stays as it was. Below `minimumMeasurements` nothing can be left out: the prior's
  ///     bands and the prior's other fits stay then.
  public func calibrate(
    _ sample: Sample, memory: [MemoryMeasurement] = [], prior: KernelCalibration, source: String,
    minimum: Int = KernelFitter.minimumMeasurements
  ) -> KernelCalibration {
    var calibration = prior
    calibration.name = sample.gpu.name
    calibration.isMeasured = true
    for kernels in KernelClass.allCases {
      var own = sample
      own.measurements = sample.measurements.filter { KernelClass($0.gemm) == kernels }
      if own.measurements.isEmpty || own.measurements.count < minimum { continue }
      let before = prior.fit(for: kernels, on: sample.gpu)
      var fitter = self
      fitter.regularization *= Self.fewness(own.measurements.count, of: 24)
      let fitted = fitter.fit([own], of: kernels, prior: before.constants, seed: 1, replayGapMicroseconds: prior.replayGapMicroseconds)
      let isEnough = own.measurements.count >= Self.minimumMeasurements
      let left = isEnough ? fitter.leavingOut(own, kernels, before.constants) : nil
      let new = KernelFit(
        constants: fitted.constants, ensemble: left?.ensemble ?? before.ensemble,
        errorBands: left.map { ErrorSummary.bands($0.held, fallback: before.errorBands) } ?? before.errorBands,
        batchedErrorBands: before.batchedErrorBands, source: "\(own.measurements.count) of \(source)")
      if kernels == .tensor16 {
        calibration.main = new
        calibration.replayGapMicroseconds = fitted.replayGapMicroseconds
      } else {
        calibration.others[kernels] = new
      }
    }
    if !memory.isEmpty {
      calibration.memory = MemoryFitter(rounds: 1, regularization: regularization)  // Each kind's own number of sizes scales it.
        .fit(memory, on: sample.gpu, prior: prior.memory ?? KernelCalibrations.borrowedMemory)
    }
    if calibration.main == prior.main { calibration.source = "\(source); 16-bit products as before: \(prior.source)" }
    return calibration
  }

  /// How much closer to the prior few measurements are held than the number that decides all constants: three sizes of one model met
  /// exactly made the others of an H100 twice as wrong.
  static func fewness(_ count: Int, of enough: Int) -> Double {
    let ratio = Double(enough) / Double(max(1, count))
    return min(100, max(1, ratio * ratio))
  }

  /// Fits without a quarter of the measurements each, and what they predict of that quarter.
  private func leavingOut(_ own: Sample, _ kernels: KernelClass, _ prior: KernelConstants) -> (
    ensemble: [KernelConstants], held: [(predicted: Double, measured: Double)]
  ) {
    var ensemble: [KernelConstants] = []
    var held: [(predicted: Double, measured: Double)] = []
    for fold in 0..<4 {
      var (rest, out) = (own, own)
      rest.measurements = own.measurements.enumerated().filter { $0.offset % 4 != fold }.map(\.element)
      out.measurements = own.measurements.enumerated().filter { $0.offset % 4 == fold }.map(\.element)
      let partial = fit([rest], of: kernels, prior: prior, seed: UInt64(clamping: fold) + 2)
      ensemble.append(partial.constants)
      var trial = KernelCalibration.onTrial(partial.constants, of: kernels)
      trial.replayGapMicroseconds = partial.replayGapMicroseconds
      held += zip(Self.predictions(out, trial), out.measurements.map(\.microseconds)).map { ($0, $1) }
    }
    return (ensemble, held)
  }

  /// Measurements of a class under which it stays as it was: held near a prior, a dozen already say more than none.
  public static let minimumMeasurements = 12

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
  /// Constants on trial for one class of kernels.
  public static func onTrial(_ constants: KernelConstants, of kernels: KernelClass = .tensor16) -> KernelCalibration {
    let fit = KernelFit(constants: constants, ensemble: [], errorBands: [], source: "")
    return KernelCalibration(name: "", isMeasured: false, main: fit, others: kernels == .tensor16 ? [:] : [kernels: fit])
  }
}
