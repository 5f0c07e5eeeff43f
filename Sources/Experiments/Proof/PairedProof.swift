import CheckedNumbers
public import Diagnosis
import TimeBase

/// Pairs of runs, without a change and with it, and what was predicted of the change beforehand.
public struct PairedProof: Sendable, Hashable {
  /// One quantity.
  public struct Line: Sendable, Hashable {
    /// "requests/s", "p99 latency".
    public var quantity: String
    /// Relative change, before the pairs were run.
    public var predicted: Figure
    /// Relative change, mean of the pairs with its 95 % interval.
    public var measured: Figure
    /// How it came out.
    public var outcome: Outcome
  }

  /// How a prediction came out.
  public enum Outcome: String, Sendable, Hashable, CaseIterable {
    /// What was measured is what was predicted, as far as both are sure.
    case hit
    /// It is not.
    case miss
    /// The pairs differ among each other by more than the change that was predicted.
    case undecided
  }

  /// Points within which predicted and measured changes count as equal, whatever their intervals say: what two runs of one server differ by.
  public static let tolerance = 0.05
  /// An interval of the measured change wider than this, and than what was predicted, decides nothing.
  static let widest = 0.5

  /// One quantity's outcome.
  public static func line(_ quantity: String, predicted: Figure, before: [Double], after: [Double]) -> Line? {
    let pairs = zip(before, after).filter { $0.0 > 0 && $0.0.isFinite && $0.1.isFinite }
    guard !pairs.isEmpty else { return nil }
    let changes = pairs.map { $0.1 / $0.0 - 1 }
    let mean = changes.reduce(0, +) / Double(changes.count)
    let interval = Bootstrap.meanInterval(changes)
    let measured = Figure(
      mean, .share, .measured, source: "mean of \(pairs.count) interleaved pairs of runs", interval: interval)
    return Line(quantity: quantity, predicted: predicted, measured: measured, outcome: outcome(predicted, measured))
  }

  static func outcome(_ predicted: Figure, _ measured: Figure) -> Outcome {
    // The prediction's own interval, no narrower than the tolerance on either side.
    let low = min(predicted.interval?.lowerBound ?? predicted.value, predicted.value - tolerance)
    let high = max(predicted.interval?.upperBound ?? predicted.value, predicted.value + tolerance)
    let seen = measured.interval ?? measured.value...measured.value
    if seen.upperBound - seen.lowerBound > max(widest, 2 * predicted.value.magnitude) { return .undecided }
    return seen.upperBound >= low && seen.lowerBound <= high ? .hit : .miss
  }

  /// Which run of each pair comes first: drawn, so that what drifts falls on both alike.
  static func order(pairs: Int, seed: UInt64) -> [Bool] {
    var random = SplitMix64(seed: seed)
    return (0..<max(0, pairs)).map { _ in Bool.random(using: &random) }
  }

  /// The finding's.
  public var code: String
  /// What was done.
  public var fix: String
  /// In order of the goal.
  public var lines: [Line]

  /// A miss anywhere is one; hits alone are a hit.
  public var outcome: Outcome {
    if lines.contains(where: { $0.outcome == .miss }) { return .miss }
    return lines.contains { $0.outcome == .undecided } || lines.isEmpty ? .undecided : .hit
  }
}

extension RankedFinding {
  /// The fix of a finding to be tried: the first with changes whose gains could be computed.
  ///
  /// - Throws: that the finding does not hold, or that nothing was predicted for it, with why.
  static func toProve(_ code: String, in ranked: [RankedFinding]) throws(ExperimentError) -> (
    finding: Finding, fix: Fix, gains: GainEstimate
  ) {
    guard let found = ranked.first(where: { $0.finding.code.rawValue == code }) else {
      let known = ranked.map(\.finding.code.rawValue).joined(separator: ", ")
      throw ExperimentError(
        "--apply \(code): this run does not show it; it shows \(known.isEmpty ? "no finding" : known)")
    }
    var reasons: [String] = []
    for fix in found.fixes where !fix.fix.changes.isEmpty {
      switch fix.gains {
      case .success(let gains): return (found.finding, fix.fix, gains)
      case .failure(let refusal): reasons.append("\(fix.fix.title): \(refusal.text.text)")
      }
    }
    throw ExperimentError(
      "--apply \(code): nothing was predicted that a pair of runs could prove"
        + (reasons.isEmpty ? ": its fixes are advice" : " (\(reasons.joined(separator: "; ")))"))
  }
}
