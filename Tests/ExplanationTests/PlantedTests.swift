import Explanation
import FileAccess
import Glibc
import Testing
import Trace
import TraceFormats

@Suite struct PlantedTests {
  @Test func firstVerdictsOnPlantedLimitsAreRightAndHealthyProgramsRaiseNoAlarm() {
    var score = PlantedScore()
    for program in PlantedProgram.all(healthy: 12, seed: 7) {
      score.add(program, TraceExplanation(of: program.trace(steps: 40), name: program.cause.rawValue))
    }
    #expect(score.accuracy >= 0.9, "\(score.lines.joined(separator: "\n"))")
    #expect(score.falseAlarmShare <= 0.05)
    #expect(score.healthy.all == 12)
    #expect(score.byCause.values.reduce(0) { $0 + $1.all } == 15 * 3 + 12)
  }

  @Test func aWrongVerdictIsCountedAsWrong() {
    var score = PlantedScore()
    // A saturated program's explanation, given for a launch-bound one.
    let explanation = TraceExplanation(of: PlantedProgram(.healthySaturated, strength: 1, seed: 1).trace(steps: 20), name: "")
    score.add(PlantedProgram(.launchBound, strength: 1, seed: 1), explanation)
    #expect(score.accuracy == 0)
    // And a launch-bound one's, given for a healthy program: it claims a gain.
    let claims = TraceExplanation(of: PlantedProgram(.launchBound, strength: 1, seed: 1).trace(steps: 20), name: "")
    score.add(PlantedProgram(.healthySaturated, strength: 1, seed: 1), claims)
    #expect(score.falseAlarmShare == 1)
  }

  @Test func aProgramIsTheSameEachTime() {
    let program = PlantedProgram(.launchBound, strength: 2, seed: 3)
    #expect(program.trace(steps: 5) == program.trace(steps: 5))
    #expect(program.trace(steps: 5) != PlantedProgram(.launchBound, strength: 2, seed: 4).trace(steps: 5))
  }
}

/// Programs as files, read back by the importers: what a user would hand in.
@Suite struct PlantedFilesTests {
  @Test func causesAreFoundInFilesAndNamedWithWhatStandsBesideThem() throws {
    var programs = PlantedProgram.all(healthy: 8, seed: 11)
    // One strength of each cause is enough here; the command runs all.
    programs = programs.enumerated().filter { $1.cause.isHealthy || $1.strength == $0 % 3 }.map(\.element)
    let folder = try TemporaryTraces()
    for form in PlantedFiles.Form.allCases {
      var (alone, everything) = (PlantedScore(.alone), PlantedScore(.everything))
      for program in programs {
        let files = PlantedFiles(program, in: folder.path)
        try files.write(steps: 40)
        alone.add(program, try files.explainAlone(form))
        everything.add(program, try files.explainWithEverything(form))
        folder.empty()
      }
      for score in [alone, everything] {
        #expect(score.accuracy >= 0.9, "\(form), \(score.evidence)\n\(score.lines.joined(separator: "\n"))")
        #expect(score.falseAlarmShare <= 0.05)
      }
    }
  }

  @Test func anExportOfAProgramHoldsNoTableOfOurs() throws {
    let folder = try TemporaryTraces()
    let files = PlantedFiles(PlantedProgram(.frontEnd, strength: 1, seed: 3), in: folder.path)
    try files.write(steps: 5)
    let bytes = try Files.read("\(folder.path)/trace.sqlite")
    #expect(!String(decoding: bytes, as: UTF8.self).contains("HEADROOM_"))
    let trace = try TraceImporters.read("\(folder.path)/trace.sqlite").trace
    #expect(trace.requests.isEmpty && trace.batches.isEmpty && trace.kernels.count == 50)
    #expect(try TraceImporters.read("\(folder.path)/trace.json").trace.kernels.count == 50)
    folder.empty()
  }

  @Test func statisticsTellTheBatchersDelayFromWhatLiesBeforeTheQueue() throws {
    let folder = try TemporaryTraces()
    func verdict(_ cause: PlantedProgram.Cause) throws -> TraceVerdict {
      let files = PlantedFiles(PlantedProgram(cause, strength: 1, seed: 5), in: folder.path)
      try files.write()
      defer { folder.empty() }
      return try #require(try files.explainWithStatistics(.nsight).verdict)
    }
    #expect(try verdict(.batchingDelay).regime == .batchingBound)
    #expect(try verdict(.noPipelining).regime == .noBatchPipelining)
    let before = try verdict(.frontEnd)
    #expect(before.isUpstream && before.title.hasPrefix("before the server's queue"))
    // A limit that the trace shows by itself stays.
    #expect(try verdict(.launchBound).regime == .launchBound)
  }
}

/// A folder for a program's files.
final class TemporaryTraces {
  let path: String

  init() throws {
    var template = Array("/tmp/headroom-planted-XXXXXX".utf8CString)
    path = String(cString: try #require(mkdtemp(&template)))
  }

  func empty() { for name in PlantedFiles.names { unlink("\(path)/\(name)") } }

  deinit {
    empty()
    rmdir(path)
  }
}
