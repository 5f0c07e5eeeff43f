/// Whether a window is all alike: a figure averaged over a ramp or a drift describes no state the server was ever in.
public struct Steadiness: Sendable, Hashable {
  /// What is wrong with a window.
  public enum Defect: Sendable, Hashable {
    /// Users were still being added, as a share of the window.
    case ramp(share: Figure)
    /// Warm-up or kernel tuning, as a share of the window.
    case warmUp(share: Figure)
    /// Throughput drifts: relative change from the window's start to its end.
    case trend(change: Figure)
  }

  /// What was found; empty for a steady window.
  public var defects: [Defect]

  /// True when nothing was found.
  public var isSteady: Bool { defects.isEmpty }

  /// As found elsewhere.
  public init(defects: [Defect]) { self.defects = defects }

  /// Largest share of a window that ramp or warm-up may take, and largest drift: below 5 % no figure moves by more than 5 %, the size
  /// at which a report flags its times (an observer's effect is judged by the same figure).
  public static let tolerance = 0.05

  /// Slices fewer than which no trend is looked for: Mann-Kendall's normal approximation needs n > 7.
  public static let minimumSlices = 8

  /// Fewer answers than this between two halves are no step, however few there are.
  static let smallestStep = 20.0

  /// Examines the answers counted in equal slices of the window, in order.
  ///
  /// A trend needs both: Mann-Kendall's test (rank-based, so one slow slice cannot make a trend) at |z| > 2.576 (two-sided 1 %), and a
  /// Theil-Sen slope that changes throughput by more than `tolerance` over the window. nil with fewer than eight slices.
  public init?(answersPerSlice counts: [Int], rampShare: Figure? = nil, warmUpShare: Figure? = nil, kind: Figure.Kind) {
    defects = []
    if let rampShare, rampShare.value > Self.tolerance { defects.append(.ramp(share: rampShare)) }
    if let warmUpShare, warmUpShare.value > Self.tolerance { defects.append(.warmUp(share: warmUpShare)) }
    guard counts.count >= Self.minimumSlices else {
      if defects.isEmpty { return nil }
      return
    }
    if let change = Self.trend(counts) {
      defects.append(
        .trend(change: Figure(change, .share, kind, source: "answers in \(counts.count) equal slices: Mann-Kendall, Theil-Sen")))
    }
  }

  /// A load that came or went within the window: nil where its halves are alike.
  ///
  /// Half as many again in one half as in the other, and a difference that a steady load does not show by chance: of n answers at random
  /// (Poisson) the difference of two halves has a standard deviation of sqrt(n), and 3.3 of it are passed once in a thousand windows.
  public init?(stepIn counts: [Int], kind: Figure.Kind) {
    let (first, second) = (counts.prefix(counts.count / 2).reduce(0, +), counts.suffix(counts.count / 2).reduce(0, +))
    let difference = Double((first - second).magnitude)
    guard Double(max(first, second)) > 1.5 * Double(min(first, second)),
      difference > max(Self.smallestStep, 3.3 * Double(first + second).squareRoot())
    else { return nil }
    let change = Double(second - first) / (Double(first + second) / 2)
    defects = [
      .trend(change: Figure(change, .share, kind, source: "answers in the window's second half against its first, over their mean"))
    ]
  }

  /// Why a mean over the window, and what is made of it, says nothing; nil for a steady window.
  public var unsteadyBecause: String? {
    defects.first.map { defect in
      switch defect {
      case .ramp(let share): "the window is not steady: users were still being added during \(share.text) of it"
      case .warmUp(let share): "the window is not steady: warm-up takes \(share.text) of it"
      case .trend(let change): "the window is not steady: \(Self.driftText(change.value))"
      }
    }
  }

  /// "throughput rises by 50 % from its start to its end": a change that is given over the window's mean, as what the end is of the start.
  static func driftText(_ change: Double) -> String {
    let half = min(1, max(-1, change / 2))
    if half.magnitude >= 0.999 { return "hardly a request at its \(half > 0 ? "start" : "end")" }
    let share = (1 + half) / (1 - half) - 1
    let text = Figure.changeText(share.magnitude).drop { $0 == "+" }
    let size = text.hasSuffix("x") ? "a factor of \(text.dropLast())" : String(text)
    return "throughput \(share < 0 ? "falls" : "rises") by \(size) from its start to its end"
  }

  /// Relative change over the window if it is a trend.
  static func trend(_ all: [Int]) -> Double? {
    // Beyond 512 slices the pairs cost more than they tell; neighbours are added up.
    let stride = (all.count + 511) / 512
    let counts: [Double] = Swift.stride(from: 0, to: all.count / stride * stride, by: stride).map { start in
      all[start..<(start + stride)].reduce(0.0) { $0 + Double($1) }
    }
    let n = counts.count
    var concordance = 0
    var slopes: [Double] = []
    slopes.reserveCapacity(n * (n - 1) / 2)
    for later in 1..<n {
      for earlier in 0..<later {
        let difference = counts[later] - counts[earlier]
        concordance += difference > 0 ? 1 : difference < 0 ? -1 : 0
        slopes.append(difference / Double(later - earlier))
      }
    }
    // Kendall 1975: Var S = n(n-1)(2n+5)/18 less the same term for every group of ties.
    var variance = Double(n) * Double(n - 1) * Double(2 * n + 5)
    for group in Dictionary(grouping: counts, by: { $0 }).values where group.count > 1 {
      let t = Double(group.count)
      variance -= t * (t - 1) * (2 * t + 5)
    }
    variance /= 18
    guard variance > 0 else { return nil }
    let z = (Double(concordance) - Double(concordance.signum())) / variance.squareRoot()
    slopes.sort()
    let slope = slopes[slopes.count / 2]
    let mean = counts.reduce(0, +) / Double(n)
    guard z.magnitude > 2.576, mean > 0 else { return nil }
    let change = slope * Double(n - 1) / mean
    return change.magnitude > tolerance ? change : nil
  }
}
