import Diagnosis
import Testing
import TimeBase

@testable import Experiments

/// What a sweep's points say: each verdict from points made up for it, and its opposite from others.
@Suite struct SweepVerdictTests {
  /// A point whose batches took about so long, a thousandth around it.
  private func point(_ setting: String, rows: Int = 8, _ milliseconds: Double, spread: Double = 0.001, capacity: Double? = nil)
    -> SweepPoint
  {
    var point = SweepPoint(setting, "made up", rows: rows)
    point.milliseconds = (0..<21).map { milliseconds * (1 + spread * (Double($0) - 10) / 10) }
    point.rowsPerSecond = capacity
    return point
  }

  private func text(_ lines: [Sentence]) -> String { lines.map(\.text).joined(separator: "\n") }

  @Test func aFlatPartTheCheapestRowAndAnEdgeAreFound() {
    let points = [
      point("1 row", rows: 1, 1), point("64 rows", rows: 64, 1.1), point("128 rows", rows: 128, 1.5), point("129 rows", rows: 129, 2.2),
    ]
    let said = text(SweepVerdicts.batch(points))
    #expect(said.contains("cheapest in batches of 128 rows"))
    #expect(said.contains("up to 64 rows"))
    #expect(said.contains("one row beyond 128 rows"))
    // Without the step there is no edge.
    let even = text(SweepVerdicts.batch(Array(points.dropLast()) + [point("129 rows", rows: 129, 1.51)]))
    #expect(!even.contains("beyond"))
    #expect(text(SweepVerdicts.batch([])) == "nothing was timed")
  }

  @Test func aGraphHelpsWhereLaunchesLimit() {
    let said = text(
      SweepVerdicts.graphs([
        (off: point("1 row, no graph", rows: 1, 0.2), on: point("1 row, graph", rows: 1, 0.05)),
        (off: point("256 rows, no graph", rows: 256, 1), on: point("256 rows, graph", rows: 256, 0.99)),
      ]))
    #expect(said.contains("1 row: launches limit"))
    #expect(said.contains("256 rows: no difference that is sure"))
  }

  /// A graph runs the same kernels: some percent more are how two loads of one model differ, and no finding.
  @Test(arguments: [(1.06, false), (1.09, false), (1.3, true)]) func aGraphIsSlowerOnlyBeyondDoubt(time: Double, isSaid: Bool) {
    let said = text(SweepVerdicts.graphs([(off: point("8 rows", 1), on: point("8 rows, graph", time))]))
    #expect(said.contains("slower") == isSaid)
    #expect(said.contains("no difference that is sure") != isSaid)
  }

  /// Launches and copies alone tell nothing of what distinct rows would take.
  @Test func copiesAreNotHeldAgainstDistinctRowsWhereProductsTakeLittle() {
    let small = (
      length: 8, copies: point("S = 8, copies", 0.3), distinct: SweepPoint?.some(point("distinct", 0.2)), once: point("once", 0.25)
    )
    let said = text(SweepVerdicts.sequence([small]))
    #expect(said.contains("not comparable") && !said.contains("LayerNorm, expansion"))
  }

  /// A difference that the batches' own spread could make is none.
  @Test func spreadIsNoDifference() {
    let said = text(SweepVerdicts.graphs([(off: point("8 rows", 1, spread: 0.9), on: point("8 rows, graph", 0.9, spread: 0.9))]))
    #expect(said.contains("no difference that is sure"))
  }

  @Test func instancesFillGapsOrShareTheDevice() {
    let filling = [
      (count: 1, point: point("1 instance", 1, capacity: 1000)), (count: 2, point: point("2 instances", 1.02, capacity: 1900)),
      (count: 4, point: point("4 instances", 2.1, capacity: 1920)),
    ]
    let said = text(SweepVerdicts.instances(filling))
    #expect(said.contains("fill each other's gaps") && said.contains("2 are enough"))
    let sharing = [
      (count: 1, point: point("1 instance", 1, capacity: 1000)), (count: 2, point: point("2 instances", 1.6, capacity: 1250)),
    ]
    #expect(text(SweepVerdicts.instances(sharing)).contains("share the device"))
    let full = [(count: 1, point: point("1 instance", 1, capacity: 1000)), (count: 2, point: point("2 instances", 2, capacity: 1000))]
    #expect(text(SweepVerdicts.instances(full)).contains("no more rows/s"))
  }

