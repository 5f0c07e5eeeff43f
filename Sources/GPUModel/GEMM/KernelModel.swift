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
/// the limits overlap. The fastest candidate is the prediction: libraries measure or model their choice in the same way. Long kernels
/// are slowed to what the board's power allows. Limits are expressed in clocks and bytes, so that constants carry over
/// between boards of a family.
public struct KernelModel: Sendable {
  /// The GPU.
  public let gpu: GPU
  /// The constants and where they come from.
  public let calibration: KernelCalibration

  /// A model of `gpu` with these constants.
  public init(gpu: GPU, calibration: KernelCalibration) {
    self.gpu = gpu
    self.calibration = calibration
    tables = Dictionary(
      uniqueKeysWithValues: [4, 2].map { bytes in
        (bytes, GEMMTile.sizes(of: gpu.family).compactMap { GEMMTile(m: $0.0, n: $0.1, elementBytes: bytes, on: gpu) })
      })
    simtTiles = {
      var simt = gpu
      simt.family = .ffma
      return GEMMTile.sizes(of: .ffma).compactMap { GEMMTile(m: $0.0, n: $0.1, elementBytes: 4, on: simt) }
    }()
  }

  private let tables: [Int: [GEMMTile]]
  /// fp32 runs on the ordinary pipes of every GPU.
  private let simtTiles: [GEMMTile]

  /// The tiles that are tried for a type.
  public func tiles(for type: ComputeType) -> [GEMMTile] { type == .fp32 ? simtTiles : tables[type.bytesPerElement] ?? [] }

  /// The fastest candidate's time, with its geometry and what holds it up.
  public func predict(_ gemm: GEMM) throws(KernelModelError) -> GEMMPrediction {
    let peak = try check(gemm)
    let problem = Problem(gemm: gemm, gpu: gpu, peakFLOPs: peak, constants: calibration.constants)
    let tiles = tiles(for: gemm.type)
    guard let best = problem.fastest(of: tiles) else { throw .noTile(gpu: gpu.name) }
    return GEMMPrediction(best: best, tile: tiles[best.tileIndex], problem: problem, calibration: calibration)
  }

  /// The time alone: what the fitter minimizes the error of.
  public func microseconds(_ gemm: GEMM) throws(KernelModelError) -> Double {
    let problem = Problem(gemm: gemm, gpu: gpu, peakFLOPs: try check(gemm), constants: calibration.constants)
    guard let best = problem.fastest(of: tiles(for: gemm.type)) else { throw .noTile(gpu: gpu.name) }
    return best.microseconds
  }

