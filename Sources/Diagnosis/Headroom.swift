import CheckedNumbers

/// The latency that a rate must keep: the goal at which headroom is stated.
public struct LatencyGoal: Sendable, Hashable {
  /// 99th percentile of the latency, at most so many milliseconds.
  public var p99Milliseconds: Double
  /// Nobody gave one: 100 ms, and said so wherever it is printed.
  public var isAssumed: Bool

  /// A goal somebody gave.
  public init(p99Milliseconds: Double, isAssumed: Bool = false) {
    self.p99Milliseconds = p99Milliseconds
    self.isAssumed = isAssumed
  }

  /// Where nobody gave one: 100 ms, the time within which an answer seems immediate (Nielsen, "Usability Engineering", 1993, chapter 5).
  public static let assumed = LatencyGoal(p99Milliseconds: 100, isAssumed: true)

  /// Largest goal taken: an hour.
  public static let largestMilliseconds = 3_600_000.0

  /// 'p99<100ms', 'p99 <= 0.1s', 'p99<250us'; nil for anything else.
  public init?(text: String) {
    let compact = text.lowercased().filter { $0 != " " && $0 != "=" }
    guard compact.hasPrefix("p99<") else { return nil }
    var number = compact.dropFirst(4)
    let scale: Double
    if number.hasSuffix("ms") {
      (number, scale) = (number.dropLast(2), 1)
    } else if number.hasSuffix("us") {
      (number, scale) = (number.dropLast(2), 0.001)
    } else if number.hasSuffix("s") {
      (number, scale) = (number.dropLast(), 1000)
    } else {
      return nil
    }
    guard let value = Double(number), value.isFinite, value > 0, value * scale <= Self.largestMilliseconds else { return nil }
    self.init(p99Milliseconds: value * scale)
  }

  /// "p99 <= 100 ms".
  public var text: String {
    let places = p99Milliseconds == p99Milliseconds.rounded() ? "\(Int(saturating: p99Milliseconds))" : "\(p99Milliseconds)"
    return "p99 <= \(places) ms"
  }
}

/// How much more a server can take: the highest request rate that keeps the latency goal, and how many times today's rate that is.
public struct Headroom: Sendable, Hashable {
  /// What must be kept.
  public var goal: LatencyGoal
  /// Requests per second answered today; nil where nothing was.
  public var today: Figure?
  /// Requests per second at which the goal is just kept, with the last two rates tried as its interval; 0 where no rate keeps it; nil where
  /// it is not known.
  public var maximumRate: Figure?
  /// The search ended at a limit of its own (the generator's, the largest batch seen), not at the server's.
  public var isLowerBound: Bool
  /// What has to be so for the rate to hold; empty for nothing.
  public var condition: String
  /// Why nothing is known, where that is so.
  public var unknownBecause: String?

  /// A rate that was found.
  public init(goal: LatencyGoal, today: Figure?, maximumRate: Figure, isLowerBound: Bool = false, condition: String = "") {
    self.goal = goal
    self.today = today
    self.maximumRate = maximumRate
    self.isLowerBound = isLowerBound
    self.condition = condition
    unknownBecause = nil
  }

  /// Nothing is known, for a reason.
  public init(goal: LatencyGoal, today: Figure?, unknownBecause reason: String) {
    self.goal = goal
    self.today = today
    maximumRate = nil
    isLowerBound = false
    condition = ""
    unknownBecause = reason
  }

  /// That rate over today's; nil where either is unknown or nothing is answered today.
  public var times: Figure? {
    guard let maximumRate, let today, today.value > 0 else { return nil }
    return Figure(
      maximumRate.value / today.value, .ratio, min(maximumRate.kind, today.kind),
      source: "highest rate that keeps \(goal.text) over today's throughput",
      interval: maximumRate.interval.map { $0.lowerBound / today.value...$0.upperBound / today.value })
  }

  /// In brackets behind the line: "simulated", "estimated", "measured", "unknown".
  public var kindText: String { maximumRate?.kind.rawValue ?? "unknown" }

  /// "5.2x: 5,980 requests/s at p99 <= 100 ms (assumed goal)".
  public var text: String {
    let assumed = goal.isAssumed ? " (assumed goal)" : ""
    guard let maximumRate else { return "unknown, because \(unknownBecause ?? "nothing was measured")" }
    let end = condition.isEmpty ? "" : ", \(condition)"
    guard maximumRate.value > 0 else { return "none: no request rate keeps \(goal.text)\(assumed)\(end)" }
    let bound = isLowerBound ? "at least " : ""
    let rate = maximumRate.text
    guard let times else { return "\(bound)\(rate) at \(goal.text)\(assumed)\(end)" }
    var factor = Figure.timesText(times.value)
    // A range worth a word: the two rates that a search ends with are 3 % apart.
    if !isLowerBound, let ends = times.interval, ends.upperBound > Self.narrowRange * ends.lowerBound {
      factor = "\(factor) (\(Figure.timesText(ends.lowerBound)) to \(Figure.timesText(ends.upperBound)))"
    }
    return "\(bound)\(factor): \(rate) at \(goal.text)\(assumed)\(end)"
  }

  /// Ends of an interval nearer to each other than this are one value.
  static let narrowRange = 1.1

  /// What there is to say where higher rates keep the goal and today's does not.
  public static let startMisses = "but not at today's rate: batches wait for max_queue_delay"

  /// What there is to say where no rate keeps the goal; empty where nothing was found out.
  ///
  /// - Parameter idleP99Milliseconds: the 99th percentile at next to no load.
  public static func noneBecause(idleP99Milliseconds: Double?) -> String {
    idleP99Milliseconds.map {
      "with next to no load p99 is \(Figure($0, .milliseconds, .simulated, source: "search for the highest rate").text)"
    } ?? ""
  }
}

extension Figure {
  /// "0.93x", "1.0x", "5.2x", "22x", "367x": a factor as it is said.
  public static func timesText(_ factor: Double) -> String {
    guard factor.isFinite, factor >= 0 else { return "unknown" }
    if factor >= 9.95 { return grouped(factor) + "x" }
    let places = factor < 0.995 ? 100.0 : 10.0
    let scaled = Int(saturating: (factor * places).rounded())
    let digits = places == 100 ? 2 : 1
    let fraction = String(scaled % Int(saturating: places))
    return "\(scaled / Int(saturating: places)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)x"
  }

  /// "+32 %", "-23 %", "0 %"; from a factor of ten on "22x": a change of a quantity, given as its share of what was.
  public static func changeText(_ share: Double) -> String {
    guard share.isFinite else { return "unknown" }
    if 1 + share >= 9.95 { return timesText(1 + share) }
    let percent = share * 100
    let rounded = percent.magnitude < 9.95 ? (percent * 10).rounded() / 10 : percent.rounded()
    if rounded == 0 { return "0 %" }
    let text = rounded == rounded.rounded() ? "\(Int(saturating: rounded))" : "\(rounded)"
    return (rounded > 0 ? "+" : "") + text + " %"
  }

  /// A whole number with its thousands grouped.
  private static func grouped(_ value: Double) -> String {
    let digits = String(Int(saturating: value.rounded()))
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }
}
