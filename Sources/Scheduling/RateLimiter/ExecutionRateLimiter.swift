import CheckedNumbers
public import ModelConfiguration

/// Turns of model instances that share named resources, across models (tritonserver's `--rate-limit=execution_count`).
///
/// An instance with a batch is staged; among the staged the one with the fewest weighted executions (with this one, times priority) goes
/// first, and takes its resources until it releases them. Counting this one keeps an instance of priority 2 at no more than half the turns of
/// one of priority 1 from the first turn on. One that does not fit holds back those behind it, so that a large need is not
/// starved by small ones. Copied behaviour: triton-inference-server/core `src/rate_limiter.cc`, server `docs/user_guide/rate_limiter.md`.
///
/// A pure value: whoever owns it waits and wakes.
public struct ExecutionRateLimiter: Sendable {
  /// An amount stated for the server (`--rate-limit-resource=NAME:COUNT[:DEVICE]`).
  public struct Limit: Sendable, Hashable {
    /// What the resource is called.
    public var name: String
    /// How much of it there is.
    public var count: Int
    /// On that device alone; nil for every device, and for a global resource.
    public var device: Int?

    /// Every field stated.
    public init(name: String, count: Int, device: Int? = nil) {
      self.name = name
      self.count = count
      self.device = device
    }

    /// "NAME:COUNT" or "NAME:COUNT:DEVICE"; nil for anything else.
    public init?(text: String) {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2 || parts.count == 3, !parts[0].isEmpty, let count = Int(parts[1]), count >= 0 else { return nil }
      self.init(name: String(parts[0]), count: count)
      guard parts.count == 3 else { return }
      guard let device = Int(parts[2]), device >= 0 else { return nil }
      self.device = device
    }
  }

  /// Why an instance cannot be added.
  public struct Refusal: Error, Hashable, CustomStringConvertible {
    /// In the reference server's words.
    public var description: String
  }

  /// An instance that was added.
  public typealias Ticket = Int

  private struct Pool: Hashable {
    var name: String
    /// nil: shared by all devices.
    var device: Int?
  }

  private struct Member {
    var needs: [(pool: Pool, count: Int)]
    var weight: Int
    var executions = 0
    var isStaged = false
    var isRunning = false
  }

  private let limits: [Limit]
  private var members: [Ticket: Member] = [:]
  private var used: [Pool: Int] = [:]
  private var nextTicket = 0

  /// A limiter with these explicit amounts; without any there is as much of each resource as the largest single need.
  public init(limits: [Limit] = []) { self.limits = limits }

  /// Adds an instance on `device`.
  public mutating func add(_ limiter: RateLimiter?, device: Int) throws(Refusal) -> Ticket {
    let needs = (limiter?.resources ?? []).map { (pool: Pool(name: $0.name, device: $0.isGlobal ? nil : device), count: max(0, $0.count)) }
    for (pool, count) in needs {
      let known = members.values.flatMap { $0.needs.map(\.pool) } + needs.map(\.pool)
      if known.contains(where: { $0.name == pool.name && ($0.device == nil) != (pool.device == nil) }) {
        throw Refusal(
          description: "Resource \"\(pool.name)\" is present as both global and device-specific resource in the model configuration.")
      }
      if let limit = limit(of: pool), limit < count {
        throw Refusal(
          description: "Resource count for \"\(pool.name)\" is limited to \(limit) which will prevent scheduling of one or more model "
            + "instances, the minimum required count is \(count)")
      }
    }
    nextTicket += 1
    members[nextTicket] = Member(needs: needs, weight: max(1, limiter?.priority ?? 0))
    return nextTicket
  }

  /// The instance is gone; what it held is free.
  public mutating func remove(_ ticket: Ticket) -> [Ticket] {
    guard let member = members.removeValue(forKey: ticket) else { return [] }
    if member.isRunning { giveBack(member) }
    return grant()
  }

  /// The instance has a batch. Returns who may run now, in order; the instance itself may be among them or have to wait.
  public mutating func stage(_ ticket: Ticket) -> [Ticket] {
    members[ticket]?.isStaged = true
    return grant()
  }

  /// The execution ended. Returns who may run now.
  public mutating func release(_ ticket: Ticket) -> [Ticket] {
    guard var member = members[ticket], member.isRunning else { return [] }
    giveBack(member)
    member.isRunning = false
    members[ticket] = member
    return grant()
  }

  private mutating func giveBack(_ member: Member) {
    for (pool, count) in member.needs { used[pool, default: 0] -= count }
  }

  private mutating func grant() -> [Ticket] {
    var granted: [Ticket] = []
    while let ticket = next(), let member = members[ticket], fits(member) {
      for (pool, count) in member.needs { used[pool, default: 0] += count }
      members[ticket]?.isStaged = false
      members[ticket]?.isRunning = true
      members[ticket]?.executions += 1
      granted.append(ticket)
    }
    return granted
  }

  /// Ties: the smaller priority number, then the one added first.
  private func next() -> Ticket? {
    func key(_ ticket: Ticket, _ member: Member) -> (Double, Int, Ticket) {
      (Double(member.executions + 1) * Double(member.weight), member.weight, ticket)
    }
    return members.filter { $0.value.isStaged && !$0.value.isRunning }.min { key($0.key, $0.value) < key($1.key, $1.value) }?.key
  }

  private func fits(_ member: Member) -> Bool {
    member.needs.allSatisfy { need in used[need.pool, default: 0] + need.count <= available(need.pool) }
  }

  /// What there is of a resource: stated, or the largest single need.
  private func available(_ pool: Pool) -> Int {
    limit(of: pool)
      ?? members.values.reduce(0) { largest, member in
        max(largest, member.needs.reduce(0) { $1.pool == pool ? $0 + $1.count : $0 })
      }
  }

  /// What is stated of a resource: the most that fits it, and none of those that are not named once any is. nil: nothing is stated at all.
  private func limit(of pool: Pool) -> Int? {
    if limits.isEmpty { return nil }
    return limits.reduce(0) { maximum, limit in
      let fits = limit.name == pool.name && (pool.device == nil || limit.device == nil || limit.device == pool.device)
      return fits ? max(maximum, limit.count) : maximum
    }
  }
}
