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
    Terminal.print(json ? CheckReport(results).json.serialized() : CheckReport(results).lines(quiet: quiet).joined(separator: "\n"))
    if results.contains(where: { !$0.isAccepted }) { throw ExitCode(.failed) }
  }
}

/// What the checks found, for people and for programs.
struct CheckReport {
  let results: [RepositoryCheck.Result]

  init(_ results: [RepositoryCheck.Result]) { self.results = results }

  private var refused: Int { results.count { !$0.isAccepted } }
  private var withoutModelFile: Int { results.count { $0.isAccepted && $0.lacksModelFile } }
  private var withIgnored: Int { results.count { $0.isAccepted && $0.remarks.contains { $0.kind == .ignored } } }

  /// One line a remark, as compilers write them, so that editors and CI find the place.
  func lines(quiet: Bool) -> [String] {
    var lines: [String] = []
    for result in results {
      let shown = quiet ? result.remarks.filter { $0.kind != .note || $0.isKept } : result.remarks
      if result.isAccepted, !quiet || !shown.isEmpty { lines.append("\(result.file): accepted") }
      lines += shown.map(\.description)
    }
    let accepted = results.count - refused
    let parts =
      (withIgnored == 0 ? [] : ["\(withIgnored) with parts that are ignored"])
      + (withoutModelFile == 0 ? [] : ["\(withoutModelFile) without their model's file"])
    let some = parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
    return lines + ["\(results.count) configuration\(results.count == 1 ? "" : "s"): \(accepted) accepted\(some), \(refused) refused"]
  }

  var json: JSONValue {
    let configurations = results.map { result -> JSONValue in
      [
        "model": .string(result.model), "file": .string(result.file), "modelFile": JSONValue(result.modelFile),
        "verdict": result.isAccepted ? "accepted" : "refused",
        "remarks": .array(
          result.remarks.map { remark in
            [
              "kind": .string(remark.kind.rawValue), "file": .string(remark.file),
              "line": remark.line.map { JSONValue($0) } ?? .null, "column": remark.column.map { JSONValue($0) } ?? .null,
              "reason": .string(remark.reason),
            ]
          }), "configuration": result.isAccepted ? result.configuration ?? .null : .null,
      ]
    }
    return [
      "schema": "headroom.check/1", "headroom": .string(Headroom.version), "mode": "static", "accepted": JSONValue(results.count - refused),
      "refused": JSONValue(refused), "withoutModelFile": JSONValue(withoutModelFile), "configurations": .array(configurations),
    ]
  }
}
