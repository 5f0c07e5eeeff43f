import HostModel
import DeviceModel
import Diagnosis
import Simulation
import Testing
import TimeBase
import Workload

@testable import Experiments

/// Gains of a measured run come from a fitted simulation that must reproduce it. The "run" here is a simulated system, so that what it is made of is known.
@Suite struct FittedSimulationTests {
  private static func durations(_ factor: Double) throws -> BatchDurations {
    try #require(
      BatchDurations(
        [1, 8, 64].map { rows in
          let nanoseconds = factor * (2_000_000 + 6_000_000 * Double(rows))
          return BatchDurations.Point(rows: rows, nanoseconds: nanoseconds, quartiles: nanoseconds...nanoseconds, batches: 5)
        }))
  }

  private static func variant() throws -> Variant {
    try Experiment.caseStudyOnProcessor(seconds: 60).variants[2]
  }

  /// A run of a system whose batches take 1.3 times as long as on a quiet machine, with 300 us from forming to gathering.
  private static func observed(_ variant: Variant, batchTimes: Double = 1, delayFactor: Double = 1) throws -> FittedSimulation.Observed {
    var system = variant
    system.host = HostProfile.local.with(.clientPerRequest, 20, .measured, "test")
    var real = system
    real.processor = ProcessorDevice(name: "test", durations: try durations(1.3 * batchTimes), threads: 2, sharedCores: 2)
    real.host = system.host.with(.batchHandOff, 300, .measured, "test")
    real.batchingDelayScale = delayFactor
    let run = try #require(try Simulation.run(real.system(try real.plan(), seed: 9)))
    return FittedSimulation.Observed(
      throughput: run.throughput, busy: run.busy.kernels / Double(run.window.nanoseconds),
      batchesPerSecond: Double(run.batches) / run.window.seconds,
      medianMilliseconds: run.latencyMilliseconds(percentile: 50), host: real.host)
  }

  private static func fitted(
    _ observed: FittedSimulation.Observed, batchTimes: Double = 1, lean: BatchDurations? = nil, of variant: Variant? = nil
  ) throws
    -> FittedSimulation
  {
    let variant = try variant ?? Self.variant()
    return try #require(
      FittedSimulation(
        of: variant, plan: try variant.plan(),
        processor: ProcessorDevice(name: "test", durations: try durations(batchTimes), threads: 2, sharedCores: 2),
        rewrittenDurations: lean,
        observed: observed))
  }

  @Test func itFindsWhatTheRunWasMadeOf() throws {
    let fitted = try Self.fitted(try Self.observed(try Self.variant()))
    #expect(fitted.reproductionError.value < Assessment.largestReproductionError)
    #expect((fitted.batchTimeFactor / 1.3 - 1).magnitude < 0.05)
    // Not fitted, so it says something.
    #expect(try #require(fitted.medianLatencyError).magnitude < 0.05)
    #expect(fitted.remark.contains("busy time"))
  }

  /// Five users leave the device idle, and every batch waits for the batcher's timer, which is late.
  @Test func itFindsThatATimerIsLate() throws {
    var variant = try Self.variant()
    variant.workload.load = .closed(users: 5, spawnRate: 5, think: .constant(.milliseconds(30)))
    let fitted = try Self.fitted(try Self.observed(variant, batchTimes: 0.05, delayFactor: 1.4), batchTimes: 0.05, of: variant)
    #expect((fitted.batchingDelayFactor / 1.4 - 1).magnitude < 0.05, "\(fitted.remark)")
    #expect(fitted.reproductionError.value < Assessment.largestReproductionError)
  }

  @Test func changesAreTriedOnIt() throws {
    let observed = try Self.observed(try Self.variant())
    let fitted = try Self.fitted(observed, lean: try Self.durations(1.0 / 128))
    let estimator = fitted.estimator(rate: observed.throughput, p99GoalMilliseconds: 100)
    let lean = try estimator.estimate([.removeRedundantWork])
    // 64 users who think for 280 ms ask 229 times per second at most, and that is 1.8 times what the run did.
    let after = try #require(lean.throughput).after
    #expect((215...229).contains(after.value) && after.kind == .simulated)
    // The device is full: a front end with more threads passes nothing more.
    #expect(try #require(estimator.estimate([.frontEndCores(8)]).throughput).change.value.magnitude < 0.03)
    for change in [Change.cudaGraphs, .pinnedTransfers, .eagerBatching, .maximumBatchRows(1000)] {
      #expect(throws: GainRefusal.unsupported(change)) { try estimator.estimate([change]) }
    }
    // Without times of the lean model nothing is made up.
    let unknown = try Self.fitted(observed).estimator(rate: observed.throughput, p99GoalMilliseconds: 100)
    #expect(throws: GainRefusal.unsupported(.removeRedundantWork)) { try unknown.estimate([.removeRedundantWork]) }
  }

  /// As many requests pass and the device is as busy, but they waited somewhere the simulation does not know.
  @Test func aLatencyThatIsNotReproducedIsNotTold() throws {
    var observed = try Self.observed(try Self.variant())
    observed.medianMilliseconds? *= 1.5
    let fitted = try Self.fitted(observed)
    #expect(fitted.remark.contains("too far for gains of latency"))
    let gains = try fitted.estimator(rate: observed.throughput, p99GoalMilliseconds: 100).estimate([.gpuTimeScale(2)])
    #expect(try #require(gains.throughput).change.value < -0.3)
    #expect(
      gains.medianLatency == nil && gains.p99Latency == nil && gains.maximumRateAtGoal == nil && gains.gpuSecondsPerMillionInferences != nil
    )
  }

  /// Users who wait outside the simulation: no factor of batch times makes it both as slow and as idle as the run was.
  @Test func aRunThatIsNotReproducedHasNoGains() throws {
    let variant = try Self.variant()
    var observed = try Self.observed(variant)
    // Ten times more than 64 users without think time could send through batches that are half as busy.
    observed.throughput *= 10
    observed.busy = 0.05
    let fitted = try Self.fitted(observed)
    #expect(fitted.reproductionError.value > Assessment.largestReproductionError)
    var evidence = RunEvidence()
    evidence.kernels.redundantShare = Figure(0.99, .share, .estimated, source: "test")
    let assessment = Assessment(
      of: evidence, estimator: fitted.estimator(rate: observed.throughput, p99GoalMilliseconds: 100))
    let finding = try #require(assessment.ranked.first { $0.finding.code == .HR211 })
    #expect(finding.fixes.first?.gains == .failure(.reproductionOff(fitted.reproductionError)))
    #expect(assessment.improvementPlan.isEmpty)
  }
}
