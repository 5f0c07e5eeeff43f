public import JSONText
public import Reporting
import Explanation
public import FileAccess

/// What `bench` has to show: of virtual time, of a real device, or of both in one report.
public struct BenchOutcome: Sendable {
  /// Tables and charts, those of virtual time first.
  public var report: Report
  /// One object, as its schema says; of both kinds, one within the other.
  public var json: JSONValue
  /// Every run, those of virtual time first. A suite has none to compare.
  public var runs: [ComparedRun]
  /// Whether some of it is simulated.
  public var isSimulated: Bool

  /// Of an experiment in virtual time.
  public init(_ result: ExperimentResult, version: String) {
    (report, json) = (result.report, result.json(version: version))
    (runs, isSimulated) = (result.variants.map(\.compared), true)
  }

  /// Of an experiment on a real device.
  public init(_ result: MeasuredResult, version: String) {
    (report, json) = (result.report, result.json(version: version))
    (runs, isSimulated) = (result.variants.map(\.compared), false)
  }

  /// Of a suite on a real device.
  public init(_ suite: SuiteResult, version: String) {
    (report, json, runs, isSimulated) = (suite.report, suite.json(version: version), [], false)
  }

  /// This and what a real device showed, in one report.
  public func followed(by measured: BenchOutcome, version: String) -> BenchOutcome {
    var both = self
    both.report = report.followed(by: measured.report)
    both.json = ["schema": "headroom.bench-both/4", "headroom": .string(version), "simulated": json, "measured": measured.json]
    both.runs += measured.runs
    return both
  }

  /// A run that was not steady, or of which nothing can be told.
  public var isInconclusive: Bool { runs.contains { $0.assessment.verdict.isInconclusive } }

  /// Headroom and ten lines per run; `isVerbose`: every table behind them.
  public func lines(isVerbose: Bool, width: Int) -> [String] {
    let kind = !isSimulated ? "" : "SIMULATED, no GPU ran and no request was sent. "
    let answers = AnswerList(runs.map(\.answer), footer: "\(report.title): \(kind)--verbose prints every table.")
    if isVerbose || runs.isEmpty { return answers.lines(isWhole: false) + report.terminalLines(width: width) }
    return answers.lines(isWhole: true)
  }

  /// Names of the files that `write` makes.
  public static let fileNames = ["report.html", "figures.csv", "report.json"]

  /// The page, every figure, and the JSON.
  public func write(into folder: String) throws(FileError) {
    let texts = [report.html, report.csv, json.serialized(pretty: true) + "\n"]
    try Files.createFolder(folder)
    for (name, text) in zip(Self.fileNames, texts) { try Files.write(folder + "/" + name, Array(text.utf8)) }
  }
}
