import FileAccess
import Glibc
import JSONText

/// `headroom bench --suite planted`: programs with one known limit, written as files, read back, explained and scored.
package struct PlantedSuite: Sendable {
  /// By the files' form and by what stands beside the traces.
  package let scores: [(form: PlantedFiles.Form, score: PlantedScore)]
  /// Programs of which a file could not be read back.
  package let failures: [CompanionError]

  /// Writes, explains and scores every program. `folder` keeps the files, nil throws them away.
  package init(folder: String?, progress: (String) -> Void) throws {
    var failures: [CompanionError] = []
    let programs = PlantedProgram.all()
    var scores: [(form: PlantedFiles.Form, score: PlantedScore)] = PlantedScore.Evidence.allCases.flatMap { evidence in
      PlantedFiles.Form.allCases.map { ($0, PlantedScore(evidence)) }
    }
    let root = try folder ?? Self.temporaryFolder()
    defer { if folder == nil { rmdir(root) } }
    if folder != nil { try Files.createFolder(root) }
    for (index, program) in programs.enumerated() {
      progress("planted: \(index * 100 / max(1, programs.count)) %")
      let place = "\(root)/\(program.cause.rawValue)-\(program.strength)-\(program.seed)"
      try Files.createFolder(place)
      let files = PlantedFiles(program, in: place)
      try files.write()
      for position in scores.indices {
        do throws(CompanionError) {
          let form = scores[position].form
          let explanation =
            try scores[position].score.evidence == .alone ? files.explainAlone(form) : files.explainWithEverything(form)
          scores[position].score.add(program, explanation)
        } catch {
          failures.append(error)
          scores[position].score.addFailure(program)
        }
      }
      if folder == nil {
        for name in PlantedFiles.names { unlink("\(place)/\(name)") }
        rmdir(place)
      }
    }
    (self.scores, self.failures) = (scores, failures)
    if let folder { try Files.write("\(folder)/planted.md", markdown) }
  }

  /// Whether all goals are met.
  package var isMet: Bool { scores.allSatisfy { $0.score.isMet } }

  /// As it is printed.
  package var lines: [String] {
    ["SIMULATED: traces of made-up programs, written as files without any table of our own and read back"]
      + scores.flatMap { ["", "\($0.score.evidence.text), \($0.form.rawValue)"] + $0.score.lines }
  }

  private static func temporaryFolder() throws -> String {
    let parent = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/tmp"
    var template = Array("\(parent)/headroom-planted-XXXXXX".utf8CString)
    guard let path = mkdtemp(&template) else {
      throw CompanionError(path: parent, reason: "no folder can be made there: \(String(cString: strerror(errno)))")
    }
    return String(cString: path)
  }

  private var markdown: String {
    scores.map { form, score in
      (["### \(score.evidence.text), \(form == .nsight ? "as an Nsight export" : "as a Kineto trace")", ""] + score.markdown).joined(
        separator: "\n")
    }.joined(separator: "\n\n") + "\n"
  }

  /// `headroom.bench-planted/3`.
  package func json(version: String) -> JSONValue {
    [
      "schema": "headroom.bench-planted/3", "headroom": .string(version), "mode": "simulated",
      "scores": .array(
        scores.map { form, score in
          [
            "form": .string(form.rawValue), "evidence": .string(score.evidence.rawValue), "accuracyShare": JSONValue(score.accuracy),
            "falseAlarmShare": JSONValue(score.falseAlarmShare), "healthyPrograms": JSONValue(score.healthy.all),
            "causes": .array(
              PlantedProgram.Cause.allCases.compactMap { cause in
                guard let counts = score.byCause[cause] else { return nil }
                return [
                  "cause": .string(cause.rawValue), "right": JSONValue(counts.right), "programs": JSONValue(counts.all),
                  "firstVerdicts": .array(
                    (score.titles[cause] ?? [:]).sorted { $0.key < $1.key }.map {
                      ["verdict": .string($0.key), "programs": JSONValue($0.value)]
                    }),
                ]
              }),
          ]
        }),
    ]
  }
}
