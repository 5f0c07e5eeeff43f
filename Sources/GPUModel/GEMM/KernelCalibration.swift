/// Constants of one class of kernels with what is known about them.
public struct KernelFit: Sendable, Hashable {
  /// The constants that predictions use.
  public var constants: KernelConstants
  /// Further fits of the same data, on resampled weight shapes: where they disagree on what limits a kernel, nothing is claimed.
  public var ensemble: [KernelConstants]
  /// 80 % error band (share of the prediction) for kernels under 10 us, 10 to 100 us, and longer; from cross-validation.
  public var errorBands: [Double]
  /// The same for batched products.
  public var batchedErrorBands: [Double]
  /// Data, date and error, in words.
  public var source: String

  /// Every field stated.
  public init(
    constants: KernelConstants, ensemble: [KernelConstants], errorBands: [Double], batchedErrorBands: [Double]? = nil, source: String
  ) {
    self.constants = constants
    self.ensemble = ensemble
    self.errorBands = errorBands
    self.batchedErrorBands = batchedErrorBands ?? errorBands
    self.source = source
  }

  /// The band for a kernel of this length.
  public func errorBand(microseconds: Double, isBatched: Bool) -> Double {
    let bands = isBatched ? batchedErrorBands : errorBands
    let index = microseconds < 10 ? 0 : microseconds < 100 ? 1 : 2
    return index < bands.count ? bands[index] : 0.5
  }
}

/// What is known of a GPU's kernels: constants of each class of products, and of kernels bound by memory.
public struct KernelCalibration: Sendable, Hashable {
  /// "A100 SXM4 80GB", or "family wgmma".
  public var name: String
  /// Whether measurements of this very GPU went in.
  public var isMeasured: Bool
  /// 16-bit products on tensor cores with aligned rows: what most of serving runs.
  public var main: KernelFit
  /// Other classes that were fitted; see `fit(for:on:)` for those that were not.
  public var others: [KernelClass: KernelFit]
  /// Products of few rows on ordinary pipes; nil where nothing was fitted.
  public var vectors: VectorConstants?
  /// Kernels bound by memory; nil where nothing was fitted.
  public var memory: MemoryConstants?
  /// From one kernel's end to the next one's start in the graphs whose replays were fitted, us: a replay's period is kernel plus this gap.
  public var replayGapMicroseconds: Double
  /// What a user's calibration was made from, part by part; empty for constants that ship.
  public var origins: [CalibrationOrigin] = []

  /// The gap of replays where records and replays were not both at hand to fit it: what they gave on Hopper.
  public static let usualReplayGapMicroseconds = 0.35

  /// Every field stated.
  public init(
    name: String, isMeasured: Bool, main: KernelFit, others: [KernelClass: KernelFit] = [:], vectors: VectorConstants? = nil,
    memory: MemoryConstants? = nil, replayGapMicroseconds: Double = KernelCalibration.usualReplayGapMicroseconds
  ) {
    self.name = name
    self.isMeasured = isMeasured
    self.main = main
    self.others = others
    self.vectors = vectors
    self.memory = memory
    self.replayGapMicroseconds = replayGapMicroseconds
  }

  /// A calibration of the main class alone.
  public init(
    name: String, isMeasured: Bool, source: String, constants: KernelConstants, ensemble: [KernelConstants], errorBands: [Double]
  ) {
    self.init(
      name: name, isMeasured: isMeasured, main: KernelFit(constants: constants, ensemble: ensemble, errorBands: errorBands, source: source))
  }

  /// The main class's constants.
  public var constants: KernelConstants {
    get { main.constants }
    set { main.constants = newValue }
  }
  /// The main class's further fits.
  public var ensemble: [KernelConstants] { main.ensemble }
  /// The main class's bands.
  public var errorBands: [Double] {
    get { main.errorBands }
    set { main.errorBands = newValue }
  }
  /// Data, date and error of the main class, in words.
  public var source: String {
    get { main.source }
    set { main.source = newValue }
  }

  /// The main class's band for a single product of this length.
  public func errorBand(microseconds: Double) -> Double { main.errorBand(microseconds: microseconds, isBatched: false) }

  /// Constants for a class of kernels: its own fit; else, for tf32, the main class's; for fp32 without tensor cores those of the board whose
  /// records were fitted, since clocks and bytes carry over; for misaligned rows the main class's at a share of its rates, which is assumed.
  public func fit(for kernels: KernelClass, on gpu: GPU) -> KernelFit {
    if kernels == .tensor16 { return main }
    if let own = others[kernels] { return own }
    let borrowed = KernelCalibrations.measured.first { $0.others[kernels] != nil && $0.name != name }
    switch kernels {
    case .tensor16, .tensor32: return main
    case .scalar32:
      guard let borrowed, var fit = borrowed.others[kernels] else { return main }
      fit.source = "fp32 constants of \(borrowed.name): \(fit.source)"
      fit.errorBands = fit.errorBands.map { min(0.5, 2 * $0) }
      fit.batchedErrorBands = fit.batchedErrorBands.map { min(0.5, 2 * $0) }
      return fit
    case .misaligned16, .misaligned32:
      var fit = main
      var values = main.constants.values
      values[KernelConstants.Name.sustainedMathShare.rawValue] *= Self.assumedMisalignedShare
      values[KernelConstants.Name.l2BytesPerClockPerSM.rawValue] *= Self.assumedMisalignedShare
      fit.constants = .clamped(values)
      fit.ensemble = []
      fit.errorBands = [0.5, 0.5, 0.5]
      fit.batchedErrorBands = fit.errorBands
      fit.source = "assumed: \(Self.assumedMisalignedShare) of the aligned kernels' rates; no misaligned product was measured on this GPU"
      return fit
    }
  }

  /// Of the aligned kernels' rates, where no misaligned product was measured. On Hopper, whose aligned kernels use other instructions, it is less.
  private static let assumedMisalignedShare = 0.6
}
