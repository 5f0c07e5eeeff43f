import ArgumentParser
import Console
import Explanation
import JSONText
import TraceFormats

/// `headroom compare`: two traces, or two sets of runs.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Say what changed between two recorded runs, by how much, and whether it exceeds the spread.",
    usage: "headroom compare [options] BEFORE AFTER",
    discussion: """
      Aligns kernels and CUDA calls by name, phases by the program's own ranges, and idle time by cause. Several runs per side (separated by commas) tell what runs differ by anyhow. Less work in \
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
        3 inconclusive: a condition's quantity is unknown or within the spread, or a
        total did not rise because the second side did less work; or, without
        conditions, the sides did different work or differ too little; 64 usage.
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
    let report: ComparisonReport
    do throws(TraceImportError) {
      defer { progress.clear() }
      report = try ComparisonReport(of: before, and: after, conditions: failOn.compactMap { ComparisonCondition($0) }) {
        progress.report($0)
      }
    } catch { throw failed(Self.self, error) }
    Terminal.print(
      json ? report.json(version: Headroom.version).serialized(pretty: true) : report.lines(rows: rows).joined(separator: "\n"))
    if report.status != .ok { throw ExitCode(report.status) }
  }
}
