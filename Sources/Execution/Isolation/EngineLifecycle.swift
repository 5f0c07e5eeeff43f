import CheckedNumbers
public import TimeBase

/// The life of an engine's process, decided: when it is started, whether a batch may have it, how long it rests after it died, when it is
/// given up. Time comes in; nothing is started or waited for here.
public struct EngineLifecycle: Sendable, Hashable {
  /// How often, and how long between.
  public struct Limits: Sendable, Hashable {
    /// The rest before the second restart in a row; each further one takes twice as long. The first is at once.
    public var firstRest: TimeSpan
    /// The longest rest.
    public var longestRest: TimeSpan
    /// Deaths in a row, without a good batch between, after which it is given up for a while.
    public var deaths: Int
    /// How long it stays given up before one more start.
    public var pause: TimeSpan

    /// The usual: half a minute of trying, then a start every five minutes.
    public init(
      firstRest: TimeSpan = .milliseconds(100), longestRest: TimeSpan = .milliseconds(10_000), deaths: Int = 10,
      pause: TimeSpan = .milliseconds(300_000)
    ) {
      self.firstRest = firstRest
      self.longestRest = longestRest
      self.deaths = deaths
      self.pause = pause
    }
  }

  /// Where it is.
  public enum State: Sendable, Hashable {
    /// Not started, and due at once.
    case due
    /// Its process loads the model.
    case starting
    /// It takes batches; so many are on their way.
    case ready(batches: Int)
    /// It died, and rests.
    case resting(until: Instant)
    /// It died too often, and is left alone.
    case givenUp(until: Instant)
    /// The model is unloaded.
    case closed
  }

  /// What happens to it.
  public enum Event: Sendable, Hashable {
    case started
    /// The process is gone, whether it had been ready or not.
    case died(EngineEnd)
    case batchBegan
    case batchEnded(isGood: Bool)
    case closed
  }

  /// What its keeper does next.
  public enum Step: Sendable, Hashable {
    case start
    /// Nothing, until then or until something happens.
    case wait(until: Instant)
    /// A process runs: its end is waited for.
    case watch
    case end
  }

  /// What a batch that wants it does.
  public enum Admission: Sendable, Hashable {
    case go
    case wait(until: Instant)
    /// Fail, for this reason.
    case refuse(String)
  }

  /// Where it is.
  public private(set) var state = State.due
  /// Which process it is, from 1: a batch of an earlier one has failed.
  public private(set) var generation = 0
  /// In a row, without a good batch between.
  public private(set) var deaths = 0
  /// How it ended last; nil before it has.
  public private(set) var lastEnd: EngineEnd?
  private let limits: Limits

  /// Not started yet.
  public init(_ limits: Limits = Limits()) { self.limits = limits }

  /// The time passes on to `now`; what is to be done.
  public mutating func step(at now: Instant) -> Step {
    switch state {
    case .resting(let until) where now >= until, .givenUp(let until) where now >= until: state = .due
    default: break
    }
    switch state {
    case .due:
      state = .starting
      generation += 1
      return .start
    case .starting, .ready: return .watch
    case .resting(let until), .givenUp(let until): return .wait(until: until)
    case .closed: return .end
    }
  }

  /// Takes note of what happened.
  public mutating func handle(_ event: Event, at now: Instant) {
    switch (event, state) {
    case (.closed, _): state = .closed
    case (_, .closed): break
    case (.started, .starting): state = .ready(batches: 0)
    case (.died(let end), .starting), (.died(let end), .ready):
      lastEnd = end
      deaths += 1
      if deaths >= limits.deaths {
        state = .givenUp(until: now + limits.pause)
      } else {
        state = .resting(until: now + rest)
      }
    case (.batchBegan, .ready(let batches)): state = .ready(batches: batches + 1)
    case (.batchEnded(let isGood), .ready(let batches)):
      state = .ready(batches: max(0, batches - 1))
      if isGood { deaths = 0 }
    default: break
    }
  }

  private var rest: TimeSpan {
    guard deaths > 1 else { return .zero }
    var rest = limits.firstRest
    for _ in 2..<deaths where rest < limits.longestRest { rest = min(limits.longestRest, rest + rest) }
    return rest
  }

  /// Why no batch can have it, for as long as it is given up; nil otherwise.
  public func outage(at now: Instant) -> String? {
    guard case .givenUp(let until) = state, now < until else { return nil }
    return "it ended \(deaths) times in a row, the last time with \(lastEnd ?? .unknown); it is \(Self.pause(until: until, from: now))"
  }

  /// What the operator can do about it, in the log and in answers.
  static func pause(until: Instant, from now: Instant) -> String {
    "not started again for \(max(0, (until - now).nanoseconds - 1) / 1_000_000_000 + 1) s; load the model again to start it now"
  }

  /// Whether a batch may go. `maximumWait`: how long it would wait for a process that rests.
  public func admission(at now: Instant, maximumWait: TimeSpan) -> Admission {
    switch state {
    case .ready: return .go
    case .due, .starting: return .wait(until: .distantFuture)
    case .resting(let until):
      if until - now <= maximumWait { return .wait(until: until) }
      return .refuse(
        "it ended (\(lastEnd ?? .unknown)) and is started again in \(((until - now).seconds * 10).rounded() / 10) s")
    case .givenUp(let until):
      return .refuse(
        "it ended \(deaths) times in a row, the last time with \(lastEnd ?? .unknown); it is \(Self.pause(until: until, from: now))")
    case .closed: return .refuse("the model is being unloaded")
    }
  }
}
