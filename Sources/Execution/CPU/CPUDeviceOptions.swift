import CKernels

/// How a CPU device is set up.
public struct CPUDeviceOptions: Sendable, Hashable {
  /// Whose products run.
  public enum Engine: String, Sendable, Hashable, CaseIterable {
    /// For each shape the one that was faster when the model was loaded.
    case automatic
    /// This package's own micro-kernels.
    case own
    /// oneDNN, loaded at run time.
    case onednn
  }

  /// Instruction sets of the own kernels.
  public enum Level: Int32, Sendable, Hashable, CaseIterable, Comparable {
    case portable = 0
    case avx2 = 1
    case avx512 = 2
    case avx512bf16 = 3

    /// What this machine has at most.
    public static var best: Level { Level(rawValue: headroom_kernels_level()) ?? .portable }

    /// Order of capability.
    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  /// Threads that compute, the calling one included.
  public var threads: Int
  /// First core the threads are pinned to, one core each; nil: not pinned.
  public var firstCore: Int?
  /// See `Engine`.
  public var engine: Engine
  /// Instruction set of the own kernels.
  public var level: Level

  /// Options; what is left out is decided by the machine.
  public init(threads: Int, firstCore: Int? = nil, engine: Engine = .automatic, level: Level = .best) {
    self.threads = max(1, threads)
    self.firstCore = firstCore
    self.engine = engine
    self.level = min(level, .best)
  }
}
