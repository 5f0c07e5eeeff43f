import CheckedNumbers
import Console
import LoadGenerator
import LoadModel
import Reporting
import Synchronization

/// What is seen while a run goes on: three lines that are rewritten on a terminal, a line a second elsewhere.
package final class LoadView: Sendable {
  private struct State: Sendable {
    var last: ServerStatistics?
    var errors: Int64 = 0
    var rates: [Double] = []
    var lineCount = 0
  }

  private let isQuiet: Bool
  private let totalSeconds: Double
  private let statistics: @Sendable () -> ServerStatistics?
  private let state = Mutex(State())

  /// `totalSeconds` is how long the run will be, `statistics` asks the server for its counters.
  package init(isQuiet: Bool, totalSeconds: Double, statistics: @escaping @Sendable () -> ServerStatistics?) {
    self.isQuiet = isQuiet
    self.totalSeconds = totalSeconds
    self.statistics = statistics
  }

  package func show(_ interval: LiveInterval) {
    if isQuiet || interval.summary.lengthSeconds < 0.2 { return }
    let summary = interval.summary
    // What was due before the window came in it: no figure of the report, but what is seen now.
    var latency = interval.latency
    latency.add(interval.earlier)
    func time(_ percentile: Double) -> String {
      latency.value(atPercentile: percentile).map { NumberText.time(nanoseconds: Double($0)) } ?? "-"
    }
    let rate = Double(summary.answers) / summary.lengthSeconds
    let (errors, rates) = state.withLock { state in
      state.errors += summary.errors
      state.rates = state.rates.suffix(59) + [rate]
      return (state.errors, state.rates)
    }
    let batch = meanBatch().map { ", batch \(NumberText.significant($0)) rows" } ?? ""
    let phase =
      switch interval.phase {
      case .warmUp: " warm-up"
      case .window: ""
      case .drain: " last responses"
      }
    let end = summary.startSeconds + summary.lengthSeconds
    guard Terminal.errorIsTerminal else {
      Terminal.note(
        "\(NumberText.fixed(end, decimals: 0)) s\(phase): \(NumberText.significant(rate)) requests/s, p50 \(time(50)), p99 \(time(99)), "
          + "max \(time(100)), errors \(summary.errors), connections \(summary.users)\(batch)")
      return
    }
    let total = NumberText.fixed(totalSeconds, decimals: 0)
    redraw([
      "\(NumberText.fixed(min(end, totalSeconds), decimals: 0)) of \(total) s\(phase)  \(Self.bars(rates)) \(NumberText.significant(rate)) requests/s",
      "  p50 \(time(50)), p90 \(time(90)), p99 \(time(99)), max \(time(100))",
      "  errors \(NumberText.grouped(errors)), connections \(NumberText.grouped(summary.users))\(batch)",
    ])
  }

  /// The last minute's rates, the highest as a full block.
  package static func bars(_ rates: [Double]) -> String {
    let blocks = Array("\u{2581}\u{2582}\u{2583}\u{2584}\u{2585}\u{2586}\u{2587}\u{2588}")
    guard let maximum = rates.max(), maximum > 0 else { return "" }
    return String(rates.suffix(30).map { blocks[max(0, min(7, Int(saturating: $0 / maximum * 7.999)))] })
  }

  private func redraw(_ lines: [String]) {
    let width = max(20, Terminal.errorWidth - 1)
    state.withLock { state in
      // Back to the first line, then each line with the rest of it cleared.
      var text = state.lineCount > 0 ? "\r\u{1B}[\(state.lineCount)A" : ""
      for line in lines { text += String(line.prefix(width)) + "\u{1B}[K\n" }
      state.lineCount = lines.count
      Terminal.progress(text)
    }
  }

  /// Of the last second, from the server's own statistics.
  private func meanBatch() -> Double? {
    guard let now = statistics() else { return nil }
    let last = state.withLock { state in
      defer { state.last = now }
      return state.last
    }
    return last.flatMap { now.since($0)?.meanBatch }
  }

  package func clear() {
    if isQuiet || !Terminal.errorIsTerminal { return }
    state.withLock { state in
      if state.lineCount > 0 { Terminal.progress("\r\u{1B}[\(state.lineCount)A\u{1B}[J") }
      state.lineCount = 0
    }
  }
}