  @Test func copiesAreNamedOnlyWhereTheyCost() {
    let costly = (
      length: 32, copies: point("S = 32, copies", 6), distinct: SweepPoint?.some(point("distinct", 5.9)), once: point("once", 0.5)
    )
    let said = text(SweepVerdicts.sequence([costly]))
    #expect(said.contains("12") && said.contains("sink-broadcast") && said.contains("does not know that they are copies"))
    let free = (length: 32, copies: point("S = 32, copies", 0.5), distinct: SweepPoint?.none, once: point("once", 0.5))
    #expect(text(SweepVerdicts.sequence([free])).contains("no time that is sure"))
  }

  @Test func idleAndOthersCostOrDoNot() {
    let said = text(
      SweepVerdicts.residency(
        point("back to back", 1), idle: [point("0.1 ms idle", 1.01), point("10 ms idle", 1.4)],
        disturbed: [point("another model in between", 1.3), point("another model's copies meanwhile", 1.001)]))
    #expect(said.contains("after 10 ms idle takes") && said.contains("another model in between: a batch takes"))
    #expect(said.contains("copies meanwhile: no cost that is sure"))
  }

  @Test func aPlanIsHeldAgainstWhatWasMeasured() {
    var planned = point("8 rows", 2)
    planned.predictedMilliseconds = 2.2
    #expect(SweepVerdicts.prediction([planned])?.text.contains("10 %") == true)
    #expect(SweepVerdicts.prediction([point("8 rows", 2)]) == nil)
  }

  @Test func sizesLieOnRoundNumbersAndOneBeyond() {
    #expect(DeviceSweeps.batchSizes(largest: 64) == [1, 2, 4, 8, 16, 17, 32, 33, 64])
    #expect(DeviceSweeps.batchSizes(largest: 1) == [1])
    #expect(DeviceSweeps.batchSizes(largest: 1024).last == 1024 && DeviceSweeps.batchSizes(largest: 1024).contains(513))
  }

  @Test func intervalsHoldTheMedianAndAreTheSameAgain() throws {
    let samples = (0..<50).map { 1 + Double(($0 * 37) % 11) / 100 }
    let interval = try #require(Bootstrap.medianInterval(samples))
    #expect(interval.contains(Bootstrap.median(samples)) && interval == Bootstrap.medianInterval(samples))
    #expect(Bootstrap.medianInterval([1, 2]) == nil && Bootstrap.median([]) == 0)
    var random = SplitMix64(seed: 3)
    #expect(Sweep.order(8, &random).sorted() == Array(0..<8))
  }

  // MARK: - On a device that is there

  /// The sweeps from end to end on this processor, reduced.
  @Test(arguments: ["batch", "instances", "seq", "residency"])
  func aSweepRunsOnTheProcessor(name: String) throws {
    var model = SuiteModel()
    (model.layers, model.hidden, model.largestRows) = (2, 16, 16)
    let result = try MeasuredSuite.run(name, runner: MeasuredRunner(binary: "/nowhere"), seconds: 0.05, model: model)
    #expect(result.name == name && !result.verdict.isEmpty)
    #expect(result.rows.allSatisfy { ($0.time?.value ?? 0) > 0 && $0.capacity.value > 0 && $0.predicted == nil })
    #expect(
      result.report.terminalLines(width: 80).joined().contains("TIME PER BATCH")
        || result.report.terminalLines(width: 80).joined().contains("time per batch"))
  }

  @Test func graphsAreAGPUs() {
    let error = #expect(throws: ExperimentError.self) {
      try MeasuredSuite.run("graphs", runner: MeasuredRunner(binary: "/nowhere"), seconds: 0.05)
    }
    #expect(error?.description.contains("GPU") == true)
  }
}
