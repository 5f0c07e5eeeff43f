/// How many blocks of a kernel an SM holds at a time, and what limits it.
///
/// The rules are those of the CUDA C++ Programming Guide, "Hardware multithreading" and its table of technical specifications: registers
/// are handed out to warps in units of 256, shared memory in units of 128 bytes (256 before compute capability 8.0), and each block has 1 KB
/// of shared memory reserved from 8.0 on.
public struct Occupancy: Sendable, Hashable {
  /// The resource that ran out first.
  public enum Limit: String, Sendable, Hashable {
    case registers, sharedMemory, warps, blocks
  }

  /// Blocks resident on one SM; 0 when a single one does not fit.
  public var blocksPerSM: Int
  /// What kept another block out.
  public var limit: Limit

  /// For blocks of `threads` threads with `registersPerThread` registers and `sharedBytes` of shared memory.
  public init(threads: Int, registersPerThread: Int, sharedBytes: Int, on gpu: GPU) {
    let warps = max(1, (threads + 31) / 32)
    let registersPerWarp = (max(1, registersPerThread) * 32 + 255) / 256 * 256
    let modern = gpu.computeCapability.major >= 8
    let unit = modern ? 128 : 256
    let shared = (max(0, sharedBytes) + (modern ? 1024 : 0) + unit - 1) / unit * unit
    let byRegisters = gpu.registersPerSM / (registersPerWarp * warps)
    // The carve-out leaves at least 1 KB per block's reservation and never all of L1: the specification's figure is the usable one.
    let byShared = shared == 0 ? Int.max : gpu.sharedKilobytesPerSM * 1024 / shared
    let byWarps = gpu.warpsPerSM / warps
    let ranked: [(Int, Limit)] = [
      (byRegisters, .registers), (byShared, .sharedMemory), (byWarps, .warps), (gpu.blocksPerSM, .blocks),
    ]
    let tightest = ranked.min { $0.0 < $1.0 } ?? (0, .blocks)
    blocksPerSM = tightest.0
    limit = tightest.1
  }
}

/// How a grid of equal blocks spreads over a GPU.
public struct GridFit: Sendable, Hashable {
  /// Blocks in the grid.
  public var blocks: Int
  /// Blocks over SMs times blocks per SM; not rounded.
  public var waves: Double
  /// SMs holding at least one block / SMs, averaged over the kernel's duration, tail included.
  public var residentSMShare: Double
  /// waves / ceil(waves).
  public var slotEfficiency: Double

  /// `blocks` equal blocks, `blocksPerSM` at a time on each of `smCount` SMs.
  ///
  /// A block that runs alone on its SM takes 1/r of the time that r co-resident ones take together when throughput is shared, so the
  /// duration in block-times is the largest number of blocks any SM gets, ceil(blocks / SMs). In all but the last of these every SM is
  /// busy; in the last, the remainder: fill = (blocks / SMs) / ceil(blocks / SMs). For 64 blocks on 188 SMs that is 34 %, for 2,048 it
  /// is 99 %: the figures of `diagnosis` for the case study's kernels.
  public init(blocks: Int, blocksPerSM: Int, smCount: Int) {
    self.blocks = max(0, blocks)
    let sms = Double(max(1, smCount))
    let slots = sms * Double(max(1, blocksPerSM))
    waves = Double(self.blocks) / slots
    let perSM = Double(self.blocks) / sms
    residentSMShare = self.blocks == 0 ? 0 : perSM / perSM.rounded(.up)
    slotEfficiency = self.blocks == 0 ? 0 : waves / waves.rounded(.up)
  }
}
