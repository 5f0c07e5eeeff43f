import Console
import ArgumentParser
import ProcessContract
import CheckedNumbers
import Diagnosis
import Explanation
import JSONText
import Reporting
import TraceFormats

/// `headroom compare`: two traces, or two sets of runs.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Say what changed between two recorded runs, by how much, and whether it exceeds the spread.",
    usage: "headroom compare [options] BEFORE AFTER",
    discussion: """
      Aligns kernels and CUDA calls by name, phases by the program's own ranges, and idle time by cause. Several runs a side (separated by commas) tell what runs differ by anyhow. Less work in \
      the second window is not "faster", and is said.

      EXAMPLES
        headroom compare before.sqlite after.sqlite
        headroom compare a1.json,a2.json,a3.json b1.json,b2.json,b3.json
        headroom compare main.sqlite branch.sqlite --fail-on 'kernel_time>+3%'
        headroom compare a.sqlite b.sqlite --fail-on 'gpu_busy<40%' --json

      CONDITIONS
        KEY>+N% and KEY<-N% on the change; KEY>N% and KEY<N% on the second side's
        value where it is a share. Keys: span, kernel_time, time_per_kernel,
        kernel_busy, gpu_busy, copy_time, idle, kernels, launches, kernel:NAME,
        count:NAME, api:FUNCTION, api_count:FUNCTION, range:NAME,
        range_count:NAME, idle:CAUSE.

      EXIT CODES
        0 compared, and no condition crossed; 1 failed; 2 a condition crossed;
        3 inconclusive: a condition's quantity is unknown or within the spread, or,
        without conditions, the sides did different work or differ too little;
        64 usage.
      """)

  @Argument(help: ArgumentHelp("Traces of one side, separated by commas.", valueName: "BEFORE"))
  var before: String

  @Argument(help: ArgumentHelp("Traces of the other side.", valueName: "AFTER"))
  var after: String

  @Option(help: ArgumentHelp("Exit with 2 where this holds; may be given several times.", valueName: "condition"))
  var failOn: [String] = []

  @Flag(help: "Print one JSON object (schema headroom.compare/1).")
  var json = false

  @Flag(help: "No progress.")
  var quiet = false

  @Option(help: "Rows printed: kernels, calls, phases and causes, by what they changed.")
  var rows = 20

  func validate() throws {
    for text in failOn where ComparisonCondition(text) == nil {
      throw ValidationError("--fail-on '\(text)': write KEY>+N%, as in 'kernel_time>+3%'")
    }
    if rows < 0 { throw ValidationError("--rows \(rows): 0 or more") }
  }

  func run() throws {
    let progress = ProgressLine(isQuiet: quiet || !Terminal.errorIsTerminal)
    var sides: [[Comparison.Run]] = []
    for side in [before, after] {
      var runs: [Comparison.Run] = []
      for path in side.split(separator: ",").map(String.init) {
        do throws(TraceImportError) {
          progress.report("reading \(path)")
          let imported = try TraceImporters.read(path)
          let explanation = TraceExplanation(of: imported.trace, name: path)
          guard let run = Comparison.Run(explanation, trace: imported.trace) else {
            throw TraceImportError(path: path, reason: explanation.refusal ?? "no GPU work", remedy: "compare traces with kernels in them")
          }
          runs.append(run)
        } catch {
          progress.clear()
          Terminal.note("headroom compare: \(error)")
          throw ExitCode(.failed)
        }
      }
      sides.append(runs)
    }
    progress.clear()
    guard sides.count == 2, let comparison = Comparison(before: sides[0], after: sides[1]) else {
      Terminal.note("headroom compare: a side is empty")
      throw ExitCode(.failed)
    }
    let outcomes = failOn.compactMap { ComparisonCondition($0) }.map { ($0, $0.isCrossed(by: comparison)) }
    if json {
      Terminal.print(document(comparison, outcomes).serialized(pretty: true))
    } else {
      print(comparison, outcomes)
    }
    if outcomes.contains(where: { $0.1 == true }) { throw ExitCode(.thresholdCrossed) }
    if outcomes.contains(where: { $0.1 == nil }) { throw ExitCode(.inconclusive) }
    if outcomes.isEmpty, comparison.verdict == .differentWork || comparison.verdict == .inconclusive { throw ExitCode(.inconclusive) }
  }

  private func print(_ comparison: Comparison, _ outcomes: [(ComparisonCondition, Bool?)]) {
    let word: String =
      switch comparison.verdict {
      case .faster: "Faster"
      case .slower: "Slower"
      case .same: "No difference"
      case .differentWork: "Not comparable"
      case .inconclusive: "Inconclusive"
      }
    Terminal.print("\(word): \(comparison.reason)")
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
    Terminal.print(table.lines.joined(separator: "\n"))
    for (condition, crossed) in outcomes {
      Terminal.print("\(condition.text): \(crossed.map { $0 ? "CROSSED" : "kept" } ?? "inconclusive")")
    }
  }

  private func document(_ comparison: Comparison, _ outcomes: [(ComparisonCondition, Bool?)]) -> JSONValue {
    [
      "schema": "headroom.compare/1", "headroom": .string(Headroom.version), "mode": "measured",
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
        outcomes.map { ["condition": .string($0.0.text), "crossed": $0.1.map { .bool($0) } ?? .null] }),
    ]
  }
}
