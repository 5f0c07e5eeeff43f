import Console
import Explanation
import FileAccess
import Glibc
import JSONText

/// `headroom bench --suite planted`: programs with one known limit, written as files, read back, explained and scored.
enum PlantedSuite {
  /// Writes, explains and scores every program; whether all goals are met. `folder` keeps the files, nil throws them away.
  static func run(json: Bool, quiet: Bool, folder: String?) throws -> Bool {
    let progress = ProgressLine(isQuiet: quiet)
    let programs = PlantedProgram.all()
    var scores: [(form: PlantedFiles.Form, score: PlantedScore)] = PlantedScore.Evidence.allCases.flatMap { evidence in
      PlantedFiles.Form.allCases.map { ($0, PlantedScore(evidence)) }
    }
    let root = try folder ?? temporaryFolder()
    defer { if folder == nil { rmdir(root) } }
    if folder != nil { try Files.createFolder(root) }
    for (index, program) in programs.enumerated() {
      progress.report("planted: \(index * 100 / max(1, programs.count)) %")
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
          Terminal.note("headroom bench: \(error)")
          scores[position].score.addFailure(program)
        }
      }
      if folder == nil {
        for name in PlantedFiles.names { unlink("\(place)/\(name)") }
        rmdir(place)
      }
    }
    progress.clear()
    if let folder { try Files.write("\(folder)/planted.md", markdown(scores)) }
    if json {
      Terminal.print(document(scores).serialized(pretty: true))
    } else {
      Terminal.print("SIMULATED: traces of made-up programs, written as files without any table of our own and read back")
      for (form, score) in scores {
        Terminal.print("\n\(score.evidence.text), \(form.rawValue)")
        Terminal.print(score.lines.joined(separator: "\n"))
      }
    }
    return scores.allSatisfy { $0.score.isMet }
  }

  private static func temporaryFolder() throws -> String {
    let parent = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/tmp"
    var template = Array("\(parent)/headroom-planted-XXXXXX".utf8CString)
    guard let path = mkdtemp(&template) else {
      throw CompanionError(path: parent, reason: "no folder can be made there: \(String(cString: strerror(errno)))")
    }
    return String(cString: path)
  }

  private static func markdown(_ scores: [(form: PlantedFiles.Form, score: PlantedScore)]) -> String {
    scores.map { form, score in
      (["### \(score.evidence.text), \(form == .nsight ? "as an Nsight export" : "as a Kineto trace")", ""] + score.markdown).joined(
        separator: "\n")
    }.joined(separator: "\n\n") + "\n"
  }

  private static func document(_ scores: [(form: PlantedFiles.Form, score: PlantedScore)]) -> JSONValue {
    [
      "schema": "headroom.bench-planted/3", "headroom": .string(Headroom.version), "mode": "simulated",
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
