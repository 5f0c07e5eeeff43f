import CheckedNumbers
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

/// How many rows each request carries.
public enum RowDistribution: Sendable, Hashable {
  /// Always so many.
  case fixed(Int)
  /// Anything between the two, equally likely.
  case uniform(Int, Int)
  /// Some numbers, each with its share; shares need not sum up to anything.
  case shares([Share])

  /// A number of rows and how often it comes.
  public struct Share: Sendable, Hashable {
    /// Rows of a request.
    public var rows: Int
    /// Relative to the others' weights.
    public var weight: Double

    /// A share.
    public init(rows: Int, weight: Double) {
      self.rows = rows
      self.weight = weight
    }
  }

  /// One draw; always takes one number.
  @inlinable public func sample(_ random: inout SplitMix64) -> Int { rows(at: random.nextUnitDouble()) }

  /// The rows below which `unit` of all requests lie, from 0 to 1.
  public func rows(at unit: Double) -> Int {
    switch self {
    case .fixed(let rows): return rows
    case .uniform(let low, let high): return min(high, low + Int(saturating: unit * Double(high - low + 1)))
    case .shares(let shares):
      var left = unit * shares.reduce(0) { $0 + $1.weight }
      for share in shares {
        left -= share.weight
        if left < 0 { return share.rows }
      }
      return shares.last?.rows ?? 1
    }
  }

  /// The maximum number of rows in one request.
  public var largest: Int {
    switch self {
    case .fixed(let rows): rows
    case .uniform(_, let high): high
    case .shares(let shares): shares.map(\.rows).max() ?? 1
    }
  }

  /// Its mean.
  public var mean: Double {
    switch self {
    case .fixed(let rows): Double(rows)
    case .uniform(let low, let high): Double(low + high) / 2
    case .shares(let shares):
      shares.reduce(0) { $0 + Double($1.rows) * $1.weight } / max(shares.reduce(0) { $0 + $1.weight }, .leastNormalMagnitude)
    }
  }

  /// "50", "1-100" or "1:60,8:30,32:10"; nil for anything else, zero rows among it.
  public init?(text: String) {
    if text.contains(":") {
      var shares: [Share] = []
      for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        let halves = part.split(separator: ":", omittingEmptySubsequences: false)
        guard halves.count == 2, let rows = Int(halves[0]), (1...(1 << 20)).contains(rows), let weight = Double(halves[1]), weight > 0,
          weight <= 1e9
        else { return nil }
        shares.append(Share(rows: rows, weight: weight))
      }
      self = .shares(shares)
      return
    }
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
    case .shares(let shares): shares.map { "\($0.rows):\($0.weight)" }.joined(separator: ",")
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
