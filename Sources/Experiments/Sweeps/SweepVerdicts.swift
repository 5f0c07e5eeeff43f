import Diagnosis

/// What sweeps say: from points to sentences, and nothing else.
enum SweepVerdicts {
  /// A change below this is none: repetitions on one machine differ by some percent by themselves.
  static let least = 0.05

  // MARK: - batch

  /// Rows per batch: what costs nothing more, where a row is cheapest, and edges one row beyond a round number.
  static func batch(_ points: [SweepPoint]) -> [Sentence] {
    guard let first = points.min(by: { $0.rows < $1.rows }), let best = points.max(by: { $0.capacity < $1.capacity }), best.capacity > 0
    else {
      return ["nothing was timed"]
    }
    func perRow(_ point: SweepPoint) -> Figure {
      Figure(Bootstrap.median(point.milliseconds) * 1000 / Double(point.rows), .microseconds, .measured, source: "median time over rows")
    }
    var lines: [Sentence] = [
      "a row is cheapest in batches of \(best.setting): \(perRow(best)) per row against \(perRow(first)) in batches of \(first.setting)"
    ]
    let flat = points.sorted { $0.rows < $1.rows }.prefix { $0.change(from: first).value <= 0.25 }.last
    if let flat, flat.rows > first.rows {
      lines.append(
        "up to \(flat.setting) a batch takes at most a quarter longer than one of \(first.setting): launches and weights are paid for there, not rows"
      )
    }
    for point in points {
      guard let edge = points.first(where: { $0.rows == point.rows - 1 && $0.rows >= 16 }) else { continue }
      let change = point.change(from: edge)
      if change.value > 0, change.isSureChange(beyond: least) {
        lines.append("one row beyond \(edge.setting) costs \(change): the edge of a tile or a wave; keep max_batch_size at or below it")
      }
    }
    return lines
  }

  // MARK: - graphs

  /// Pairs of points, without a CUDA graph and with one.
  ///
  /// A graph runs the same kernels and saves their launches. That it is slower would be a surprise: it is said only where the whole interval is beyond
  /// twice what two loads of one model differ by, as their weights lie elsewhere in memory.
  static func graphs(_ pairs: [(off: SweepPoint, on: SweepPoint)]) -> [Sentence] {
    var lines: [Sentence] = []
    for pair in pairs {
      let change = pair.on.change(from: pair.off)
      let rows: Sentence = "\(setting: pair.off.rows) \(pair.off.rows == 1 ? "row" : "rows")"
      if change.isAtLeast(least), change.value < 0 {
        lines.append("\(rows): launches limit; a graph changes the time of a batch by \(change)")
      } else if change.isAtLeast(2 * least) {
        lines.append("\(rows): a graph is slower here, by \(change)")
      } else {
        lines.append("\(rows): no difference that is sure (\(change)): kernels, not launches, take the time")
      }
    }
    return lines.isEmpty ? ["nothing was timed"] : lines
  }

  // MARK: - instances

  /// Points by number of instances, one first.
  static func instances(_ points: [(count: Int, point: SweepPoint)]) -> [Sentence] {
    guard let one = points.first(where: { $0.count == 1 })?.point, one.capacity > 0,
      let best = points.max(by: { $0.point.capacity < $1.point.capacity })
    else { return ["nothing was timed"] }
    func gain(_ point: SweepPoint) -> Figure {
      Figure(point.capacity / one.capacity - 1, .share, .measured, source: "rows/s of \(point.setting) over one instance's, less one")
    }
    guard best.count > 1, gain(best.point).value > least else {
      return ["more instances pass no more rows/s: one keeps the device as busy as it gets"]
    }
    var lines: [Sentence] = ["\(best.point.setting) pass \(gain(best.point)) more rows/s than one"]
    if let two = points.first(where: { $0.count == 2 })?.point {
      let longer = two.change(from: one)
      lines.append(
        longer.value <= 0.1
          ? "two instances' batches take as long as one's (\(longer)): they fill each other's gaps"
          : "two instances' batches take \(longer) longer than one's: they share the device while both run")
    }
    let useful = points.filter { gain($0.point).value > gain(best.point).value - least }.map(\.count).min() ?? best.count
    if useful < best.count { lines.append("\(setting: useful) are enough: beyond them rows/s grow by less than 5 %") }
    return lines
  }

  // MARK: - seq

  /// By length of the sequence: copies of one token, as many distinct rows, and the copies computed once.
  static func sequence(_ points: [(length: Int, copies: SweepPoint, distinct: SweepPoint?, once: SweepPoint)]) -> [Sentence] {
    guard let longest = points.max(by: { $0.length < $1.length }), longest.length > 1 else { return ["nothing was timed"] }
    let ratio = longest.copies.time.ratio(to: longest.once.time)
    var lines: [Sentence] = []
    if let ratio, ratio.value > 1 + least {
      lines.append(
        "of \(setting: longest.length) tokens that are copies of one, computing one takes \(longest.once.time) in place of \(longest.copies.time): \(ratio) times; rewrite the model (headroom export MODEL --rewrite sink-broadcast)"
      )
    } else {
      lines.append("copies cost no time that is sure at \(setting: longest.length) tokens: something else takes it")
    }
    if let distinct = longest.distinct {
      let change = longest.copies.change(from: distinct)
      if longest.copies.time.value < 2 * longest.once.time.value {
        // Both are launches and copies then, and their ratio says nothing of the work.
        lines.append(
          "copies against as many distinct rows: not comparable; products take less than half of a batch's time here (a longer sequence or a wider head would tell)"
        )
      } else {
        lines.append(
          change.isAtLeast(0.15)
            ? "copies take \(change) against as many distinct rows of the same products: LayerNorm, expansion and the last slice"
            : "copies take as long as as many distinct rows of the same products (\(change)): the device does not know that they are copies"
        )
      }
    }
    return lines
  }

  // MARK: - residency

  /// Against back-to-back batches of one model: idle before each, another model in between, another's copies meanwhile.
  static func residency(_ base: SweepPoint, idle: [SweepPoint], disturbed: [SweepPoint]) -> [Sentence] {
    guard !base.milliseconds.isEmpty else { return ["nothing was timed"] }
    var lines: [Sentence] = []
    let slower = idle.filter { $0.change(from: base).value > 0 && $0.change(from: base).isSureChange(beyond: least) }
    if let first = slower.first {
      lines.append(
        "a batch after \(first.setting) takes \(first.change(from: base)) longer than one at once: clocks and caches cool in between")
    } else if !idle.isEmpty {
      lines.append("idle before a batch costs nothing that is sure")
    }
    for point in disturbed {
      let change = point.change(from: base)
      lines.append(
        change.value > 0 && change.isSureChange(beyond: least)
          ? "\(point.setting): a batch takes \(change) longer: weights are read again, or the device is shared"
          : "\(point.setting): no cost that is sure (\(change))")
    }
    return lines
  }

  // MARK: - Predictions

  /// How well the plan knew it beforehand; nil where nothing was predicted.
  static func prediction(_ points: [SweepPoint]) -> Sentence? {
    let errors = points.compactMap { point -> Double? in
      let time = Bootstrap.median(point.milliseconds)
      return time > 0 ? point.predictedMilliseconds.map { $0 / time - 1 } : nil
    }
    guard !errors.isEmpty else { return nil }
    let mean = errors.reduce(0) { $0 + $1.magnitude } / Double(errors.count)
    let figure = Figure(mean, .share, .measured, source: "mean of the errors' sizes, \(errors.count) settings")
    return "planned before the run: off by \(figure) on average over \(setting: errors.count) settings"
  }
}
