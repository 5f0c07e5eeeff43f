import CheckedNumbers
import DeviceModel
import Serving
import TimeBase

/// How long a running model's batches take, by rows: what its last windows show, and how far a line through that may be trusted for batches
/// larger than any of them.
///
/// A steady load shows few sizes. Windows of it differ in what their largest batches were, and those were made by whatever held the server up:
/// a rate told from the largest batch of one window would swing with it. So a size counts from `minimumBatches` of it on, what earlier windows
/// showed is kept while the batches are still as long, and beyond the largest size a range is given, not a time.
struct LiveBatchTimes: Sendable {
  /// Times of single batches of one size.
  private struct Size: Sendable {
    /// Nanoseconds, the newest last.
    var times: [Double]
    /// Windows since one was seen.
    var age = 0
  }
  private var sizes: [Int: Size] = [:]

  /// Fewer batches of a size say nothing of it alone.
  static let minimumBatches = 8
  /// Of each size, the newest.
  static let maximumTimes = 512
  /// Sizes that are told apart: the commonest.
  static let maximumSizes = 32
  /// Windows for which a size is remembered: five minutes of a page that asks every ten seconds.
  static let memory = 30
  /// Batches whose medians differ by more are another situation (a clock, a neighbour): what was seen before it is forgotten.
  static let largestShift = 1.25
  /// Standard errors on either side: 95 %.
  private static let width = 2.0

  /// Of a window's batches.
  ///
  /// - Parameter earlier: what the windows before showed.
  init(_ batches: [LiveRecorder.Batch], earlier: LiveBatchTimes? = nil) {
    var own: [Int: [Double]] = [:]
    for batch in batches where batch.rows > 0 {
      let time = Double((batch.computeEnd - batch.computeStart).nanoseconds)
      if time > 0 { own[Int(batch.rows), default: []].append(time) }
    }
    for (rows, times) in own { sizes[rows] = Size(times: times.suffix(Self.maximumTimes)) }
    guard let earlier, isLike(earlier) else { return }
    for (rows, before) in earlier.sizes where before.age < Self.memory {
      if let now = sizes[rows] {
        sizes[rows] = Size(times: Array((before.times + now.times).suffix(Self.maximumTimes)))
      } else {
        sizes[rows] = Size(times: before.times, age: before.age + 1)
      }
    }
  }

  /// Whether sizes that both know well take as long in both; true where they share none.
  private func isLike(_ earlier: LiveBatchTimes) -> Bool {
    let ratios = sizes.compactMap { rows, now -> Double? in
      guard let before = earlier.sizes[rows], min(now.times.count, before.times.count) >= Self.minimumBatches else { return nil }
      return Self.median(now.times) / Self.median(before.times)
    }
    guard !ratios.isEmpty else { return true }
    let ratio = Self.median(ratios)
    return ratio < Self.largestShift && ratio > 1 / Self.largestShift
  }

  /// Batch times up to the model's largest batch.
  struct Tables: Sendable {
    /// What is likeliest: the line through what was seen, or where it has no slope batches whose time grows with their rows.
    var likely: BatchDurations
    /// As slow as larger batches can be: no more than proportionally slower, as kernels, launches and copies have fixed parts.
    var slowest: BatchDurations
    /// As fast as they can be: no faster than the largest seen.
    var fastest: BatchDurations
    /// Rows of the largest batch whose time is known.
    var largestRows: Int
  }

