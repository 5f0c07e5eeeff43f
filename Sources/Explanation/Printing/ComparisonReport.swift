import CheckedNumbers
import Diagnosis
import JSONText
import ProcessContract
import Reporting
import TraceFormats

/// Two sides of traces, compared, with the conditions that a build is held to.
package struct ComparisonReport: Sendable {
  /// What was found.
  package let comparison: Comparison
  /// Each condition, and whether it is crossed; nil where its quantity is unknown or within the spread.
  package let outcomes: [(condition: ComparisonCondition, isCrossed: Bool?)]

  /// Of a comparison.
  package init(_ comparison: Comparison, conditions: [ComparisonCondition]) {
    self.comparison = comparison
    outcomes = conditions.map { ($0, $0.isCrossed(by: comparison)) }
  }

  /// Reads the traces of both sides: paths, separated by commas.
  package init(
    of before: String, and after: String, conditions: [ComparisonCondition], progress: (String) -> Void
  ) throws(TraceImportError) {
    let sides = [try Self.runs(before, progress), try Self.runs(after, progress)]
    guard let comparison = Comparison(before: sides[0], after: sides[1]) else {
      throw TraceImportError(path: before.isEmpty ? after : before, reason: "a side is empty", remedy: "name at least one trace per side")
    }
    self.init(comparison, conditions: conditions)
  }

  private static func runs(_ side: String, _ progress: (String) -> Void) throws(TraceImportError) -> [Comparison.Run] {
    var runs: [Comparison.Run] = []
    for path in side.split(separator: ",").map(String.init) {
      progress("reading \(path)")
      let trace = try TraceImporters.read(path).trace
      let explanation = TraceExplanation(of: trace, name: path)
      guard let run = Comparison.Run(explanation, trace: trace) else {
        throw TraceImportError(path: path, reason: explanation.refusal ?? "no GPU work", remedy: "compare traces with kernels in them")
      }
      runs.append(run)
    }
    return runs
  }

  /// How the command ends: a crossed condition goes before one of which nothing can be told.
  package var status: ExitStatus {
    if outcomes.contains(where: { $0.isCrossed == true }) { return .thresholdCrossed }
    if outcomes.contains(where: { $0.isCrossed == nil }) { return .inconclusive }
    return outcomes.isEmpty && (comparison.verdict == .differentWork || comparison.verdict == .inconclusive) ? .inconclusive : .ok
  }

  /// The verdict, the rows that changed most, at most so many beside the totals, and the conditions.
  package func lines(rows: Int) -> [String] {
    let word: String =
      switch comparison.verdict {
      case .faster: "Faster"
      case .slower: "Slower"
      case .same: "No difference"
      case .differentWork: "Not comparable"
      case .inconclusive: "Inconclusive"
      }
    var table = TextTable([
      .init("", .left), .init("before"), .init("after"), .init("change"), .init("spread"), .init("", .left),
    ])
    func value(_ value: Double?, _ unit: Figure.Unit) -> String {
      guard let value else { return "-" }
      return unit == .nanoseconds ? NumberText.time(nanoseconds: value) : Figure(value, unit, .measured, source: "").text
    }
    for row in comparison.rows.prefix(9 + rows) {
      let change = row.change.map { ($0 >= 0 ? "+" : "") + NumberText.fixed($0 * 100, decimals: 1) + " %" } ?? "-"
      let note =
        row.isSignificant.map { $0 ? "beyond the spread" : "within the spread" }
        ?? (row.before == nil ? "new" : row.after == nil ? "gone" : "")
      table.add([
        String(row.name.prefix(60)), value(row.before, row.unit), value(row.after, row.unit), change,
        row.spread.map { NumberText.percent($0) } ?? "-", note,
      ])
    }
    return ["\(word): \(comparison.reason)"] + table.lines
      + outcomes.map { "\($0.condition.text): \($0.isCrossed.map { $0 ? "CROSSED" : "kept" } ?? "inconclusive")" }
  }

  /// `headroom.compare/1`.
  package func json(version: String) -> JSONValue {
    [
      "schema": "headroom.compare/1", "headroom": .string(version), "mode": "measured",
      "verdict": .string(comparison.verdict.rawValue), "reason": .string(comparison.reason),
      "runsBefore": JSONValue(comparison.runs.before),
      "runsAfter": JSONValue(comparison.runs.after),
      "rows": .array(
        comparison.rows.map { row in
          [
            "key": .string(row.key), "unit": .string(row.unit.rawValue), "before": JSONValue(row.before), "after": JSONValue(row.after),
            "changeShare": JSONValue(row.change), "spreadShare": JSONValue(row.spread),
            "significant": row.isSignificant.map { .bool($0) } ?? .null,
          ]
        }),
      "conditions": .array(
        outcomes.map { ["condition": .string($0.condition.text), "crossed": $0.isCrossed.map { .bool($0) } ?? .null] }),
    ]
  }
}
