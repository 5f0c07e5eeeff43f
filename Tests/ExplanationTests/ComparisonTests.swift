import Diagnosis
import Explanation
import JSONText
import ProcessContract
import Testing
import Trace
import TraceFormats

@Suite struct ComparisonTests {
  func run(_ maker: TraceMaker) throws -> Comparison.Run { try #require(Comparison.Run(TraceExplanation(of: maker.trace, name: ""))) }

  @Test func lessWorkInTheWindowIsNotFaster() throws {
    let comparison = try #require(
      Comparison(before: [try run(TraceMaker.eager(steps: 50, layers: 10))], after: [try run(TraceMaker.eager(steps: 40, layers: 10))]))
    #expect(comparison.verdict == .differentWork)
    #expect(comparison.reason.contains("20 % fewer kernels"))
  }

  @Test func theSameWorkInLessTimeIsFaster() throws {
    let comparison = try #require(
      Comparison(
        before: [try run(TraceMaker.eager(steps: 50, layers: 10, launchEvery: 20))],
        after: [try run(TraceMaker.eager(steps: 50, layers: 10, launchEvery: 15))]))
    #expect(comparison.verdict == .faster)
    #expect(comparison["kernel_time"]?.change == 0)
    #expect((comparison["idle"]?.change ?? 0) < -0.2)
  }

  @Test func callsAreAlignedByFunctionAndPhasesByRange() throws {
    func run(_ suffix: String, forward: Int64) throws -> Comparison.Run {
      var maker = TraceMaker()
      for step in 0..<20 {
        let time = Double(step) * 100
        maker.kernel(launch: (time, time + 4), time + 8, time + 20, call: "cudaLaunchKernel" + suffix)
        let start = Int64(step) * 100_000
        // The number of a range's turn is no part of what it is.
        let names = maker.trace.names.intern(step % 2 == 0 ? "forward, seq = \(step), op_id = \(step)" : "forward#\(step)")
        maker.trace.ranges.append(RangeEvent(start: start, end: start + forward, thread: maker.thread, text: names))
        maker.trace.ranges.append(RangeEvent(start: start, end: start + forward, text: names, type: 1000))
      }
      return try #require(Comparison.Run(TraceExplanation(of: maker.trace, name: ""), trace: maker.trace))
    }
    // Another CUDA version's suffix is the same function.
    let comparison = try #require(Comparison(before: [try run("_v7000", forward: 30_000)], after: [try run("_v11060", forward: 45_000)]))
    #expect(comparison["api:cudaLaunchKernel"]?.before == 80_000 && comparison["api:cudaLaunchKernel"]?.after == 80_000)
    #expect(comparison["api_count:cudaLaunchKernel"]?.after == 20)
    let phase = try #require(comparison["range:forward"])
    #expect(phase.before == 600_000 && phase.change == 0.5)
    #expect(ComparisonCondition("range:forward>+10%")?.isCrossed(by: comparison) == true)
    #expect(Comparison.Run(TraceExplanation(of: Trace(), name: ""), trace: Trace()) == nil)
  }

  @Test func aReportEndsAsItsConditionsSay() throws {
    let comparison = try #require(
      Comparison(
        before: [try run(TraceMaker.eager(steps: 50, layers: 10, launchEvery: 20))],
        after: [try run(TraceMaker.eager(steps: 50, layers: 10, launchEvery: 15))]))
    func report(_ conditions: String...) -> ComparisonReport {
      .init(comparison, conditions: conditions.compactMap { ComparisonCondition($0) })
    }
    #expect(report().status == .ok && report("idle>+3%").status == .ok)
    #expect(report("idle<-3%").status == .thresholdCrossed)
    #expect(report("kernel:nobody>+3%").status == .inconclusive)
    #expect(report("kernel:nobody>+3%", "idle<-3%").status == .thresholdCrossed)
    let lines = report("idle<-3%").lines(rows: 2)
    #expect(lines.first?.hasPrefix("Faster: ") == true && lines.last == "idle<-3%: CROSSED")
    #expect(report().json(version: "1")["verdict"]?.stringValue == comparison.verdict.rawValue)
    #expect(throws: TraceImportError.self) { try ComparisonReport(of: "", and: "nowhere.json", conditions: []) { _ in } }
  }

  @Test func aDifferenceWithinTheSpreadIsNone() throws {
    let side = try [20.0, 21.0].map { try run(TraceMaker.eager(steps: 50, layers: 10, launchEvery: $0)) }
    let other = try [20.4, 20.9].map { try run(TraceMaker.eager(steps: 50, layers: 10, launchEvery: $0)) }
    let comparison = try #require(Comparison(before: side, after: other))
    #expect(comparison.verdict == .same)
    #expect(comparison["span"]?.isSignificant == false)
    // One run a side: nobody knows the spread.
    let single = try #require(Comparison(before: [side[0]], after: [other[0]]))
    #expect(single.verdict == .inconclusive)
    #expect(single["span"]?.isSignificant == nil)
  }

  @Test func conditionsAreCrossedKeptOrInconclusive() throws {
    let comparison = try #require(
      Comparison(
        before: [try run(TraceMaker.eager(steps: 50, layers: 10, kernel: 5))],
        after: [try run(TraceMaker.eager(steps: 50, layers: 10, kernel: 6))]))
    func crossed(_ text: String) throws -> Bool? { try #require(ComparisonCondition(text)).isCrossed(by: comparison) }
    #expect(try crossed("kernel_time>+3%") == true)
    #expect(try crossed("kernel_time > +30%") == false)
    #expect(try crossed("idle<-1%") == true)
    #expect(try crossed("gpu_busy<90%") == true)
    #expect(try crossed("gpu_busy>90%") == false)
    #expect(try crossed("nothing>+3%") == nil)
    // A time has no value of its own to compare with a percentage.
    #expect(try crossed("kernel_time>3%") == nil)
    for text in ["", "kernel_time", "kernel_time>", ">+3%", "kernel_time>+3", "kernel_time>+x%", "kernel_time>+1e999%"] {
      #expect(ComparisonCondition(text) == nil, "\(text)")
    }
  }

  @Test func aGateDoesNotPassOnLessWork() throws {
    func steps(_ count: Int, layers: Int = 10, named: Bool = false) throws -> Comparison.Run {
      var maker = TraceMaker.eager(steps: count, layers: layers)
      if named {
        let step = maker.trace.names.intern("step")
        for index in 0..<20 {
          maker.trace.ranges.append(
            RangeEvent(start: Int64(index) * 1_000, end: Int64(index) * 1_000 + 900, thread: maker.thread, text: step))
        }
      }
      return try #require(Comparison.Run(TraceExplanation(of: maker.trace, name: ""), trace: maker.trace))
    }
    func crossed(_ text: String, _ before: Comparison.Run, _ after: Comparison.Run) throws -> Bool? {
      try #require(ComparisonCondition(text)).isCrossed(by: try #require(Comparison(before: [before], after: [after])))
    }
    #expect(try crossed("kernel_time>+3%", try steps(50), try steps(40)) == nil)
    #expect(try crossed("time_per_kernel>+3%", try steps(50), try steps(40)) == false)
    // More kernels and more time: crossed all the same.
    #expect(try crossed("kernel_time>+3%", try steps(40), try steps(50)) == true)
    // As many steps with fewer kernels each: fused.
    #expect(try crossed("kernel_time>+3%", try steps(20, layers: 20, named: true), try steps(20, named: true)) == false)
  }

  @Test func kernelsThatCameAndWentAreRows() throws {
    var before = TraceMaker.eager(steps: 10, layers: 10)
    before.kernel("only_before", launch: (5_000, 5_001), 5_010, 5_020)
    var after = TraceMaker.eager(steps: 10, layers: 10)
    after.kernel("only_after", launch: (5_000, 5_001), 5_010, 5_020)
    let comparison = try #require(Comparison(before: [try run(before)], after: [try run(after)]))
    #expect(comparison["kernel:only_before"]?.after == nil)
    #expect(comparison["kernel:only_after"]?.before == nil)
  }

  @Test func metricsAreFoundByAnyOfTheirNames() {
    #expect(MetricGlossary.find("gpu-util")?.kind == "temporal")
    #expect(MetricGlossary.find("DCGM_FI_PROF_SM_ACTIVE")?.name == "SM active")
    #expect(MetricGlossary.find("1004")?.name == "tensor active")
    #expect(MetricGlossary.find("") == nil)
    #expect(MetricGlossary.find("flux capacitor") == nil)
    #expect(MetricGlossary.entries.allSatisfy { entry in entry.lines.allSatisfy { $0.count <= 80 } })
  }
}
