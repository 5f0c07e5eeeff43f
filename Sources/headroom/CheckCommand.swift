import Console
import ArgumentParser
import ProcessContract
import FileAccess
import JSONText
import Serving

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check model configurations without a server.",
    discussion: """
      Reads every config.pbtxt as `headroom serve` does and says what it would say:
      what is refused, with line and column, and what has no effect. Where the
      model's file lies in its version's folder, its inputs and outputs are
      compared too; no engine is asked whether it can run it.

      EXAMPLES
        headroom check models/                      # a repository
        headroom check models/ranker                # one model
        headroom check config.pbtxt                 # a configuration alone
        headroom check models/ --json > report.json

      EXIT CODES
        0 all accepted, 1 some refused, 64 wrong usage (also a path that is not there)
      """)

  @Argument(help: ArgumentHelp("Repositories, models' folders, or configurations.", valueName: "path")) var paths: [String]
  @Flag(help: "Print one JSON object (Docs/schemas/check.json).") var json = false
  @Flag(help: "Leave out models that are accepted without a remark, and notes on parameters.") var quiet = false

  func validate() throws { if paths.isEmpty { throw ValidationError("give a repository, a model's folder, or a config.pbtxt") } }

  func run() throws {
    var results: [RepositoryCheck.Result] = []
    for path in paths {
      do throws(FileError) { results += try RepositoryCheck.check(path) } catch { throw ValidationError("\(error)") }
    }
    let report = RepositoryReport(results)
    Terminal.print(json ? report.json(version: Headroom.version).serialized() : report.lines(quiet: quiet).joined(separator: "\n"))
    if results.contains(where: { !$0.isAccepted }) { throw ExitCode(.failed) }
  }
}
