import CheckedNumbers
public import TimeBase
public import Workload

/// A machine's part of a run that several share: every N-th arrival, or every N-th user.
public struct RunShare: Sendable, Hashable {
  /// Which part, from 0.
  public let index: Int
  /// Of how many.
  public let count: Int

  /// The whole run.
  public static let whole = RunShare(index: 0, count: 1)

  private init(index: Int, count: Int) {
    self.index = index
    self.count = count
  }

  /// "0/4" to "3/4"; nil for anything else.
  public init?(text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let index = parts[0], let count = parts[1], (1...100_000).contains(count), (0..<count).contains(index) else {
      return nil
    }
    self.init(index: index, count: count)
  }

  /// As `init(text:)` reads it.
  public var text: String { "\(index)/\(count)" }

  /// Whether the arrival or user of that index is ours.
  public func includes(_ number: Int) -> Bool { number % count == index }

  /// A part of this part: what a thread takes of a machine's share. Of all `count * of` parts together each index has one owner.
  public func split(_ part: Int, of parts: Int) -> RunShare { RunShare(index: index + part * count, count: count * parts) }
}

/// Who decides when the next request is sent.
public enum OfferedLoad: Sendable, Hashable {
  /// So many users, each waiting for its answer, thinking, and asking again. They start `spawnRate` a second.
  case closed(users: Int, spawnRate: Double, think: ThinkTime)
  /// Requests come whatever comes back, at a rate that may change; evenly spaced or Poisson.
  case open(RateProfile, isPoisson: Bool)
  /// Requests come when they came once.
  case replay([Instant])

  /// One line that differs where loads differ: "closed 1000 100.0 uniform:0.1,0.5", "open 500.0 poisson", "replay 120 59.5".
  public var text: String {
    switch self {
    case .closed(let users, let spawnRate, let think): "closed \(users) \(spawnRate) \(think.text)"
    case .open(let profile, let isPoisson): "open \(profile.text) \(isPoisson ? "poisson" : "constant")"
    case .replay(let times): "replay \(times.count) \(Double(times.last?.nanoseconds ?? 0) / 1e9)"
    }
  }

  /// What `text` wrote, of a recording its length alone; nil for anything else.
  public init?(text: String) {
    let words = text.split(separator: " ").map(String.init)
    switch (words.first, words.count) {
    case ("closed", 4):
      guard let users = Int(words[1]), (1...1_000_000).contains(users), let spawnRate = Double(words[2]), spawnRate > 0,
        let think = ThinkTime(text: words[3])
      else { return nil }
      self = .closed(users: users, spawnRate: spawnRate, think: think)
    case ("open", 3):
      guard let profile = RateProfile(text: words[1]), ["poisson", "constant"].contains(words[2]) else { return nil }
      self = .open(profile, isPoisson: words[2] == "poisson")
    case ("replay", 3):
      guard let count = Int(words[1]), (0...(1 << 24)).contains(count) else { return nil }
      self = .replay(Array(repeating: .zero, count: count))
    default: return nil
    }
  }

  /// Whether users wait for their answers.
  public var isClosed: Bool { if case .closed = self { true } else { false } }
}

/// When each request of an open loop is due, since the start; every share of a run draws the same arrivals and keeps its own.
public struct ArrivalSchedule: Sendable {
  private enum Source: Sendable {
    case sequence(ArrivalSequence)
    case profile(RateProfile, isPoisson: Bool)
    case none
  }

  private var source: Source
  private var random: SplitMix64
  private var arrivals = 0.0
  private var number = 0
  private let share: RunShare

  /// From the start. A closed loop has no arrivals.
  public init(_ load: OfferedLoad, seed: SplitMix64, share: RunShare = .whole) {
    random = seed
    self.share = share
    switch load {
    case .closed: source = .none
    case .replay(let times): source = .sequence(ArrivalSequence(.recorded(times), seed: seed))
    case .open(let profile, let isPoisson):
      if profile.isConstant, let rate = profile.segments.first?.from {
        source = .sequence(ArrivalSequence(isPoisson ? .poisson(perSecond: rate) : .constant(perSecond: rate), seed: seed))
      } else {
        source = .profile(profile, isPoisson: isPoisson)
      }
    }
  }

  /// The next arrival of this share; nil when there is none.
  public mutating func next() -> Instant? {
    while true {
      guard let instant = nextOfAll() else { return nil }
      defer { number += 1 }
      if share.includes(number) { return instant }
    }
  }

  private mutating func nextOfAll() -> Instant? {
    switch source {
    case .none: return nil
    case .sequence(var sequence):
      // Out and back in, so that the copy stays unique.
      source = .none
      defer { source = .sequence(sequence) }
      return sequence.next()
    case .profile(let profile, let isPoisson):
      if isPoisson {
        arrivals += -Logarithm.natural(1 - random.nextUnitDouble())
      } else {
        arrivals = Double(number)
      }
      return profile.seconds(untilArrivals: arrivals).map { Instant.zero + TimeSpan(clampingSeconds: $0) }
    }
  }
}

/// A file of recorded arrivals.
public enum RecordedArrivals {
  /// One time per line, seconds since the start, never going back; "#" begins a comment. Errors name the line.
  public static func read(_ text: String) throws(LoadInputError) -> [Instant] {
    var times: [Instant] = []
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let content = line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "," }
      guard let first = content.first else { continue }
      guard let seconds = Double(first), seconds >= 0, seconds <= 86_400 * 365 else {
        throw LoadInputError("line \(index + 1): \"\(first)\" is no time in seconds")
      }
      let instant = Instant.zero + TimeSpan(clampingSeconds: seconds)
      if let last = times.last, instant < last { throw LoadInputError("line \(index + 1): \(first) s is earlier than the line before") }
      times.append(instant)
    }
    if times.isEmpty { throw LoadInputError("there is no arrival in it") }
    return times
  }
}
