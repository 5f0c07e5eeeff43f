import CheckedNumbers
public import TimeBase

/// What each instance of a model holds, and what its scheduler has been told of it.
///
/// An instance of depth 1 gathers a batch, executes it, answers it, and asks for the next. One of depth 2 may gather the next batch while
/// the device executes the one before, so that the device need not wait for the host between them. Batches of an instance are answered
/// in the order they were given to it. A thread that does not come back is given up: its generation ends, and another thread serves the
/// instance.
///
/// A pure value, like `Scheduler`: whoever owns both passes the scheduler's `start` actions in (`give`) and announces to it what
/// `announcement` says.
public struct InstancePipelines: Sendable {
  /// What an instance's thread does next.
  public enum Step: Sendable, Hashable {
    /// Its oldest batch has been executed: it is to be answered.
    case answer(BatchID)
    /// A batch was given to it: its inputs are to be gathered, and it is to be executed.
    case gather(BatchID)
  }

  /// What the scheduler is to be told of an instance.
  public enum Announcement: Sendable, Hashable {
    /// `Scheduler.instanceReady`.
    case waits
    /// `Scheduler.instanceCanGather`.
    case canGather
  }

  private enum Phase: UInt8 { case given, gathering, executing, executed }

  private struct Held: Sendable {
    var batch: BatchID
    var phase = Phase.given
    /// Since when the instance's time for it counts.
    var since = Instant.distantFuture
  }

  private struct Instance: Sendable {
    var depth: Int
    var first: Held?
    var second: Held?
    var announced: Announcement?
    var generation = 0
  }

  private var instances: [Instance]

  /// Instances that hold nothing, of this depth: 1 or 2.
  public init(instances: Int, depth: Int = 1) {
    self.instances = Array(repeating: Instance(depth: min(2, max(1, depth))), count: max(0, instances))
  }

  // MARK: - What happens

  /// The scheduler started a batch on the instance.
  public mutating func give(_ batch: BatchID, to instance: Int) {
    instances[instance].announced = nil
    if instances[instance].first == nil {
      instances[instance].first = Held(batch: batch)
    } else {
      instances[instance].second = Held(batch: batch)
    }
  }

  /// The instance's thread takes the batch that was given to it; nil where there is none.
  public mutating func take(_ instance: Int) -> BatchID? {
    if instances[instance].first?.phase == .given {
      instances[instance].first?.phase = .gathering
      return instances[instance].first?.batch
    }
    guard instances[instance].second?.phase == .given else { return nil }
    instances[instance].second?.phase = .gathering
    return instances[instance].second?.batch
  }

  /// From now on the instance's time for what it took counts (`hung`): waiting for a turn before is no hanging.
  public mutating func executionBegins(_ instance: Int, at now: Instant) {
    if instances[instance].first?.phase == .gathering {
      instances[instance].first?.since = now
    } else {
      instances[instance].second?.since = now
    }
  }

  /// The batch is gathered and the device has it.
  public mutating func submitted(_ batch: BatchID, on instance: Int) {
    if instances[instance].first?.batch == batch {
      if instances[instance].first?.phase == .gathering { instances[instance].first?.phase = .executing }
    } else if instances[instance].second?.batch == batch, instances[instance].second?.phase == .gathering {
      instances[instance].second?.phase = .executing
    }
  }

  /// The device has executed the batch, or could not. Possibly before `submitted`.
  public mutating func executed(_ batch: BatchID, on instance: Int) {
    if instances[instance].first?.batch == batch {
      instances[instance].first?.phase = .executed
    } else if instances[instance].second?.batch == batch {
      instances[instance].second?.phase = .executed
    }
  }

  /// The batch's results are known: the instance holds it no longer. False for a batch that it does not hold or has not taken.
  @discardableResult public mutating func finish(_ batch: BatchID, on instance: Int, at now: Instant) -> Bool {
    if let held = instances[instance].first, held.batch == batch, held.phase != .given {
      instances[instance].first = instances[instance].second
      instances[instance].second = nil
      // The time of what was behind it begins here: until now the device had another batch.
      if let since = instances[instance].first?.since, since != .distantFuture { instances[instance].first?.since = max(since, now) }
      return true
    }
    guard let held = instances[instance].second, held.batch == batch, held.phase != .given else { return false }
    instances[instance].second = nil
    return true
  }

  /// The instance's thread does not come back. Returns the batches it had taken, oldest first; one that was only given waits for the
  /// thread of the next generation.
  public mutating func giveUp(_ instance: Int) -> [BatchID] {
    instances[instance].generation += 1
    let held = [instances[instance].first, instances[instance].second].compactMap { $0 }
    (instances[instance].first, instances[instance].second) = (held.first { $0.phase == .given }, nil)
    return held.filter { $0.phase != .given }.map(\.batch)
  }

  // MARK: - What is to be done

  /// What the instance's thread does next; nil: it waits. Answers come first: they are ready, and they make room.
  public func next(_ instance: Int) -> Step? {
    let state = instances[instance]
    if let first = state.first, first.phase == .executed { return .answer(first.batch) }
    if let first = state.first, first.phase == .given { return .gather(first.batch) }
    if let second = state.second, second.phase == .given { return .gather(second.batch) }
    return nil
  }

  /// What the scheduler is to be told of the instance now, and has not been told yet. Asked by the instance's own thread: one that does
  /// not come back asks for nothing.
  public mutating func announcement(_ instance: Int) -> Announcement? {
    let state = instances[instance]
    let due: Announcement
    if state.first == nil {
      due = .waits
    } else if state.depth > 1, state.second == nil, state.first?.phase == .executing {
      due = .canGather
    } else {
      return nil
    }
    if state.announced == due || state.announced == .waits { return nil }
    instances[instance].announced = due
    return due
  }

  // MARK: - What is known

  /// Instances.
  public var count: Int { instances.count }
  /// A batch was given to it and not taken.
  public func hasGiven(_ instance: Int) -> Bool {
    instances[instance].first?.phase == .given || instances[instance].second?.phase == .given
  }
  /// The batch that was given to it and not taken.
  public func given(_ instance: Int) -> BatchID? {
    if let first = instances[instance].first, first.phase == .given { return first.batch }
    if let second = instances[instance].second, second.phase == .given { return second.batch }
    return nil
  }
  /// Batches it has taken and not finished.
  public func taken(_ instance: Int) -> Int {
    (instances[instance].first.map { $0.phase != .given } == true ? 1 : 0)
      + (instances[instance].second.map { $0.phase != .given } == true ? 1 : 0)
  }
  /// Counts the threads that served it: one whose number is old was given up.
  public func generation(_ instance: Int) -> Int { instances[instance].generation }

  /// When an instance has had that long for its oldest batch, if nothing else happens first; `.distantFuture` for never.
  public func nextHang(limit: TimeSpan) -> Instant {
    var next = Instant.distantFuture
    for instance in instances {
      if let since = instance.first?.since, since != .distantFuture { next = min(next, since + limit) }
    }
    return next
  }

  /// Whether the instance has had that long for its oldest batch.
  public func hangs(_ instance: Int, at now: Instant, limit: TimeSpan) -> Bool {
    guard let since = instances[instance].first?.since, since != .distantFuture else { return false }
    return now - since >= limit
  }
}
