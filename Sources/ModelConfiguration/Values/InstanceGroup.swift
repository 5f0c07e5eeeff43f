/// Instances of a model that are alike (`ModelInstanceGroup`).
public struct InstanceGroup: Sendable, Hashable {
  /// Where instances run.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// On GPUs where there are any and all listed ones are usable, else on the CPU.
    case auto = "KIND_AUTO"
    /// On every GPU listed.
    case gpu = "KIND_GPU"
    /// On the CPU.
    case cpu = "KIND_CPU"
    /// Where the model decides.
    case model = "KIND_MODEL"
  }

  /// Empty until normalized.
  public var name: String
  /// Where the instances run.
  public var kind: Kind
  /// Instances for each GPU listed, or in all on the CPU; below 1 for the default.
  public var count: Int
  /// GPU numbers; empty for all usable ones.
  public var gpus: [Int]
  /// Optimization profiles (TensorRT).
  public var profile: [String]
  /// Loaded, but never scheduled.
  public var passive: Bool
  /// Name of a host policy; empty for the device's own.
  public var hostPolicy: String
  /// What an execution needs and how often its turn comes; nil for no limit.
  public var rateLimiter: RateLimiter?

  /// A group of instances.
  public init(
    name: String = "", kind: Kind = .auto, count: Int = 0, gpus: [Int] = [], profile: [String] = [], passive: Bool = false,
    hostPolicy: String = "", rateLimiter: RateLimiter? = nil
  ) {
    self.name = name
    self.kind = kind
    self.count = count
    self.gpus = gpus
    self.profile = profile
    self.passive = passive
    self.hostPolicy = hostPolicy
    self.rateLimiter = rateLimiter
  }
}
