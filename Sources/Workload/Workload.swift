public import TimeBase

/// What is asked of a server: who sends, when, how much, for how long. Pure: times come out of seeds and states, never off a clock.
public struct Workload: Sendable, Hashable {
  /// Who decides when the next request is sent.
  public enum Load: Sendable, Hashable {
    /// So many users, each waiting for its answer, thinking, and asking again. They start `spawnRate` a second.
    case closed(users: Int, spawnRate: Double, think: ThinkTime)
    /// Requests come whatever comes back.
    case open(Arrivals)
  }

  /// Closed or open.
  public var load: Load
  /// Rows of a request.
  public var rows: RowDistribution
  /// Cut off before the window: ramp and settling.
  public var warmUp: TimeSpan
  /// The window that is looked at.
  public var duration: TimeSpan

  /// A workload.
  public init(load: Load, rows: RowDistribution, warmUp: TimeSpan, duration: TimeSpan) {
    self.load = load
    self.rows = rows
    self.warmUp = warmUp
    self.duration = duration
  }

  /// How long it takes until all users are there; zero in an open loop.
  public var ramp: TimeSpan {
    guard case .closed(let users, let spawnRate, _) = load, spawnRate > 0 else { return .zero }
    return TimeSpan(clampingSeconds: Double(users) / spawnRate)
  }
}

/// How many rows a request carries.
public enum RowDistribution: Sendable, Hashable {
  /// Always so many.
  case fixed(Int)
  /// Anything between the two, equally likely.
  case uniform(Int, Int)

  /// One draw; always takes one number.
  @inlinable public func sample(_ random: inout SplitMix64) -> Int {
    let unit = random.nextUnitDouble()
    switch self {
    case .fixed(let rows): return rows
    case .uniform(let low, let high): return low + Int(unit * Double(high - low + 1))
    }
  }

  /// Its mean.
  public var mean: Double {
    switch self {
    case .fixed(let rows): Double(rows)
    case .uniform(let low, let high): Double(low + high) / 2
    }
  }

  /// "50" or "1-100"; nil for anything else, zero rows among it.
  public init?(text: String) {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    switch ends.count {
    case 1:
      guard let rows = ends[0], rows >= 1, rows <= 1 << 20 else { return nil }
      self = .fixed(rows)
    case 2:
      guard let low = ends[0], let high = ends[1], low >= 1, low <= high, high <= 1 << 20 else { return nil }
      self = .uniform(low, high)
    default: return nil
    }
  }

  /// As `init(text:)` reads it.
  public var text: String {
    switch self {
    case .fixed(let rows): "\(rows)"
    case .uniform(let low, let high): "\(low)-\(high)"
    }
  }
}

/// When requests of an open loop are due.
public enum Arrivals: Sendable, Hashable {
  /// Evenly spaced.
  case constant(perSecond: Double)
  /// Independent of one another: exponential distances.
  case poisson(perSecond: Double)
  /// As recorded, from the start; the rest of the run is silent.
  case recorded([Instant])

  /// Mean rate over a run of that length.
  public func perSecond(over duration: TimeSpan) -> Double {
    switch self {
    case .constant(let rate), .poisson(let rate): rate
    case .recorded(let times):
      duration > .zero ? Double(times.count { $0.nanoseconds < duration.nanoseconds }) / duration.seconds : 0
    }
  }
}

/// Draws the arrivals of an open loop, one after the other.
public struct ArrivalSequence: Sendable {
  private let arrivals: Arrivals
  private var random: SplitMix64
  private var index = 0
  private var time = 0.0
  private let scale: Double

  /// From the start. `scale` multiplies every distance.
  public init(_ arrivals: Arrivals, seed: SplitMix64, scale: Double = 1) {
    self.arrivals = arrivals
    self.random = seed
    self.scale = scale
  }

  /// The next arrival; nil when there is none.
  public mutating func next() -> Instant? {
    switch arrivals {
    case .constant(let rate):
      guard rate > 0 else { return nil }
      defer { index += 1 }
      return Instant.zero + TimeSpan(clampingSeconds: Double(index) / rate * scale)
    case .poisson(let rate):
      guard rate > 0 else { return nil }
      time += -Logarithm.natural(1 - random.nextUnitDouble()) / rate * scale
      return Instant.zero + TimeSpan(clampingSeconds: time)
    case .recorded(let times):
      guard times.indices.contains(index) else { return nil }
      defer { index += 1 }
      return Instant.zero + TimeSpan(clampingSeconds: Double(times[index].nanoseconds) / 1e9 * scale)
    }
  }
}
