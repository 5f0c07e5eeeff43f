import CheckedNumbers
import Explanation
import Reporting
import Summaries
import Trace
import TraceFormats

/// The part of a trace that `--range`, `--from` and `--to` ask for.
package struct TraceWindow: Sendable {
  /// Nanoseconds on the trace's clock, in order and apart.
  package var windows: [Range<Int64>]
  /// As printed: `while "decode" was open (12 ranges)`.
  package var text: String

  /// Nil where the whole trace is asked for. `from` and `to` are seconds after the first GPU work.
  ///
  /// - Throws: where the trace has no such range.
  package static func asked(
    range: String?, from: Double?, to: Double?, of trace: Trace, path: String
  ) throws(TraceImportError) -> TraceWindow? {
    let cut = Self.cut(from: from, to: to, trace)
    var window = cut.map { TraceWindow(windows: [$0], text: Self.text(from: from, to: to)) }
    guard let range else { return window }
    let (windows, count) = SummaryFilter.ranges(named: range, in: trace)
    if windows.isEmpty {
      let known = SummaryFilter.rangeNames(in: trace).prefix(20).map { "\"\($0.prefix(60))\"" }.joined(separator: ", ")
      throw TraceImportError(
        path: path, reason: "no range \"\(range)\" in it", remedy: known.isEmpty ? "It holds no ranges" : "Give one of \(known)")
    }
    let text = "while \"\(range)\" was open (\(NumberText.grouped(count)) range\(count == 1 ? "" : "s"))"
    window = TraceWindow(
      windows: cut.map { cut in windows.compactMap { $0.overlaps(cut) ? $0.clamped(to: cut) : nil } } ?? windows,
      text: window.map { "\(text), \($0.text)" } ?? text)
    return window
  }

  private static func text(from: Double?, to: Double?) -> String {
    func seconds(_ value: Double) -> String { "\(NumberText.significant(value)) s" }
    switch (from, to) {
    case (let from?, let to?): return "from \(seconds(from)) to \(seconds(to)) after the first GPU work"
    case (let from?, nil): return "from \(seconds(from)) after the first GPU work on"
    case (_, let to): return "up to \(seconds(to ?? 0)) after the first GPU work"
    }
  }

  private static func cut(from: Double?, to: Double?, _ trace: Trace) -> Range<Int64>? {
    if from == nil, to == nil { return nil }
    let starts = [trace.kernels.start, trace.copies.start, trace.memsets.start, trace.graphExecutions.start].compactMap { $0.min() }
    let ends = [trace.kernels.end, trace.copies.end, trace.memsets.end, trace.graphExecutions.end].compactMap { $0.max() }
    guard let first = starts.min(), let last = ends.max() else { return nil }
    let low = first.addingSaturated(Int64(saturating: (from ?? 0) * 1e9))
    let high = to.map { first.addingSaturated(Int64(saturating: $0 * 1e9)) } ?? last
    return low..<max(low.addingSaturated(1), min(high, max(last, low.addingSaturated(1))))
  }
}
