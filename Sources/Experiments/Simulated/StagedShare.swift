import CheckedNumbers

/// The share done of work that comes in batches whose number nobody knows beforehand: every batch is worth a part of what was left when it
/// began, so that the share never falls and is never whole before the end.
struct StagedShare: Sendable {
  /// 0...1.
  private(set) var share = 0.0
  private var base = 0.0
  private var weight = 0.0
  private let first: Double
  private let later: Double
  private var isFirst = true

  /// - Parameters:
  ///   - first: part of the whole that the first batch is worth: 1 where there is no other.
  ///   - later: part of what is left that each further one is worth.
  init(first: Double, later: Double = 0.5) {
    self.first = first
    self.later = later
  }

  /// Of the batch of `all` pieces that began with a `done` of 0, so many are done. Told out of order, by several threads, the largest counts.
  mutating func update(done: Int, all: Int) {
    if done <= 0 || isFirst {
      base = share
      weight = (1 - base) * (isFirst ? first : later)
      isFirst = false
    }
    guard all > 0 else { return }
    share = max(share, base + weight * min(1, Double(done) / Double(all)))
  }

  /// Whole percent, at most 99.
  var percent: Int { min(99, Int(saturating: share * 100)) }
}
