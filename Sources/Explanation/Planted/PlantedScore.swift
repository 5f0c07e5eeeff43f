import CheckedNumbers
import Reporting

/// How often the first verdict is right on programs whose limit is known.
public struct PlantedScore: Sendable {
  /// What a verdict was given from.
  public enum Evidence: String, Sendable, Hashable, CaseIterable {
    /// The trace alone.
    case alone
    /// The trace, and what a user has beside it.
    case everything

    /// As printed.
    public var text: String { self == .alone ? "the trace alone" : "the trace and the files beside it" }
  }

  /// From what.
  public var evidence: Evidence
  /// Right of all, by cause.
  public private(set) var byCause: [PlantedProgram.Cause: (right: Int, all: Int)] = [:]
  /// First verdicts that were given, by cause.
  public private(set) var titles: [PlantedProgram.Cause: [String: Int]] = [:]
  /// Healthy programs, and those with a claimed change of 2 % or more.
  public private(set) var healthy = (alarms: 0, all: 0)

  /// Nothing is scored yet.
  public init(_ evidence: Evidence = .alone) { self.evidence = evidence }

  /// Counts a program's explanation.
  public mutating func add(_ program: PlantedProgram, _ explanation: TraceExplanation) {
    let known = byCause[program.cause] ?? (0, 0)
    let isRight = evidence == .alone ? program.isRight(explanation) : program.isNamed(explanation)
    byCause[program.cause] = (known.right + (isRight ? 1 : 0), known.all + 1)
    let title = explanation.verdict.map { String($0.title.prefix { $0 != ":" && $0 != "," }) } ?? "none"
    titles[program.cause, default: [:]][title, default: 0] += 1
    if program.cause.isHealthy { healthy = (healthy.alarms + (program.isFalseAlarm(explanation) ? 1 : 0), healthy.all + 1) }
  }

  /// Counts a program whose files could not be read: no verdict is a wrong one.
  public mutating func addFailure(_ program: PlantedProgram) {
    let known = byCause[program.cause] ?? (0, 0)
    byCause[program.cause] = (known.right, known.all + 1)
    titles[program.cause, default: [:]]["cannot be read", default: 0] += 1
  }

  /// Share of programs with a planted cause whose first verdict is right.
  public var accuracy: Double {
    let planted = byCause.filter { !$0.key.isHealthy }.values
    return Double(planted.reduce(0) { $0 + $1.right }) / Double(max(1, planted.reduce(0) { $0 + $1.all }))
  }

  /// Share of healthy programs with a false alarm.
  public var falseAlarmShare: Double { Double(healthy.alarms) / Double(max(1, healthy.all)) }

  /// At least 90 % right and at most 5 % false alarms.
  public var isMet: Bool { accuracy >= 0.9 && falseAlarmShare <= 0.05 }

  /// The confusion matrix as a table, and both shares.
  public var lines: [String] {
    var table = TextTable([.init("planted", .left), .init("right"), .init("of"), .init("first verdicts", .left)])
    for (cause, counts) in rows {
      table.add([cause.rawValue, "\(counts.right)", "\(counts.all)", given(cause)])
    }
    return table.lines + [
      "", "first verdict right: \(NumberText.percent(accuracy)) (at least 90 % wanted)",
      "false alarms on healthy programs: \(NumberText.percent(falseAlarmShare)) (at most 5 %)",
    ]
  }

  /// The same for a page of documentation.
  public var markdown: [String] {
    ["| planted | right | of | first verdicts |", "|---|---|---|---|"]
      + rows.map { "| \($0.0.rawValue) | \($0.1.right) | \($0.1.all) | \(given($0.0)) |" } + [
        "",
        "First verdict right: \(NumberText.percent(accuracy)). False alarms on healthy programs: \(NumberText.percent(falseAlarmShare)).",
      ]
  }

  private var rows: [(PlantedProgram.Cause, (right: Int, all: Int))] {
    PlantedProgram.Cause.allCases.compactMap { cause in byCause[cause].map { (cause, $0) } }
  }

  private func given(_ cause: PlantedProgram.Cause) -> String {
    (titles[cause] ?? [:]).sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }.joined(separator: "; ")
  }
}
