import Diagnosis
import Experiments
import FileAccess
import Glibc
import HostModel
import Simulation
import Testing
import TimeBase
import Workload

/// What a command line replaces in an experiment.
@Suite struct ExperimentChangesTests {
  private static func reason(_ change: (inout ExperimentChanges) -> Void) throws -> String {
    var changes = ExperimentChanges()
    change(&changes)
    do throws(ExperimentError) {
      _ = try changes.applied(to: try Experiment.builtIn("case-study", seconds: 1))
      return "no error"
    } catch { return error.description }
  }

  @Test func nothingGivenChangesNothing() throws {
    let experiment = try Experiment.builtIn("case-study", seconds: 1)
    let same = try ExperimentChanges().applied(to: experiment)
    #expect(same.variants.map(\.name) == experiment.variants.map(\.name) && same.seed == experiment.seed)
    for (mine, theirs) in zip(same.variants, experiment.variants) {
      #expect(mine.workload == theirs.workload && mine.host == theirs.host && mine.gpu == theirs.gpu)
    }
  }

  @Test func everyVariantGetsIt() throws {
    var changes = ExperimentChanges()
    changes.variants = ["linear", "seqlen"]
    changes.device = "sim:l4"
    changes.host = "headroom-local"
    (changes.seconds, changes.users, changes.rows) = (3, 7, .uniform(1, 4))
    (changes.repetitions, changes.seed, changes.goal) = (2, 99, .cost)
    changes.latencyGoal = LatencyGoal(p99Milliseconds: 25)
    let changed = try changes.applied(to: try Experiment.builtIn("case-study", seconds: 1))
    #expect(changed.variants.map(\.name) == ["linear", "seqlen"])
    for variant in changed.variants {
      #expect(variant.gpu.name == "L4" && variant.host.name == "headroom-local" && variant.workload.rows == .uniform(1, 4))
      #expect(variant.workload.duration == .milliseconds(3000))
      guard case .closed(let users, _, _) = variant.workload.load else {
        Issue.record("a closed loop stays one")
        continue
      }
      #expect(users == 7)
    }
    #expect((changed.repetitions, changed.seed, changed.goal) == (2, 99, .cost))
    #expect(changed.latencyGoal == LatencyGoal(p99Milliseconds: 25))
  }

  @Test func whatIsNotThereIsNamedByItsOption() throws {
    #expect(try Self.reason { $0.variants = ["linaer"] } == "--variant: no variant is called \"linaer\"; there are linear, stacked, seqlen")
    #expect(try Self.reason { $0.device = "sim:h101" }.hasPrefix("--device sim:h101: no GPU is called"))
    #expect(try Self.reason { $0.device = "h100" }.contains("write sim:NAME"))
    #expect(try Self.reason { $0.host = "nobody" }.hasPrefix("--host: no host profile is called \"nobody\""))
    #expect(try Self.reason { $0.dimensions = ["s": 3] }.contains("this experiment has none"))
  }

  @Test(arguments: [
    ("nosuch.onnx", "--model nosuch.onnx: there is no such file"),
    ("e.yaml", "--model e.yaml: that is an experiment file: headroom bench e.yaml"),
    ("resnet", "--model resnet: give linear, stacked, seqlen, encoder, or an .onnx file"),
  ]) func aModelThatIsNoneSaysSo(model: String, reason: String) {
    let error = #expect(throws: ExperimentError.self) { try Experiment.ofModel(model, device: "sim:l4") }
    #expect(error?.description == reason)
  }

  @Test func anOwnModelsDeviceAndConfigurationAreNamed() {
    let device = #expect(throws: ExperimentError.self) { try Experiment.ofModel("linear", device: "sim:l50") }
    #expect(device?.description.hasPrefix("--device sim:l50: no GPU is called \"l50\"") == true)
    var settings = Experiment.ModelSettings()
    settings.configuration = "/nowhere/config.pbtxt"
    let file = #expect(throws: ExperimentError.self) { try Experiment.ofModel("linear", device: "sim:l4", settings) }
    #expect(file?.description == "--config /nowhere/config.pbtxt: there is no such file")
  }

  /// Report, figures and JSON of one run in virtual time, as files.
  @Test func anOutcomeIsWrittenAsThreeFiles() throws {
    var changes = ExperimentChanges()
    (changes.variants, changes.seconds, changes.users, changes.repetitions) = (["linear"], 1, 20, 1)
    var runner = ExperimentRunner()
    runner.explains = false
    let outcome = BenchOutcome(
      try runner.run(try changes.applied(to: try Experiment.builtIn("case-study", seconds: 1))), version: "1.2.3")
    #expect(outcome.isSimulated && outcome.runs.map(\.name) == ["linear"])
    #expect(outcome.json["schema"]?.stringValue?.hasPrefix("headroom.bench/") == true && outcome.json["headroom"]?.stringValue == "1.2.3")
    let lines = outcome.lines(isVerbose: false, width: 80)
    #expect(lines.first?.hasPrefix("linear  headroom") == true && lines.contains { $0.contains("SIMULATED, no GPU ran") })
    #expect(outcome.lines(isVerbose: true, width: 80).count > lines.count)
    let both = outcome.followed(by: outcome, version: "1.2.3")
    #expect(both.runs.count == 2 && both.json["simulated"]?["schema"] == both.json["measured"]?["schema"])

    var template = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/headroom-outcome-XXXXXX".utf8CString)
    let folder = String(cString: try #require(mkdtemp(&template)))
    defer {
      for name in BenchOutcome.fileNames { unlink("\(folder)/out/\(name)") }
      rmdir(folder + "/out")
      rmdir(folder)
    }
    try outcome.write(into: folder + "/out")
    #expect(try Files.entries(of: folder + "/out").sorted() == BenchOutcome.fileNames.sorted())
    #expect(throws: FileError.self) { try outcome.write(into: folder + "/out/report.json/below") }
  }
}
