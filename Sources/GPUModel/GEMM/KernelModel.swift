import Glibc

/// Why a kernel cannot be predicted.
public enum KernelModelError: Error, Equatable, CustomStringConvertible {
  /// A size is zero, negative or beyond any GPU's memory.
  case badSize(String)
  /// The hardware has no such arithmetic.
  case unsupportedType(ComputeType, gpu: String)
  /// No tile of the family fits: a GPU description with too little shared memory or too few registers.
  case noTile(gpu: String)

  /// What was wrong and what to do.
  public var description: String {
    switch self {
    case .badSize(let text): "\(text): every size of a GEMM must be from 1 to 2^40, and its operands under 2^50 bytes"
    case .unsupportedType(let type, let gpu): "\(gpu) has no \(type.rawValue) matrix arithmetic; choose another --dtype"
    case .noTile(let gpu): "no tile fits \(gpu): check its registers and shared memory"
    }
  }
}

/// Predicts how long kernels take on one GPU.
///
/// A GEMM is tried with every tile and every split of k. A candidate's time is
///
///     fixed + join(math, L2, latency, memory) + waves * replacement + split-K reduction
///
/// where each limit is the time the launch would take if nothing else mattered, and `join` is the norm whose exponent says how well
/// the limits overlap. A persistent kernel's tiles follow each other inside a block: what one costs beyond its main loop is part of the
/// latency limit there, half of its epilogue hidden behind the next tile's loop. The fastest candidate is the prediction: libraries measure or model their choice in the same way. Long kernels
/// are slowed to what the board's power allows. Limits are expressed in clocks and bytes, so that constants carry over
/// between boards of a family. How tiles follow each other is a property of the class (`KernelClassModel.Succession`).
public struct KernelModel: Sendable {
  /// The GPU.
  public let gpu: GPU
  /// The constants and where they come from.
  public let calibration: KernelCalibration

  /// A model of `gpu` with these constants.
  public init(gpu: GPU, calibration: KernelCalibration) {
    self.gpu = gpu
    self.calibration = calibration
    classes = KernelClass.allCases.map { KernelClassModel($0, gpu: gpu, calibration: calibration) }
  }

  /// In the order of `KernelClass.allCases`.
  private let classes: [KernelClassModel]

  /// Tiles, constants and habits of the kernels that run a product.
  func kernels(for gemm: GEMM) -> KernelClassModel {
    switch KernelClass(gemm) {
    case .tensor16: classes[0]
    case .misaligned16: classes[1]
    case .tensor32: classes[2]
    case .misaligned32: classes[3]
    case .scalar32: classes[4]
    }
  }

  /// The fit that predicts a product.
  public func fit(for gemm: GEMM) -> KernelFit { kernels(for: gemm).fit }

  /// The tiles that are tried for a product.
  public func tiles(for gemm: GEMM) -> [GEMMTile] { kernels(for: gemm).tiles }

  /// The fastest candidate's time, with its geometry and what holds it up.
  public func predict(_ gemm: GEMM) throws(KernelModelError) -> GEMMPrediction {
    let kernels = kernels(for: gemm)
    let problem = Problem(gemm: gemm, gpu: gpu, peakFLOPs: try check(gemm), kernels: kernels)
    guard let best = problem.fastest(of: kernels.tiles) else { throw .noTile(gpu: gpu.name) }
    var prediction = GEMMPrediction(best: best, tile: kernels.tiles[best.tileIndex], problem: problem, kernels: kernels)
    if let vector = vectorMicroseconds(gemm), vector < prediction.microseconds || gemm.m == 1 { prediction.becomeVector(vector, kernels) }
    return prediction
  }

  /// The time alone: what the fitter minimizes the error of.
  public func microseconds(_ gemm: GEMM) throws(KernelModelError) -> Double {
    let kernels = kernels(for: gemm)
    let peak = try check(gemm)
    let vector = vectorMicroseconds(gemm)
    if gemm.m == 1, let vector { return vector }
    let problem = Problem(gemm: gemm, gpu: gpu, peakFLOPs: peak, kernels: kernels)
    guard let best = problem.fastest(of: kernels.tiles) else { throw .noTile(gpu: gpu.name) }
    return min(best.microseconds, vector ?? .infinity)
  }

  /// Products of few rows that libraries give to a matrix-vector kernel on ordinary pipes; nil for others.
  func vectorMicroseconds(_ gemm: GEMM) -> Double? {
    guard gemm.batch == 1, gemm.m <= VectorConstants.maximumRows else { return nil }
    guard let constants = calibration.vectors ?? (gpu.family == .ffma ? nil : KernelCalibrations.borrowedVectors) else { return nil }
    switch KernelClass(gemm) {
    case .scalar32: break
    case .tensor32, .misaligned32: if gemm.m > 1 { return nil }
    case .tensor16, .misaligned16: return nil
    }
    return constants.microseconds(gemm, on: gpu)
  }

  /// Each tile with its best split, fastest first: near ties, and the time of a tile that somebody else reported.
  public func alternatives(_ gemm: GEMM) throws(KernelModelError) -> [GEMMAlternative] {
    let kernels = kernels(for: gemm)
    let problem = Problem(gemm: gemm, gpu: gpu, peakFLOPs: try check(gemm), kernels: kernels)
    return kernels.tiles.compactMap { tile in
      problem.fastest(of: [tile]).map { GEMMAlternative(tile: tile, splitK: $0.splitK, microseconds: $0.microseconds) }
    }.sorted { $0.microseconds < $1.microseconds }
  }

  private func check(_ gemm: GEMM) throws(KernelModelError) -> Double {
    for (name, size) in [("batch", gemm.batch), ("m", gemm.m), ("n", gemm.n), ("k", gemm.k)] where size < 1 || size > 1 << 40 {
      throw .badSize("\(name) = \(size)")
    }
    guard gemm.bytes < 0x1p50, gemm.floatingPointOperations.isFinite else {
      throw .badSize("\(gemm.batch) x \(gemm.m) x \(gemm.n) x \(gemm.k)")
    }
    guard let peak = gpu.peakFLOPs(gemm.type) else { throw .unsupportedType(gemm.type, gpu: gpu.name) }
    return peak
  }
}

/// A tile with the split that suits it best.
public struct GEMMAlternative: Sendable, Hashable {
  /// The tile.
  public var tile: GEMMTile
  /// Parts of k.
  public var splitK: Int
  /// Its predicted time.
  public var microseconds: Double
}

/// Time each limit would take alone, microseconds.
public struct LimitTimes: Sendable, Hashable {
  /// Tensor or floating-point throughput of the busiest SM.
  public var math: Double
  /// Operand bytes from L2 into the busiest SM.
  public var l2: Double
  /// Dependent steps and block prologues.
  public var latency: Double
  /// Bytes from and to memory and L2.
  public var memory: Double
  /// The whole product under the board's power limit, weighted by how long the kernel runs.
  public var power: Double
  /// What is no limit: starting, writing out the last tile, joining split parts.
  public var fixed: Double

  /// The largest, power only where it stretches the kernel.
  public var ranked: [(Bound, Double)] {
    [(.math, math), (.l2, l2), (.latency, latency), (.memory, memory), (.power, power)].sorted { $0.1 > $1.1 }
  }

  /// What holds the kernel up: the largest limit, or, where starting, writing out and joining split parts take longer than that, fixed cost.
  var bound: Bound? { ranked.first.map { $0.1 < fixed ? .latency : $0.0 } }
}