  /// nil where no batch has a time.
  func tables(maximumRows: Int) -> Tables? {
    var points = sizes.filter { $0.value.times.count >= Self.minimumBatches }
      .sorted { ($0.value.times.count, $0.key) > ($1.value.times.count, $1.key) }.prefix(Self.maximumSizes)
      .compactMap { BatchDurations.Point(rows: $0.key, times: $0.value.times) }
    if points.isEmpty { points = grouped }
    points = points.filter { $0.nanoseconds > 0 }.sorted { $0.rows < $1.rows }
    guard let largest = points.last else { return nil }
    func table(_ nanoseconds: Double) -> BatchDurations? {
      let scale = nanoseconds / largest.nanoseconds
      return BatchDurations(
        points + [
          BatchDurations.Point(
            rows: maximumRows, nanoseconds: nanoseconds,
            quartiles: largest.quartiles.lowerBound * scale...largest.quartiles.upperBound * scale, batches: 0, spread: largest.spread)
        ])
    }
    guard largest.rows < maximumRows else {
      return BatchDurations(points).map { Tables(likely: $0, slowest: $0, fastest: $0, largestRows: largest.rows) }
    }
    let proportional = largest.nanoseconds * Double(maximumRows) / Double(largest.rows)
    var range = (fastest: largest.nanoseconds, likely: proportional, slowest: proportional)
    if let line = Self.line(points) {
      func bounded(_ time: Double) -> Double { min(max(time, largest.nanoseconds), proportional) }
      let (time, error) = line(Double(maximumRows))
      range = (bounded(time - Self.width * error), bounded(time), bounded(time + Self.width * error))
    }
    guard let likely = table(range.likely), let slowest = table(range.slowest), let fastest = table(range.fastest) else { return nil }
    return Tables(likely: likely, slowest: slowest, fastest: fastest, largestRows: largest.rows)
  }

  /// Where no size was seen often: neighbours together.
  private var grouped: [BatchDurations.Point] {
    var points: [BatchDurations.Point] = []
    var (rows, times): ([Int], [Double]) = ([], [])
    func close() {
      if !times.isEmpty, let point = BatchDurations.Point(rows: max(1, rows.reduce(0, +) / rows.count), times: times) {
        points.append(point)
      }
      (rows, times) = ([], [])
    }
    for (size, seen) in sizes.sorted(by: { $0.key < $1.key }) {
      rows += Array(repeating: size, count: seen.times.count)
      times += seen.times
      if times.count >= Self.minimumBatches { close() }
    }
    // What is left over is too little beside groups that are large enough.
    if points.isEmpty { close() }
    return points
  }

  /// Weighted least squares through the medians: time and its standard error by rows; nil where the sizes do not give a slope. Where the
  /// points lie further from the line than their own spread explains, the error grows by as much.
  private static func line(_ points: [BatchDurations.Point]) -> ((Double) -> (time: Double, error: Double))? {
    guard points.count >= 2 else { return nil }
    var (sum, x, y) = (0.0, 0.0, 0.0)
    let weighted = points.map { point -> (rows: Double, time: Double, weight: Double) in
      // The quartiles of a normal distribution are 1.349 standard deviations apart; a median's variance is pi / 2 of a mean's.
      let deviation = max((point.quartiles.upperBound - point.quartiles.lowerBound) / 1.349, 0.01 * point.nanoseconds)
      let weight = Double(max(1, point.batches)) / (deviation * deviation * Double.pi / 2)
      (sum, x, y) = (sum + weight, x + weight * Double(point.rows), y + weight * point.nanoseconds)
      return (Double(point.rows), point.nanoseconds, weight)
    }
    guard sum > 0 else { return nil }
    let (meanRows, meanTime) = (x / sum, y / sum)
    let squares = weighted.reduce(0) { $0 + $1.weight * ($1.rows - meanRows) * ($1.rows - meanRows) }
    guard squares > 0 else { return nil }
    let slope = weighted.reduce(0) { $0 + $1.weight * ($1.rows - meanRows) * ($1.time - meanTime) } / squares
    let misfit = weighted.reduce(0) { sum, point in
      let residual = point.time - meanTime - slope * (point.rows - meanRows)
      return sum + point.weight * residual * residual
    }
    let inflation = points.count > 2 ? max(1, misfit / Double(points.count - 2)) : 1
    return { rows in
      let distance = rows - meanRows
      return (meanTime + slope * distance, (inflation * (1 / sum + distance * distance / squares)).squareRoot())
    }
  }

  private static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
  }
}
