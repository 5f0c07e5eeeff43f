import Diagnosis
import Experiments
import JSONText
import Reporting
import Synchronization
import Testing
import TimeBase

@Suite struct RunnerTests {
  static func short() throws -> Experiment {
    var experiment = try Experiment.caseStudy(seconds: 1)
    for index in experiment.variants.indices { experiment.variants[index].workload.warmUp = .milliseconds(11_000) }
    experiment.variants.removeAll { $0.name == "stacked" }
    experiment.repetitions = 1
    return experiment
  }

  @Test func anExperimentIsRunAndShown() throws {
    let said = Mutex<[String]>([])
    var runner = ExperimentRunner { text in said.withLock { $0.append(text) } }
    runner.explains = false
    let result = try runner.run(try Self.short())
    #expect(said.withLock { $0 }.contains { $0.hasPrefix("linear: ") })
    let report = result.report
    let lines = report.terminalLines(width: 100)
    #expect(lines.contains { $0.contains("SIMULATED") })
    // Every section says that it is simulated.
    #expect(
      report.sections.allSatisfy { section in lines.contains { $0.hasPrefix(section.heading.uppercased()) && $0.hasSuffix("[SIMULATED]") } }
    )
    let html = report.html
    for section in report.sections { #expect(html.contains("id=\"\(section.id)\"")) }
    #expect(!html.contains("<script"))
    let tree = result.json(version: "1")
    #expect(try JSONValue.parse(tree.serialized(pretty: true)) == tree)
    #expect(report.csv.split(separator: "\n").count > 100)
    // Without an estimator no gain is printed, and the reason is.
    #expect(lines.contains { $0.contains("not quantified: nothing to re-simulate the run with") })
  }

  @Test("of users who are still being started no headroom is stated, simulated or not")
  func aRampHasNoHeadroom() throws {
    var experiment = try Self.short()
    experiment.variants.removeAll { $0.name != "linear" }
    // A hundred users a second for ten seconds: the window is half of that.
    experiment.variants[0].workload.warmUp = .milliseconds(500)
    experiment.variants[0].workload.duration = .milliseconds(5_000)
    var runner = ExperimentRunner()
    runner.explains = false
    let variant = try #require(try runner.run(experiment).variants.first)
    #expect(variant.headroom.maximumRate == nil && variant.headroom.today != nil)
    #expect(variant.headroom.text.hasPrefix("unknown, because the window is not steady: throughput rises by "), "\(variant.headroom.text)")
  }

  @Test func noVariantsIsAnError() throws {
    var experiment = try Self.short()
    experiment.variants = []
    #expect(throws: ExperimentError.self) { try ExperimentRunner().run(experiment) }
  }

  @Test func aRewriteThatDoesNotExistIsNamed() throws {
    var experiment = try Self.short()
    experiment.variants[0].rewrites = ["nothing"]
    #expect { try ExperimentRunner().run(experiment) } throws: { "\($0)".contains("nothing") && "\($0)".contains("sink-broadcast") }
  }
}
