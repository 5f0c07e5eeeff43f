import JSONText
import LoadModel
import LoadRuns
import Testing
import TimeBase
import Workload

/// What is printed of a run says the same in every form, and an answer that fails a condition says so.
@Suite struct LoadReportTests {
  static func result(answers: Int64 = 1000, errors: Int64 = 0) -> LoadResult {
    var result = LoadResult(
      name: "seqlen", load: .closed(users: 8, spawnRate: 100, think: .constant(.zero)), share: .whole, seed: 7, warmUpSeconds: 1,
      windowSeconds: 10)
    for index in 0..<answers { result.latency.record(1_000_000 + 10_000 * (index % 100)) }
    result.completed = answers
    result.rows = 2 * answers
    if errors > 0 {
      result.errors[.timeout] = errors
      result.errorSamples[.timeout] = "no answer in 1 s"
    }
    result.health.threads = 1
    result.health.busiestThreadShare = 0.2
    return result
  }

  @Test func noLineIsWiderThanTheTerminal() throws {
    let condition = try #require(FailCondition(text: "p99>50ms"))
    for width in [60, 80, 120] {
      let report = LoadReport(result: Self.result(errors: 3), conditions: [condition], scenario: .server)
      for line in report.lines(width: width) where !line.contains("|") {
        // A table is as wide as its columns; a sentence never wider than the terminal.
        if line.hasPrefix("  ") || line.contains("  ") { continue }
        #expect(line.count <= width, "\(line)")
      }
    }
  }

  @Test func aConditionThatHoldsIsPassedAndOneThatCameTrueFailed() throws {
    let conditions = try ["p99>50ms", "errors>0"].map { try #require(FailCondition(text: $0)) }
    let lines = LoadReport(result: Self.result(errors: 3), conditions: conditions).lines(width: 120)
    #expect(lines.contains { $0.hasPrefix("passed") && $0.contains("p99>50ms") })
    #expect(lines.contains { $0.hasPrefix("FAILED") && $0.contains("errors>0") && $0.hasSuffix(": 3") })
  }

  @Test func theJSONHasTheResultItself() throws {
    let result = Self.result(errors: 3)
    let json = LoadReport(result: result, conditions: []).json
    #expect(json["requestsPerSecond"]?.doubleValue == 100)
    #expect(json["rowsPerSecond"]?.doubleValue == 200)
    #expect(json["errors"]?.doubleValue == 3)
    // What `headroom bench` reads of a generator that it started.
    #expect(try LoadResult(report: Array(json.serialized().utf8)) == result)
  }

  @Test func nothingAnsweredIsNoLatencyOfZero() {
    let report = LoadReport(result: Self.result(answers: 0, errors: 5), conditions: [])
    #expect(report.json["latency"]?["p99Microseconds"] == .null)
    #expect(report.errorText.contains("no answer in 1 s"))
  }

  @Test func aSearchNamesEveryTrialAndTheRateThatHeld() throws {
    var search = RateSearch(condition: try #require(FailCondition(text: "p99<50ms")))
    search.trials = [
      .init(rate: 100, holds: true, value: 0.004, verdict: .notClientBound),
      .init(rate: 200, holds: false, value: 0.09, verdict: .notClientBound),
    ]
    var report = LoadReport(result: Self.result(), conditions: [], search: search)
    #expect(report.searchTexts.last == "no rate tried keeps p99<50ms")
    search.best = 100
    report = LoadReport(result: Self.result(), conditions: [], search: search)
    #expect(report.searchTexts.count == 3)
    #expect(report.searchTexts[0].contains("holds (4.00 ms)") || report.searchTexts[0].contains("holds (4 ms)"))
    #expect(report.searchTexts[1].contains("does not hold"))
    #expect(report.searchTexts[2].contains("100 requests/s"))
  }
}