  /// Each tile with its best split, fastest first: near ties, and the time of a tile that somebody else reported.
  public func alternatives(_ gemm: GEMM) throws(KernelModelError) -> [GEMMAlternative] {
    let problem = Problem(gemm: gemm, gpu: gpu, peakFLOPs: try check(gemm), constants: calibration.constants)
    return tiles(for: gemm.type).compactMap { tile in
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

  /// The largest, power only where it stretches the kernel.
  public var ranked: [(Bound, Double)] {
    [(.math, math), (.l2, l2), (.latency, latency), (.memory, memory), (.power, power)].sorted { $0.1 > $1.1 }
  }
}

/// One product on one GPU with one set of constants; everything that does not depend on the candidate is computed once.
struct Problem {
  let batch: Double
  let m: Double
  let n: Double
  let k: Double
  let elementBytes: Double
  let smCount: Double
  /// Clocks in a microsecond.
  let clock: Double
  let fixed: Double
  let step: Double
  let block: Double
  /// Microseconds for one FLOP on one SM.
  let mathCost: Double
  /// Microseconds for one byte from L2 into one SM.
  let l2Cost: Double
  let exponent: Double
  let splitFixed: Double
  let splitCost: Double
  let wave: Double
  let uniqueMicroseconds: Double
  let reloadCost: Double
  let operandBytes: Double
  let powerMicroseconds: Double
  let powerTime: Double

  /// What a candidate came to.
  struct Candidate {
    var tileIndex: Int
    var splitK: Int
    var microseconds: Double
  }

  init(gemm: GEMM, gpu: GPU, peakFLOPs: Double, constants: KernelConstants) {
    batch = Double(gemm.batch)
    m = Double(gemm.m)
    n = Double(gemm.n)
    k = Double(gemm.k)
    elementBytes = Double(gemm.type.bytesPerElement)
    smCount = Double(max(1, gpu.smCount))
    clock = gpu.modelGigahertz * 1e3
    fixed = constants[.fixedMicroseconds]
    step = constants[.stepClocks]
    block = constants[.blockClocks]
    mathCost = 1e6 * smCount / (peakFLOPs * constants[.sustainedMathShare])
    l2Cost = 1 / (constants[.l2BytesPerClockPerSM] * clock)
    exponent = 1 + constants[.joinExponent]
    splitFixed = constants[.splitMicroseconds]
    let bandwidth = gpu.memoryGigabytesPerSecond * 1e3 * constants[.memoryShare]
    let warm = bandwidth * (1 + constants[.warmSpeedup])
    splitCost = constants[.splitTraffic] * batch * m * n * 4 / warm
    wave = constants[.waveNanoseconds] * 1e-3
    let (a, b, c) = (gemm.operandABytes, batch * n * k * elementBytes, batch * m * n * elementBytes)
    let l2 = max(1, gpu.l2Megabytes * 1e6)
    func cold(_ workingSet: Double) -> Double { min(max((workingSet / l2 - constants[.missStart]) / constants[.missSpan], 0), 1) }
    let coldWeights = cold((gemm.footprintBytes ?? 5 * b) + a + c)
    let coldActivations = cold(a + b + c)
    uniqueMicroseconds =
      (coldWeights * b + coldActivations * (a + c)) / bandwidth + ((1 - coldWeights) * b + (1 - coldActivations) * (a + c)) / warm
    reloadCost = coldActivations * coldWeights * constants[.reloadShare] / bandwidth
    operandBytes = a + b
    powerMicroseconds = constants[.powerMicroseconds]
    powerTime = gemm.floatingPointOperations * constants[.picojoulesPerFLOP] * 1e-12 / max(1, gpu.boardPowerWatts) * 1e6
  }

  /// Limits of one candidate and its total.
  func evaluate(_ tile: GEMMTile, split: Int, resident: Double) -> (limits: LimitTimes, microseconds: Double, blocks: Double) {
    let (tileM, tileN) = (Double(tile.m), Double(tile.n))
    let parts = Double(split)
    let steps = (k / parts / Double(tile.k)).rounded(.up)
    let depth = steps * Double(tile.k)
    let blocks = batch * (m / tileM).rounded(.up) * (n / tileN).rounded(.up) * parts
    let perSM = (blocks / smCount).rounded(.up)
    let math = perSM * 2 * tileM * tileN * depth * mathCost
    let l2 = perSM * (tileM + tileN) * depth * elementBytes * l2Cost
    // One step is 64 bytes of k in the constants' unit, whatever the tile's own depth.
    let latency = (perSM / resident).rounded(.up) * (depth * elementBytes / 64 * step + block) / clock
    let ideal = 2 * batch * m * n * k * elementBytes / (min(blocks, smCount * resident) * tileM * tileN).squareRoot()
    let memory = uniqueMicroseconds + reloadCost * max(0, ideal - operandBytes)
    let top = max(max(math, l2), max(latency, memory)) + 1e-9
    let sum =
      pow(math / top, exponent) + pow(l2 / top, exponent) + pow(latency / top, exponent) + pow(memory / top, exponent)
    var body = top * pow(sum, 1 / exponent)
    let weight = body / (body + powerMicroseconds)
    let powered = weight * powerTime + (1 - weight) * body
    let isPowerLimited = powered > body
    if isPowerLimited { body = powered }
    let reduction = split > 1 ? splitFixed + splitCost * parts : 0
    let total = fixed + body + reduction + wave * perSM * min(smCount, blocks) / smCount
    let limits = LimitTimes(math: math, l2: l2, latency: latency, memory: memory, power: isPowerLimited ? powered : 0)
    return (limits, total, blocks)
  }

  /// The fastest candidate. Every candidate's largest limit plus its fixed costs is below its time, and costs no `pow`; the one with the
  /// least such bound is evaluated first, and then only those whose bound is under the best time so far.
  func fastest(of tiles: [GEMMTile]) -> Candidate? {
    let splits = GEMMTile.splits
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: tiles.count * splits.count) { bounds in
      var first: (index: Int, bound: Double)?
      for index in tiles.indices {
        for (place, split) in splits.enumerated() {
          let bound = lowerBound(tiles[index], split: split)
          bounds[index * splits.count + place] = bound
          if bound < first?.bound ?? .infinity { first = (index * splits.count + place, bound) }
        }
      }
      guard let first, first.bound.isFinite else { return nil }
      func candidate(_ index: Int) -> Candidate {
        let (tileIndex, split) = (index / splits.count, splits[index % splits.count])
        let tile = tiles[tileIndex]
        let time = evaluate(tile, split: split, resident: Double(tile.blocksPerSM)).microseconds
        return Candidate(tileIndex: tileIndex, splitK: split, microseconds: time)
      }
      var best = candidate(first.index)
      for index in 0..<(tiles.count * splits.count) where bounds[index] < best.microseconds && index != first.index {
        let other = candidate(index)
        if other.microseconds < best.microseconds { best = other }
      }
      return best
    }
  }

  /// A time that no candidate of this tile and split can be under; infinite where the split leaves a block less than two steps.
  @inline(__always)
  private func lowerBound(_ tile: GEMMTile, split: Int) -> Double {
    let (tileM, tileN, parts) = (Double(tile.m), Double(tile.n), Double(split))
    let steps = (k / parts / Double(tile.k)).rounded(.up)
    if split > 1 && steps < 2 { return .infinity }
    let depth = steps * Double(tile.k)
    let blocks = batch * (m / tileM).rounded(.up) * (n / tileN).rounded(.up) * parts
    let perSM = (blocks / smCount).rounded(.up)
    let math = perSM * 2 * tileM * tileN * depth * mathCost
    let l2 = perSM * (tileM + tileN) * depth * elementBytes * l2Cost
    let latency = (perSM / Double(tile.blocksPerSM)).rounded(.up) * (depth * elementBytes / 64 * step + block) / clock
    let limit = max(max(math, l2), max(latency, uniqueMicroseconds))
    let reduction = split > 1 ? splitFixed + splitCost * parts : 0
    return fixed + limit + reduction + wave * perSM * min(smCount, blocks) / smCount
  }
}
