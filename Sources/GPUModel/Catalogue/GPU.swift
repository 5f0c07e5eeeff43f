/// The kind of matrix instructions a GPU's GEMM kernels are built from. Kernels of one family behave alike once clocks, SMs and
/// bandwidths are taken from the specification, so constants are shared within it.
public enum KernelFamily: String, Sendable, Hashable, CaseIterable {
  /// Fused multiply-adds, no tensor cores.
  case ffma
  /// Warp-wide mma.sync: compute capability 7.0 to 8.9, and 12.0.
  case mma
  /// Warp-group wgmma: 9.0.
  case wgmma
  /// tcgen05 with tensor memory: 10.0 and 10.3.
  case tcgen05
}

/// Major and minor compute capability.
public struct ComputeCapability: Sendable, Hashable, CustomStringConvertible {
  /// 12 in 12.0.
  public var major: Int
  /// 0 in 12.0.
  public var minor: Int

  /// `major`.`minor`.
  public init(_ major: Int, _ minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// "12.0".
  public var description: String { "\(major).\(minor)" }
}

/// A GPU's specification. Rates are dense (no structured sparsity) with fp32 accumulation.
public struct GPU: Sendable, Hashable {
  /// Unique in the catalogue.
  public var name: String
  /// "Blackwell".
  public var architecture: String
  /// "GB202".
  public var chip: String
  /// What the hardware reports.
  public var computeCapability: ComputeCapability
  /// Streaming multiprocessors.
  public var smCount: Int
  /// Boost clock; nil where the vendor discloses none.
  public var boostMegahertz: Double?
  /// fp32 without tensor cores.
  public var fp32Teraflops: Double
  /// Tensor rates; nil where the hardware has none.
  public var tf32Teraflops: Double?
  /// fp16, and bf16 where there is one.
  public var fp16Teraflops: Double?
  /// fp8; nil where the hardware has none.
  public var fp8Teraflops: Double?
  /// Device memory.
  public var memoryGigabytes: Double
  /// "GDDR7".
  public var memoryType: String
  /// Device-memory bandwidth as specified.
  public var memoryGigabytesPerSecond: Double
  /// Second-level cache.
  public var l2Megabytes: Double
  /// Shared memory and L1 of one SM.
  public var sharedKilobytesPerSM: Int
  /// 32-bit registers of one SM.
  public var registersPerSM: Int
  /// Resident warps an SM holds at most.
  public var warpsPerSM: Int
  /// Resident blocks that an SM holds at most.
  public var blocksPerSM: Int
  /// PCI Express generation of the host link.
  public var pcieGeneration: Int
  /// Board power limit.
  public var boardPowerWatts: Double
  /// What its GEMM kernels are built from.
  public var family: KernelFamily
  /// V: vendor datasheet or whitepaper; V+R: with values reported by devices; U: given by a user.
  public var sourceGrade: String
  /// Where the figures come from.
  public var source: String
  /// What to know about them.
  public var notes: String

  /// The clock the model computes with, GHz: the boost clock, or 1.9 where none is disclosed (the Blackwell data-centre parts run at 1.86 to 2.06).
  public var modelGigahertz: Double { (boostMegahertz ?? 1900) / 1000 }

  /// Peak rate of a compute type in FLOP/s; nil where the hardware does not have it.
  public func peakFLOPs(_ type: ComputeType) -> Double? {
    let teraflops: Double? =
      switch type {
      case .fp16: fp16Teraflops
      // Volta and Turing have fp16 tensor cores only.
      case .bf16: computeCapability.major >= 8 ? fp16Teraflops : nil
      case .tf32: tf32Teraflops
      case .fp32: fp32Teraflops
      }
    return teraflops.map { $0 * 1e12 }
  }
}

/// The arithmetic a plan runs in.
public enum ComputeType: String, Sendable, Hashable, CaseIterable {
  case fp16, bf16, tf32, fp32

  /// Bytes of one element in memory.
  public var bytesPerElement: Int {
    switch self {
    case .fp16, .bf16: 2
    case .tf32, .fp32: 4
    }
  }
}
