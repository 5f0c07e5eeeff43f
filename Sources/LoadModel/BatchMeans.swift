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
  /// What went where, last third over first third, as a factor.
  case drifting(Quantity, factor: Double)

  /// What may drift.
  public enum Quantity: String, Sendable, Hashable {
    /// Answers a second.
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

  /// From the window's intervals: the last third against the first, beyond 10 % and beyond what their spread explains.
  public init(throughput: [Double], latency: [Double]) {
    guard throughput.count >= 6 else {
      self = .tooShort
      return
    }
    for (quantity, values) in [(Quantity.throughput, throughput), (.latency, latency)] {
      if let factor = Self.drift(values) {
        self = .drifting(quantity, factor: factor)
        return
      }
    }
    self = .stable
  }

  private static func drift(_ values: [Double]) -> Double? {
    let third = values.count / 3
    guard third >= 2 else { return nil }
    let (first, firstError) = meanAndError(values.prefix(third))
    let (last, lastError) = meanAndError(values.suffix(third))
    guard first > 0 else { return nil }
    let noise = 3 * (firstError * firstError + lastError * lastError).squareRoot()
    return (last / first - 1).magnitude > 0.1 && (last - first).magnitude > noise ? last / first : nil
  }

  private static func meanAndError(_ values: ArraySlice<Double>) -> (Double, Double) {
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(1, count - 1)
    return (mean, (variance / count).squareRoot())
  }

  /// One sentence.
  public var words: String {
    switch self {
    case .stable: "stable: throughput and latency of the window's last third are those of its first"
    case .tooShort: "too short to say whether it is stable: give at least 6 s"
    case .drifting(let quantity, let factor):
      "not stable: \(quantity.rawValue) \(factor > 1 ? "rose" : "fell") by \(Int(saturating: ((factor - 1).magnitude * 100).rounded())) % "
        + "from the window's first third to its last; warm up or run longer"
    }
  }
}
