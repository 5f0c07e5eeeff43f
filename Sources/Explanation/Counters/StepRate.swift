import CheckedNumbers

/// How often a step (a batch, an iteration) ran, in the trace and without the profiler.
public struct StepRate: Sendable, Hashable {
  /// Steps in the trace.
  public var stepsInTrace: Double
  /// How that number was found.
  public var stepsSource: String
  /// Steps a second without the profiler; nil where nobody measured it.
  public var unprofiledPerSecond: Double?

  /// Stated.
  public init(stepsInTrace: Double, stepsSource: String, unprofiledPerSecond: Double?) {
    self.stepsInTrace = stepsInTrace
    self.stepsSource = stepsSource
    self.unprofiledPerSecond = unprofiledPerSecond
  }

  /// A profiler slows what it measures and never speeds it up: the trace's own rate may exceed the unprofiled one by no more than the
  /// accidents of a short window.
  static let largestTraceRate = 1.1

  /// Finds the number of steps of a device's trace: every kernel of a loop runs a fixed number of times per step, so that the steps are a
  /// common divisor of the kernels' counts. Identical layers leave several divisors: the one whose rate is nearest below the unprofiled
  /// rate is taken. nil where the counts have no divisor in common that the rate allows; then the steps must be said (`--steps`).
  public init?(unprofiledPerSecond rate: Double, counts: [Int], spanNanoseconds: Int64) {
    guard rate > 0, rate.isFinite, spanNanoseconds > 0 else { return nil }
    let seconds = Double(spanNanoseconds) / 1e9
    let counts = counts.filter { $0 > 0 }
    guard let largest = counts.max() else { return nil }
    // A window cuts a step in two, and a rare kernel belongs to none: a divisor need not divide all, but nearly all of the work.
    let total = counts.reduce(0, +)
    var best: (steps: Int, unexplained: Double, distance: Double)?
    for steps in Self.candidates(counts, upTo: largest) {
      let traceRate = Double(steps) / seconds
      guard traceRate <= Self.largestTraceRate * rate, traceRate >= rate / 8 else { continue }
      var fitting = 0.0
      for count in counts {
        let turns = (Double(count) / Double(steps)).rounded()
        if turns < 1 { continue }
        // A window that cuts a step in two leaves every kernel a step's runs short or over: nearly a multiple, and worth less.
        // Of many runs per step every count is nearly a multiple: there only an exact one says something.
        let rest = (Double(count) - turns * Double(steps)).magnitude
        fitting += Double(count) * (rest == 0 ? 1 : rest <= turns && 4 * turns <= Double(steps) ? 0.99 : 0)
      }
      guard fitting >= 0.9 * Double(total) else { continue }
      // What explains all kernels goes before what explains most; half a percent is a step cut in two.
      let unexplained = ((1 - fitting / Double(total)) * 200).rounded()
      let distance = rate * Self.largestTraceRate - traceRate
      if (unexplained, distance) < (best?.unexplained ?? .infinity, best?.distance ?? .infinity) { best = (steps, unexplained, distance) }
    }
    guard let best else { return nil }
    self.init(
      stepsInTrace: Double(best.steps),
      stepsSource: "counts of the kernels: nearly all of them are multiples of \(best.steps)", unprofiledPerSecond: rate)
  }

  /// Divisors of the most frequent counts, and counts themselves.
  private static func candidates(_ counts: [Int], upTo largest: Int) -> [Int] {
    var found: Set<Int> = []
    for count in Set(counts.sorted(by: >).prefix(32)) {
      var divisor = 1
      while divisor * divisor <= count, divisor <= 20_000 {
        if count % divisor == 0 {
          found.insert(divisor)
          found.insert(count / divisor)
        }
        divisor += 1
      }
    }
    return found.sorted()
  }
}
