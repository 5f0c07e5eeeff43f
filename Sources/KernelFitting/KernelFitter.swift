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

  /// Steps that a search tries at most; most stop by themselves before a hundred.
  public var steps: Int
  /// Weight of the squared distance from the prior, in log space, for each constant (a ridge): what the measurements leave open stays there.
  public var regularization: Double

  /// A fitter.
  public init(steps: Int = 200, regularization: Double = 0) {
    self.steps = steps
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
  ///
  /// - Parameter vectors: matrix-vector constants, where such kernels compete with tiled ones of the class.
  public func fit(
    _ samples: [Sample], of kernels: KernelClass = .tensor16, prior: KernelConstants,
    replayGapMicroseconds: Double = KernelCalibration.usualReplayGapMicroseconds, vectors: VectorConstants? = nil
  ) -> Fitted {
    let sets = samples.map { Groups($0, of: kernels) }
    // Only records beside replays of the same GPU tell the gap from the fixed time.
    let fitsGap = sets.contains { $0.replays.isEmpty == false && $0.records.isEmpty == false }
    let origin = prior.values.map { log($0) } + (fitsGap ? [log(replayGapMicroseconds)] : [])
    let count = prior.values.count
    func gap(_ point: [Double]) -> Double { point.count > count ? exp(point[count]) : replayGapMicroseconds }
    func constants(_ point: [Double]) -> KernelConstants? { KernelConstants(values: point.prefix(count).map { exp($0) }) }
    let ranges = KernelConstants.Name.allCases.map(\.bounds) + (fitsGap ? [Self.gapRange] : [])
    let search = LeastDeviations(
      weights: sets.flatMap { set in set.weights.map { $0 / Double(sets.count) } },
      bounds: ranges.map { log($0.lowerBound)...log($0.upperBound) }, ridge: regularization, center: origin, steps: steps
    ) { point in
      guard let constants = constants(point) else { return nil }
      var calibration = KernelCalibration.onTrial(constants, of: kernels)
      calibration.vectors = vectors
      var found: [Double] = []
      for set in sets {
        guard let own = set.residuals(calibration, gap: gap(point)) else { return nil }
        found += own
      }
      return found
    }
    let best = search.minimized(from: origin)
    return Fitted(constants: constants(best.point) ?? prior, replayGapMicroseconds: gap(best.point))
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

    /// All of them, in the order of `weights` and `residuals`.
    private var all: [Measurement] { replays + records + batched }

    /// What each counts: replays one and a half times, for there are more shapes of them, and batched products half, for there are few.
    var weights: [Double] {
      var found: [Double] = []
      var total = 0.0
      for (group, weight) in [(replays, 1.5), (records, 1.0), (batched, 0.5)] where !group.isEmpty {
        // Without records short kernels count three times: most of what serving launches is short, and few of the shapes are.
        let own = group.map {
          $0.weight * (records.isEmpty && $0.quantity == .replay && $0.microseconds < KernelFitter.shortMicroseconds ? 3 : 1)
        }
        let count = own.reduce(0, +)
        found += own.map { $0 * weight / max(count, 1e-9) }
        total += weight
      }
      return total > 0 ? found.map { $0 / total } : found
    }

    /// Logarithm of predicted over measured; nil where a product cannot be predicted.
    func residuals(_ calibration: KernelCalibration, gap: Double) -> [Double]? {
      let model = KernelModel(gpu: gpu, calibration: calibration)
      var found: [Double] = []
      for measurement in all {
        guard let predicted = try? model.microseconds(measurement.gemm) else { return nil }
        let expected = measurement.quantity == .replay ? predicted + gap : predicted
        found.append(log(expected / measurement.microseconds))
      }
      return found
    }
  }

  /// Under it a kernel is short.
  static let shortMicroseconds = 15.0

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
      let fitted = fitter.fit(
        [own], of: kernels, prior: before.constants, replayGapMicroseconds: prior.replayGapMicroseconds,
        vectors: prior.vectors)
      let isEnough = own.measurements.count >= Self.minimumMeasurements
      let left = isEnough ? fitter.leavingOut(own, kernels, before.constants, prior.vectors) : nil
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
  private func leavingOut(_ own: Sample, _ kernels: KernelClass, _ prior: KernelConstants, _ vectors: VectorConstants?) -> (
    ensemble: [KernelConstants], held: [(predicted: Double, measured: Double)]
  ) {
    var ensemble: [KernelConstants] = []
    var held: [(predicted: Double, measured: Double)] = []
    for fold in 0..<4 {
      var (rest, out) = (own, own)
      rest.measurements = own.measurements.enumerated().filter { $0.offset % 4 != fold }.map(\.element)
      out.measurements = own.measurements.enumerated().filter { $0.offset % 4 == fold }.map(\.element)
      let partial = fit([rest], of: kernels, prior: prior, vectors: vectors)
      ensemble.append(partial.constants)
      var trial = KernelCalibration.onTrial(partial.constants, of: kernels)
      trial.replayGapMicroseconds = partial.replayGapMicroseconds
      trial.vectors = vectors
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
