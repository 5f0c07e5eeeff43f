import Glibc

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
  /// Microseconds for one byte from L2 into one SM while all SMs read.
  let l2Cost: Double
  /// The least that it can be while few SMs read: what an SM's own port passes.
  let l2PortCost: Double
  let exponent: Double
  let splitFixed: Double
  let splitCost: Double
  let wave: Double
  /// Microseconds to write out one element of a tile.
  let epilogue: Double
  /// Microseconds more for 64 of k in an unsplit product of few rows; 0 for others.
  let thinStep: Double
  let succession: KernelClassModel.Succession
  let uniqueMicroseconds: Double
  /// See `GEMMPrediction.roofMicroseconds`.
  let roofMicroseconds: Double
  let reloadCost: Double
  let operandBytes: Double
  let powerMicroseconds: Double
  let powerTime: Double

  /// What a persistent kernel takes longer between other kernels than launched again and again: 256 rows of a linear head's 1,024 x 1,024 took
  /// 4.90 us on an H200 for 4.58 alone, and BERT's 3,072 x 768 5.70 for 5.15 on an H100; over seven loops of models against single products
  /// it came to 0.35. Batched products and kernels of other families were not measured in both ways.
  static let amongOthersMicroseconds = 0.35

  /// Bytes that the port of an SM to L2 passes per clock, on every GPU with tensor cores; where a kernel gets more, its blocks share what is read.
  static let l2PortBytesPerClock = 64.0

  /// What a candidate came to.
  struct Candidate {
    var tileIndex: Int
    var splitK: Int
    var microseconds: Double
  }

  init(gemm: GEMM, gpu: GPU, peakFLOPs: Double, kernels: KernelClassModel, constants: KernelConstants? = nil) {
    let constants = constants ?? kernels.fit.constants
    succession = kernels.succession
    let isPersistent = succession == .persistent
    batch = Double(gemm.batch)
    m = Double(gemm.m)
    n = Double(gemm.n)
    k = Double(gemm.k)
    elementBytes = Double(gemm.type.bytesPerElement)
    smCount = Double(max(1, gpu.smCount))
    clock = gpu.modelGigahertz * 1e3
    fixed =
      constants[.fixedMicroseconds] + (isPersistent && gemm.isAmongOthers && gemm.batch == 1 ? Self.amongOthersMicroseconds : 0)
    step = constants[.stepClocks]
    block = constants[.blockClocks]
    mathCost = 1e6 * smCount / (peakFLOPs * constants[.sustainedMathShare])
    l2Cost = 1 / (constants[.l2BytesPerClockPerSM] * clock)
    l2PortCost = min(l2Cost, 1 / (Self.l2PortBytesPerClock * clock))
    exponent = 1 + constants[.joinExponent]
    splitFixed = constants[.splitMicroseconds]
    let bandwidth = gpu.memoryGigabytesPerSecond * 1e3 * constants[.memoryShare]
    let warm = bandwidth * (1 + constants[.warmSpeedup])
    splitCost = constants[.splitTraffic] * batch * m * n * 4 / warm
    wave = constants[.waveNanoseconds] * 1e-3
    epilogue = constants[.epilogueNanoseconds] * 1e-3 / (128 * 128)
    // Heads side by side run on the kernel of 64 columns that 8 rows take: five of one row as long as five of 8 (4.9 us on an H200).
    thinStep = isPersistent && gemm.batch == 1 && gemm.m < 8 && gemm.n > 512 && gemm.n < 2048 ? constants[.thinStepNanoseconds] * 1e-3 : 0
    let (a, b, c) = (gemm.operandABytes, batch * n * k * elementBytes, batch * m * n * elementBytes)
    let l2 = max(1, gpu.l2Megabytes * 1e6)
    func cold(_ workingSet: Double) -> Double { min(max((workingSet / l2 - constants[.missStart]) / constants[.missSpan], 0), 1) }
    let coldWeights = cold((gemm.footprintBytes ?? 5 * b) + a + c)
    let coldActivations = cold(a + b + c)
    uniqueMicroseconds =
      (coldWeights * b + coldActivations * (a + c)) / bandwidth + ((1 - coldWeights) * b + (1 - coldActivations) * (a + c)) / warm
    let coldBytes = coldWeights * b + coldActivations * (a + c)
    roofMicroseconds = max(
      gemm.floatingPointOperations / (peakFLOPs * max(1, constants[.sustainedMathShare])) * 1e6,
      max(coldBytes / (gpu.memoryGigabytesPerSecond * 1e3), (a + b + c - coldBytes) / warm))
    reloadCost = coldActivations * coldWeights * constants[.reloadShare] / bandwidth
    operandBytes = a + b
    powerMicroseconds = constants[.powerMicroseconds]
    powerTime = gemm.floatingPointOperations * constants[.picojoulesPerFLOP] * 1e-12 / max(1, gpu.boardPowerWatts) * 1e6
  }

  /// Microseconds for one byte from L2 into one SM. L2's bandwidth is shared by the SMs that read: the fewer of them, the more each gets, up to
  /// what its port passes.
  @inline(__always)
  private func l2CostPerByte(_ blocks: Double) -> Double { max(l2PortCost, l2Cost * min(1, blocks / smCount)) }

  /// Starting blocks that replace each other, and writing out. A start takes the longer the more SMs take part; writing out does not.
  @inline(__always)
  private func replacement(_ perSM: Double, _ blocks: Double, _ writing: Double) -> Double {
    (wave * min(1, blocks / smCount) + writing) * perSM
  }

  /// Limits of one candidate and its total.
  func evaluate(_ tile: GEMMTile, split: Int, resident: Double) -> (
    limits: LimitTimes, microseconds: Double, clockShare: Double
  ) {
    let (tileM, tileN) = (Double(tile.m), Double(tile.n))
    let parts = Double(split)
    let steps = (k / parts / Double(tile.k)).rounded(.up)
    let depth = steps * Double(tile.k)
    let blocks = batch * (m / tileM).rounded(.up) * (n / tileN).rounded(.up) * parts
    let perSM = (blocks / smCount).rounded(.up)
    var math = perSM * 2 * tileM * tileN * depth * mathCost
    let l2 = perSM * (tileM + tileN) * depth * elementBytes * l2CostPerByte(blocks)
    // One step is 64 bytes of k in the constants' unit, whatever the tile's own depth.
    var latency: Double
    let tail: Double
    let writing = epilogue * tileM * tileN
    let follow = perSM - 1
    switch succession {
    case .persistent:
      latency = (perSM * depth * elementBytes / 64 * step + block) / clock + follow * (wave + writing)
      math += 0.5 * follow * writing
      tail = writing
    case .replaced:
      latency = (perSM / resident).rounded(.up) * (depth * elementBytes / 64 * step + block) / clock
      tail = replacement(perSM, blocks, writing)
    case .overlapped, .overlappedTogether:
      let generations = (perSM / resident).rounded(.up)
      latency = generations * (depth * elementBytes / 64 * step + block) / clock
      latency += (succession == .overlapped ? follow : generations - 1) * wave + follow * writing
      tail = wave + writing
    }
    if split == 1 { latency += thinStep * depth / 64 }
    let ideal = 2 * batch * m * n * k * elementBytes / (min(blocks, smCount * resident) * tileM * tileN).squareRoot()
    let memory = uniqueMicroseconds + reloadCost * max(0, ideal - operandBytes)
    let top = max(max(math, l2), max(latency, memory)) + 1e-9
    let sum =
      pow(math / top, exponent) + pow(l2 / top, exponent) + pow(latency / top, exponent) + pow(memory / top, exponent)
    var body = top * pow(sum, 1 / exponent)
    let weight = body / (body + powerMicroseconds)
    let powered = weight * powerTime + (1 - weight) * body
    let isPowerLimited = powered > body
    // What stretches the kernel is a lower clock.
    let clockShare = isPowerLimited ? body / powered : 1
    if isPowerLimited { body = powered }
    let reduction = split > 1 ? splitFixed + splitCost * parts : 0
    let outside = fixed + reduction + tail
    let limits = LimitTimes(
      math: math, l2: l2, latency: latency, memory: memory, power: isPowerLimited ? powered : 0, fixed: outside)
    return (limits, fixed + body + reduction + tail, clockShare)
  }

  /// The fastest candidate. Every candidate's largest limit plus its fixed costs is below its time, and costs no `pow`; the one with the
  /// least such bound is evaluated first, and then only those whose bound is under the best time so far. k is cut only where that many parts
  /// would not already fill the device twice over.
  func fastest(of tiles: [GEMMTile]) -> Candidate? {
    let splits = GEMMTile.splits
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: tiles.count * splits.count) { bounds in
      var first: (index: Int, bound: Double)?
      for index in tiles.indices {
        let tile = tiles[index]
        let whole = batch * (m / Double(tile.m)).rounded(.up) * (n / Double(tile.n)).rounded(.up)
        for (place, split) in splits.enumerated() {
          let slot = index * splits.count + place
          guard split == 1 || whole * Double(split) <= 4 * smCount else {
            bounds[slot] = .infinity
            continue
          }
          let bound = lowerBound(tile, whole: whole, split: split)
          bounds[slot] = bound
          if bound < first?.bound ?? .infinity { first = (slot, bound) }
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
  private func lowerBound(_ tile: GEMMTile, whole: Double, split: Int) -> Double {
    let (tileM, tileN, parts) = (Double(tile.m), Double(tile.n), Double(split))
    let steps = (k / parts / Double(tile.k)).rounded(.up)
    if split > 1 && steps < 2 { return .infinity }
    let depth = steps * Double(tile.k)
    let blocks = whole * parts
    let perSM = (blocks / smCount).rounded(.up)
    let math = perSM * 2 * tileM * tileN * depth * mathCost
    let l2 = perSM * (tileM + tileN) * depth * elementBytes * l2CostPerByte(blocks)
    let writing = epilogue * tileM * tileN
    let reduction = split > 1 ? splitFixed + splitCost * parts : 0
    let follow = perSM - 1
    if succession == .persistent {
      let latency = (perSM * depth * elementBytes / 64 * step + block) / clock + follow * (wave + writing)
      return fixed + max(max(math + 0.5 * follow * writing, l2), max(latency, uniqueMicroseconds)) + reduction + writing
    }
    let generations = (perSM / Double(tile.blocksPerSM)).rounded(.up)
    var latency = generations * (depth * elementBytes / 64 * step + block) / clock
    if succession != .replaced {
      latency += (succession == .overlapped ? follow : generations - 1) * wave + follow * writing
      return fixed + max(max(math, l2), max(latency, uniqueMicroseconds)) + reduction + wave + writing
    }
    return fixed + max(max(math, l2), max(latency, uniqueMicroseconds)) + reduction
      + replacement(perSM, blocks, writing)
  }
}
