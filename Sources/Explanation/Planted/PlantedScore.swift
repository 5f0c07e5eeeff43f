import CheckedNumbers
import Reporting

/// How often the first verdict is right on worlds whose limit is known.
public struct PlantedScore: Sendable {
  /// Right of all, by cause.
  public private(set) var byCause: [PlantedWorld.Cause: (right: Int, all: Int)] = [:]
  /// Titles of the verdicts that were given, by cause.
  public private(set) var titles: [PlantedWorld.Cause: [String: Int]] = [:]
  /// Healthy worlds, and those with a claimed change of 2 % or more.
  public private(set) var healthy = (alarms: 0, all: 0)

  /// Nothing is scored yet.
  public init() {}

  /// Counts a world's explanation.
  public mutating func add(_ world: PlantedWorld, _ explanation: TraceExplanation) {
    let known = byCause[world.cause] ?? (0, 0)
    byCause[world.cause] = (known.right + (world.isRight(explanation) ? 1 : 0), known.all + 1)
    let title = explanation.verdict.map { String($0.title.prefix { $0 != ":" && $0 != "," }) } ?? "none"
    titles[world.cause, default: [:]][title, default: 0] += 1
    if world.cause.isHealthy { healthy = (healthy.alarms + (world.isFalseAlarm(explanation) ? 1 : 0), healthy.all + 1) }
  }

  /// Share of worlds with a planted cause whose first verdict is right.
  public var accuracy: Double {
    let planted = byCause.filter { !$0.key.isHealthy }.values
    return Double(planted.reduce(0) { $0 + $1.right }) / Double(max(1, planted.reduce(0) { $0 + $1.all }))
  }

  /// Share of healthy worlds with a false alarm.
  public var falseAlarmShare: Double { Double(healthy.alarms) / Double(max(1, healthy.all)) }

  /// The confusion matrix as a table, and both shares.
  public var lines: [String] {
    var table = TextTable([.init("planted", .left), .init("right"), .init("of"), .init("verdicts", .left)])
    for cause in PlantedWorld.Cause.allCases {
      guard let counts = byCause[cause] else { continue }
      let given = (titles[cause] ?? [:]).sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }
      table.add([cause.rawValue, "\(counts.right)", "\(counts.all)", given.joined(separator: "; ")])
    }
    return table.lines + [
      "", "first verdict right: \(NumberText.percent(accuracy)) (at least 90 % wanted)",
      "false alarms on healthy worlds: \(NumberText.percent(falseAlarmShare)) (at most 5 %)",
    ]
  }
}
