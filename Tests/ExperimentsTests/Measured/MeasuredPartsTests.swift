import Diagnosis
import Glibc
import ModelConfiguration
import ModelGraph
import Scheduling
import Testing
import Threads
import TimeBase
import Trace
import Workload

@testable import Experiments

/// What a measured experiment is put together from.
@Suite struct MeasuredPartsTests {
  // MARK: - The serving configuration

  /// What is written for the server is what the variant says.
  @Test func configurationIsTheVariants() throws {
    for variant in try Experiment.caseStudyOnProcessor().variants {
      let text = ServingFolder.configuration(variant, model: "m")
      let parsed = try ModelConfiguration.parse(text, file: "config.pbtxt")
      #expect(parsed.warnings.isEmpty)
      #expect(SchedulerConfiguration(parsed.configuration) == variant.scheduler)
      #expect(parsed.configuration.parameters["head"] == variant.model.text)
    }
  }

  @Test func foldersAreGoneAfterwards() throws {
    let folder = try ServingFolder(Experiment.caseStudyOnProcessor().variants[0])
    #expect(access(folder.path + "/linear/config.pbtxt", R_OK) == 0)
    folder.remove()
    #expect(access(folder.path, F_OK) != 0)
  }

  // MARK: - Other processes

  private var soon: Instant { MonotonicClock.now + .milliseconds(60_000) }

  @Test func aChildSaysWhatItSaysAndHowItEnded() throws {
    let child = try ChildProcess(
      name: "sh", path: "/bin/sh", arguments: ["-c", "echo one; echo half >&2; echo two >&2; echo $EXTRA >&2; printf three; exit 3"],
      environment: ["EXTRA": "a b"])
    #expect(child.firstLine(until: soon) == "one")
    let (ending, output) = child.wait(until: soon)
    #expect(ending == .exit(.inconclusive))
    #expect(String(decoding: output, as: UTF8.self) == "one\nthree")
    #expect(child.errorLines == ["half", "two", "a b"] && child.lastWords == "half | two | a b")
    #expect(ChildProcess.Ending(waitStatus: 99 << 8) == .otherExit(99) && ChildProcess.Ending(waitStatus: 9) == .signal(9))
  }

  @Test func aChildThatNeverSaysItIsKilled() throws {
    let child = try ChildProcess(name: "sleep", path: "/bin/sleep", arguments: ["1000"])
    #expect(child.firstLine(until: MonotonicClock.now + .milliseconds(20)) == nil)
    #expect(child.wait(until: MonotonicClock.now + .milliseconds(20)).ending == .signal(SIGKILL))
  }

  @Test func aProgramThatIsNotThereIsNamed() {
    let error = #expect(throws: ExperimentError.self) { try ChildProcess(name: "x", path: "/nowhere/program", arguments: []) }
    #expect(error?.description.contains("/nowhere/program") == true)
  }

  @Test func threadsAreCountedByName() throws {
    let own = try #require(ProcessUsage(pid: getpid()))
    #expect(own.seconds > 0)
    #expect(own.since(own).seconds == 0)
    #expect(ProcessUsage(pid: -1) == nil)
  }

  // MARK: - Windows

  @Test func aTraceIsCutToItsWindow() {
    var recorder = TraceRecorder()
    let model = recorder.name("m")
    for (index, start) in [0, 100, 200, 300].enumerated() {
      recorder.trace.batches.append(
        BatchEvent(id: Int64(index), model: model, rows: 1, requests: 1, gatherStart: Int64(start), outputEnd: Int64(start + 50)))
      recorder.trace.requests.append(
        RequestEvent(id: Int64(index), batch: Int64(index), model: model, rows: 1, responseEnd: Int64(start + 60), status: .ok))
    }
    let cut = recorder.trace.within(100..<300)
    #expect(cut.batches.id == [1, 2])
    #expect(cut.requests.id == [1, 2])
    #expect(cut.run["windowStartNanoseconds"] == "100")
    #expect(recorder.trace.batches.count == 4)
  }

  // MARK: - Predictions

  private func run(_ name: String, _ latencies: [Int64], rate: Double) throws -> ComparedRun {
    let trace = TraceRecorder().trace
    let analysis = try TraceAnalysis(of: trace, context: RunContext())
    return ComparedRun(
      name: name, run: RunTotals(answered: latencies.count, refused: 0, batches: 0, latencies: latencies.map { ($0, 1) }),
      throughputFigure: Figure(rate, .requestsPerSecond, .measured, source: "test"), analysis: analysis, evidence: analysis.evidence,
      assessment: Assessment(of: analysis.evidence, estimator: nil),
      headroom: Headroom(goal: .assumed, today: nil, unknownBecause: "a test"),
      setting: "test", model: "linear", trace: trace)
  }

  @Test func aPredictionIsJudgedByItsAims() throws {
    let predicted = [try run("a", [1_000_000, 2_000_000], rate: 108), try run("gone", [1], rate: 1)]
    let comparison = SimulationComparison(predicted: predicted, measured: [try run("a", [1_000_000, 3_000_000], rate: 100)])
    #expect(comparison.lines.allSatisfy { $0.variant == "a" })
    let rate = try #require(comparison.lines.first { $0.quantity == "requests/s" })
    let error = try #require(rate.error)
    #expect(rate.isMet == true && (error - 0.08).magnitude < 1e-12)
    let tail = try #require(comparison.lines.first { $0.quantity == "p95" })
    #expect(tail.isMet == false, "a third too low")
    let lines = comparison.report(experiment: "e", facts: [], notes: []).terminalLines(width: 100)
    #expect(lines.contains { $0.contains("a: p95") && $0.contains("missed") })
    let entry = comparison.ledgerEntry(version: "1", epochSeconds: 5, experiment: "e", host: "h", device: "d")
    #expect(entry["lines"]?.arrayValue?.count == comparison.lines.count)
  }

  // MARK: - The null server's requests

  @Test func requestsAreCountedHoweverTheyAreCut() {
    let bytes = Array("GET / HTTP/1.1\r\n\r\nPOST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n".utf8)
    for step in [1, 2, 3, 7, 19, bytes.count] {
      var state: (head: [UInt8], body: Int) = ([], 0)
      var answers = 0
      for start in stride(from: 0, to: bytes.count, by: step) {
        answers += NullServer.take(bytes[start..<min(bytes.count, start + step)], &state)
      }
      #expect(answers == 3)
      #expect(state.head.isEmpty && state.body == 0)
    }
  }

  // MARK: - Totals

  @Test func percentilesOfCountedLatencies() {
    let totals = RunTotals(answered: 100, refused: 0, batches: 0, latencies: [(1_000_000, 50), (2_000_000, 49), (9_000_000, 1)])
    #expect(totals.latencyMilliseconds(percentile: 50) == 1)
    #expect(totals.latencyMilliseconds(percentile: 51) == 2)
    #expect(totals.latencyMilliseconds(percentile: 99) == 2)
    #expect(totals.latencyMilliseconds(percentile: 100) == 9)
    #expect(RunTotals(answered: 0, refused: 0, batches: 0, latencies: []).latencyMilliseconds(percentile: 50) == nil)
  }

  @Test func rowsComeFirstInWhatIsServed() throws {
    let graph = try BuiltInHead.stacked(layers: 2, hidden: 8, heads: 3).graph().withRowsFirst()
    let shape = graph[graph.outputs[0]].shape
    #expect(shape.first == .rows && shape.count == 3)
    let plain = try BuiltInHead.linear(layers: 2, hidden: 8).graph()
    #expect(try plain.withRowsFirst().outputs == plain.outputs)
  }
}
