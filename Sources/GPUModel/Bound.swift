/// What holds a kernel's time up.
public enum Bound: String, Sendable, Hashable, CaseIterable {
  /// Fixed cost, dependent steps: too little work in flight to reach any throughput limit.
  case latency
  /// L2-to-SM bytes.
  case l2
  /// Device-memory bytes.
  case memory
  /// Tensor or floating-point throughput.
  case math
  /// Math throughput under the board's power limit.
  case power
}
