import CheckedNumbers

/// A mean with the half width of its 95 % confidence interval.
public struct MeanInterval: Sendable, Hashable {
  /// The mean.
  public var mean: Double
  /// The true mean lies this close to it, 19 times of 20.
  public var halfWidth: Double
  /// How many batches say so.
  public var batches: Int
}

/// Intervals from correlated samples: neighbours are put into batches, whose means are nearly independent (Law and Kelton, "Simulation
/// Modeling and Analysis", 9.5.3).
public enum BatchMeans {
  /// Of values in their order, each an equal stretch of time. nil for fewer than five.
  public static func interval(_ values: [Double]) -> MeanInterval? {
    let batches = values.count >= 40 ? 20 : values.count >= 20 ? 10 : values.count
    guard batches >= 5 else { return nil }
    // Whole batches; what is left over at the front is closest to the warm-up.
    let size = values.count / batches
    let used = values.suffix(size * batches)
    let means = (0..<batches).map { batch in
      used.dropFirst(batch * size).prefix(size).reduce(0, +) / Double(size)
    }
    let mean = means.reduce(0, +) / Double(batches)
    let variance = means.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(batches - 1)
    return MeanInterval(mean: mean, halfWidth: studentT(batches - 1) * (variance / Double(batches)).squareRoot(), batches: batches)
  }

  /// Two-sided 95 % quantile of Student's t.
  static func studentT(_ degrees: Int) -> Double {
    let table = [
      12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093,
    ]
    return table.indices.contains(degrees - 1) ? table[degrees - 1] : 2.086
  }
}

/// Whether a window looks like one of many alike.
public enum Stability: Sendable, Hashable {
  /// Neither throughput nor latency went anywhere.
  case stable
  /// Fewer than six seconds.
  case tooShort
  /// What went where: a stretch of the window (shares of it, 0...1) against the rest, as a factor.
  case drifting(Quantity, factor: Double, stretch: ClosedRange<Double>)

  /// What may drift.
  public enum Quantity: String, Sendable, Hashable {
    /// Answers per second.
    case throughput
    /// Mean latency.
    case latency
  }

  /// What programs read; the raw values stay.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case stable
    case tooShort = "too-short"
    case drifting
  }

  /// Which case it is.
  public var kind: Kind {
    switch self {
    case .stable: .stable
    case .tooShort: .tooShort
    case .drifting: .drifting
    }
  }

  /// From the window's intervals, all of them: a trend, a step, or a stretch in the middle that is unlike the rest.
  public init(throughput: [Double], latency: [Double]) {
    guard throughput.count >= 6 else {
      self = .tooShort
      return
    }
    for (quantity, values) in [(Quantity.throughput, throughput), (.latency, latency)] {
      if let (factor, stretch) = ChangePoint.largest(in: values) {
        self = .drifting(quantity, factor: factor, stretch: stretch)
        return
      }
    }
    self = .stable
  }

  /// One sentence.
  public var words: String {
    switch self {
    case .stable: return "stable: throughput and latency show no trend and no change point in the measurement window"
    case .tooShort: return "too short to say whether it is stable: give at least 6 s"
    case .drifting(let quantity, let factor, let stretch):
      func percent(_ share: Double) -> Int { Int(saturating: (share * 100).rounded()) }
      let place =
        stretch.lowerBound <= 0
        ? "in the first \(percent(stretch.upperBound)) % of the window"
        : stretch.upperBound >= 1
          ? "in the last \(percent(1 - stretch.lowerBound)) % of the window"
          : "from \(percent(stretch.lowerBound)) to \(percent(stretch.upperBound)) % of the window"
      return
        "not stable: \(quantity.rawValue) \(factor > 1 ? "rose" : "fell") by \(percent((factor - 1).magnitude)) % \(place), against the rest; "
        + "warm up or run longer"
    }
  }
}

/// The stretch of a series that is most unlike the rest, over all stretches: a trend shows as one half against the other, a step as what
/// comes after it, a dip as itself. The search is that of circular binary segmentation (Olshen, Venkatraman, Lucito and Wigler 2004).
enum ChangePoint {
  /// A difference of less than a tenth moves no figure by more than a tenth.
  static let smallestChange = 0.1
  /// Largest standardized difference that chance makes of some thousand stretches: of as many independent ones it passes 4.5 once in 150.
  static let largestByChance = 4.5
  /// Stretches of as many values are compared at most: more are added up to pairs, and so on.
  static let maximumValues = 128

  /// Factor of the stretch against the rest, and where it lies (0...1); nil where nothing is unlike the rest.
  static func largest(in all: [Double]) -> (factor: Double, stretch: ClosedRange<Double>)? {
    let step = (all.count + maximumValues - 1) / maximumValues
    let values = stride(from: 0, to: all.count - all.count % max(1, step), by: max(1, step)).map { start in
      all[start..<start + step].reduce(0, +) / Double(step)
    }
    let count = values.count
    // A stretch and its rest of two values each at least: one slow second is no state of a server.
    guard count >= 6 else { return nil }
    var sums = [0.0]
    var squares = [0.0]
    for value in values {
      sums.append((sums.last ?? 0) + value)
      squares.append((squares.last ?? 0) + value * value)
    }
    let (total, totalSquares) = (sums[count], squares[count])
    var best: (score: Double, factor: Double, start: Int, end: Int)?
    for start in 0..<count {
      for end in (start + 2)...max(start + 2, count) where end <= count && count - (end - start) >= 2 {
        let (inside, outside) = (Double(end - start), Double(count - end + start))
        let sum = sums[end] - sums[start]
        let (mean, rest) = (sum / inside, (total - sum) / outside)
        guard rest > 0, (mean / rest - 1).magnitude > smallestChange else { continue }
        // What is left of the spread when both parts have their own means.
        let square = squares[end] - squares[start]
        let spread = max(0, square - sum * mean) + max(0, totalSquares - square - (total - sum) * rest)
        let error = (spread / Double(count - 2) * (1 / inside + 1 / outside)).squareRoot()
        // Floating-point noise of a series that is constant on both sides.
        let score = (mean - rest).magnitude / max(error, 1e-9 * rest)
        if score > largestByChance, score > best?.score ?? 0 { best = (score, mean / rest, start, end) }
      }
    }
    return best.map { best in
      // Of a stretch and its rest the shorter one is what happened, of two halves the later one.
      var best = best
      let isLong = (best.end - best.start) * 2 > count || best.start == 0 && (best.end - best.start) * 2 == count
      if isLong, best.start == 0 || best.end == count {
        best = (best.score, 1 / best.factor, best.start == 0 ? best.end : 0, best.start == 0 ? count : best.start)
      }
      return (best.factor, Double(best.start) / Double(count)...Double(best.end) / Double(count))
    }
  }
}
