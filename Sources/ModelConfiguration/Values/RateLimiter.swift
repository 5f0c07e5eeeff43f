/// What an instance's execution takes from shared resources, and how often its turn comes (`ModelRateLimiter`).
public struct RateLimiter: Sendable, Hashable {
  /// A named resource and how much of it an execution needs.
  public struct Resource: Sendable, Hashable {
    /// What the resource is called.
    public var name: String
    /// Shared by all devices rather than counted for each.
    public var isGlobal: Bool
    /// How much an execution takes.
    public var count: Int

    /// An amount of a resource.
    public init(name: String, isGlobal: Bool = false, count: Int) {
      self.name = name
      self.isGlobal = isGlobal
      self.count = count
    }
  }

  /// All are taken before and returned after an execution.
  public var resources: [Resource]
  /// An instance of priority 2 gets half the turns of one of priority 1; 0 counts as 1.
  public var priority: Int

  /// A limiter.
  public init(resources: [Resource] = [], priority: Int = 0) {
    self.resources = resources
    self.priority = priority
  }
}
