/// How many requests the short runs behind sensitivities, changes and headroom look at. All costs of an experiment but its own runs go with them.
public struct RunLengths: Sendable, Hashable {
  /// Of a run with a change made: enough for a ratio of two runs with the same random seed.
  public var change = 10_000.0
  /// Of a run for a throughput sensitivity: a window's edges move by a request or two.
  public var sensitivity = 30_000.0
  /// Of a trial of the search for the highest rate: 10,000 leave a hundred above the 99th percentile.
  public var search = 10_000.0

  /// The lengths of every figure that is printed.
  public static let standard = RunLengths()

  /// Lengths with every field stated.
  public init(change: Double = 10_000, sensitivity: Double = 30_000, search: Double = 10_000) {
    self.change = change
    self.sensitivity = sensitivity
    self.search = search
  }
}
