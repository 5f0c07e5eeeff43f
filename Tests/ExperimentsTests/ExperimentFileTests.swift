import Diagnosis
import Experiments
import HostModel
import Scheduling
import Simulation
import Testing
import TimeBase
import Workload

@Suite struct ExperimentFileTests {
  static let minimal = "device: sim:h100\nvariants:\n  - model: linear\n"

  static func reason(_ text: String) -> String {
    do {
      _ = try ExperimentFile.parse(text, file: "e.yaml")
      return "no error"
    } catch { return error.description }
  }

  @Test func theTemplateIsTheDocumentsExperiment() throws {
    let file = try ExperimentFile.parse(ExperimentFile.template, file: "e.yaml")
    let builtIn = try Experiment.caseStudy()
    #expect(file.variants.count == builtIn.variants.count)
    for (mine, theirs) in zip(file.variants, builtIn.variants) {
      #expect(mine.name == theirs.name)
      #expect(mine.scheduler == theirs.scheduler)
      #expect(mine.workload == theirs.workload)
      #expect(mine.execution == theirs.execution)
      #expect(mine.host == theirs.host)
      #expect(mine.gpu == theirs.gpu)
      #expect(mine.type == theirs.type)
    }
  }

  /// Nobody's load generator slows an experiment that does not name one.
  @Test func withoutAHostTheLoadGeneratorCostsNothing() throws {
    let experiment = try ExperimentFile.parse(Self.minimal, file: "e.yaml")
    let host = try #require(experiment.variants.first?.host)
    #expect(host.name == "triton-26.02" && host[.clientPerRequest].value == 0 && host[.clientPerByte].value == 0)
    #expect(HostProfile.named("triton-26.02") == host)
    #expect(host[.batchHandOff] == HostProfile.triton[.batchHandOff])
    #expect(experiment.latencyGoal == .assumed)
    let goal = try ExperimentFile.parse("p99GoalMilliseconds: 25\n" + Self.minimal, file: "e.yaml").latencyGoal
    #expect(goal == LatencyGoal(p99Milliseconds: 25) && !goal.isAssumed)
  }

  @Test func variantsInheritAndReplace() throws {
    let text = """
      device: sim:h100
      workload: {users: 10, rows: 2-4, think: "constant:0.5"}
      serving: {maxBatchSize: 8, instances: 2}
      variants:
        - {name: a, model: linear}
        - {name: b, model: linear, device: "sim:l4", workload: {rate: 20.5}, serving: {dynamicBatching: {maxQueueDelayMicroseconds: 7}}}
        - {name: c, model: linear, hostCosts: {launch: 2.5}, deviceTimeScale: 3}
      """
    let variants = try ExperimentFile.parse(text, file: "e.yaml").variants
    #expect(variants.map(\.gpu.name).prefix(2) == [variants[0].gpu.name, "L4"])
    #expect(variants[0].workload.rows == .uniform(2, 4))
    #expect(variants[1].workload.rows == .uniform(2, 4))
    #expect(variants[1].workload.load == .open(.poisson(perSecond: 20.5)))
    #expect(variants[1].scheduler.instances == 2)
    #expect(variants[1].scheduler.batching?.maximumQueueDelay == .microseconds(7))
    #expect(variants[0].scheduler.batching == nil)
    #expect(variants[2].host[.launch].value == 2.5)
    #expect(variants[2].deviceTimeScale == 3)
  }

  @Test(arguments: [
    ("", "empty"), ("- a\n", "fields"), ("a: [1\n", "e.yaml"), ("device: sim:h100\n", "variants"),
    ("device: sim:h100\nvariants: []\n", "variants"),
    (minimal + "speed: 1\n", "e.yaml:4: speed"), (minimal + "seed: -1\n", "e.yaml:4: seed"), (minimal + "goal: fast\n", "e.yaml:4: goal"),
    (minimal + "  - model: linear\n", "variants[1].name"), (minimal + "hostCosts: {speed: 1}\n", "hostCosts.speed"),
    (minimal + "hostCosts: {launch: .nan}\n", "hostCosts.launch"), (minimal + "host: 5\n", "e.yaml:4: host"),
    (minimal + "workload: {users: 1, rate: 2}\n", "workload.rate"),
    (minimal + "workload: {rate: 2, think: constant:1}\n", "workload.think"),
    (minimal + "workload: {seconds: 1e99}\n", "workload.seconds"), (minimal + "serving: {config: nope.pbtxt}\n", "nope.pbtxt"),
    (minimal + "serving: {issuing: both}\n", "serving.issuing"), (minimal + "serving: {eagerBatching: perhaps}\n", "serving.eagerBatching"),
    (minimal + "rewrites: [fast]\n", "rewrites"), ("variants:\n  - model: linear\n", "device"),
    ("device: sim:h100\nvariants:\n  - model: x.bin\n", "variants[0].model"), ("? [1]\n: 2\n", "name is expected"),
  ])
  func mistakesAreNamed(text: String, place: String) {
    #expect(Self.reason(text).contains(place), "\(Self.reason(text))")
  }

  @Test func deepAndLargeFilesEnd() {
    #expect(Self.reason(String(repeating: "[", count: 5000)) != "no error")
    #expect(Self.reason(String(repeating: "a: {", count: 500)) != "no error")
    // As deep as the size limit allows: a parser that recurses must not see it.
    for unit in ["[", "{", "- ", "? "] { #expect(Self.reason("\n" + String(repeating: unit, count: 400_000)).contains("e.yaml:2: nested")) }
    #expect(Self.reason((0..<1000).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n")).contains("nested"))
    // Aliases that double at each line.
    var bomb = "a0: &a0 [x, x]\n"
    for level in 1..<40 { bomb += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
    #expect(Self.reason(bomb) != "no error")
  }

  @Test func everyBuiltInExperimentPlans() throws {
    for name in Experiment.builtInNames {
      for variant in try Experiment.builtIn(name).variants { #expect(try variant.plan().largeGEMMCount > 0) }
    }
  }
}
