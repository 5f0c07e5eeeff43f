import DeviceModel
import HostModel
import ModelGraph
import Planning
import Scheduling
import Simulation
import Testing
import TimeBase
import Workload

/// The highest rate that keeps a goal, on systems whose answer is known without a search.
@Suite struct CapacitySearchTests {
  /// One instance without batching whose every request takes so long: M/D/1.
  static func server(milliseconds: Double) throws -> SimulationConfiguration {
    var host = HostProfile.local
    for cost in [
      HostCost.clientPerRequest, .clientPerByte, .networkLatency, .networkPerByte, .frontEndPerRequest, .frontEndPerByte,
      .responsePerRequest, .batchHandOff, .gatherPerBatch, .gatherPerByte, .responsePerBatch,
    ] { host = host.with(cost, 0) }
    var system = SimulationConfiguration(
      model: "m",
      workload: Workload(load: .open(.poisson(perSecond: 1)), rows: .fixed(1), warmUp: .zero, duration: .milliseconds(1000)),
      scheduler: SchedulerConfiguration(maximumBatchRows: 1, batching: nil),
      plan: try SimulatedSystems.plan(.linear(layers: 1, hidden: 8)), host: host)
    let nanoseconds = milliseconds * 1e6
    let durations = try #require(
      BatchDurations([.init(rows: 1, nanoseconds: nanoseconds, quartiles: nanoseconds...nanoseconds, batches: 100)]))
    system.processor = ProcessorDevice(name: "test", durations: durations, threads: 1, sharedCores: 0)
    return system
  }

  @Test(arguments: [10.0, 300, 5000]) func aSingleServersRateDoesNotDependOnWhereTheSearchStarts(start: Double) throws {
    let outcome = try CapacitySearch(try Self.server(milliseconds: 2), p99Milliseconds: 20, requests: 3000).run(from: start)
    // At the service rate of 500 requests/s the queue has no bound; a 99th percentile of ten services is reached near 80 % (M/D/1).
    #expect(outcome.rate.lowerBound > 330 && outcome.rate.upperBound < 500, "\(outcome)")
    #expect(outcome.rate.upperBound / outcome.rate.lowerBound <= CapacitySearch.precision + 1e-9)
    #expect(!outcome.isLowerBound && outcome.trials < 30)
  }

  /// Small steps first: where little changed, two trials tell.
  @Test func aSearchThatStartsNearTakesFewTrials() throws {
    let search = CapacitySearch(try Self.server(milliseconds: 2), p99Milliseconds: 20, requests: 3000)
    let known = try search.run(from: 10)
    let again = try search.run(from: .near(known.rate.lowerBound))
    #expect(again.trials == 2 && again.rate.overlaps(known.rate), "\(again)")
    #expect(again.rate.upperBound / again.rate.lowerBound <= CapacitySearch.precision + 1e-9)
    // Far off in either direction it finds the same.
    for start in [known.rate.lowerBound / 20, known.rate.upperBound * 20] {
      let outcome = try search.run(from: .near(start))
      #expect(
        outcome.rate.lowerBound < known.rate.upperBound * 1.03 && outcome.rate.upperBound > known.rate.lowerBound / 1.03, "\(outcome)")
      #expect(outcome.trials < 30)
    }
  }

  @Test func aRunThatHasLostItsGoalEndsEarly() throws {
    var system = try Self.server(milliseconds: 2)
    system.workload.load = .open(.poisson(perSecond: 900))
    system.workload.duration = .milliseconds(20_000)
    let whole = try #require(try Simulation.run(system))
    #expect(try Simulation.run(system, until: LateLimit(latency: .milliseconds(20), requests: 100)) == nil)
    // One that keeps it is the same run to its end.
    system.workload.load = .open(.poisson(perSecond: 100))
    let kept = try #require(try Simulation.run(system, until: LateLimit(latency: .milliseconds(20), requests: 100)))
    #expect(try Simulation.run(system)?.latencies == kept.latencies && kept.answered < whole.answered)
  }

  @Test func aGoalBelowOneServiceIsKeptByNoRate() throws {
    let outcome = try CapacitySearch(try Self.server(milliseconds: 2), p99Milliseconds: 1, requests: 200).run(from: 100)
    #expect(outcome.rate == 0...0 && !outcome.isLowerBound)
  }

  @Test func theLoadAndItsGeneratorPlayNoPart() throws {
    var system = try Self.server(milliseconds: 2)
    let expected = try CapacitySearch(system, p99Milliseconds: 20, requests: 500).run(from: 300)
    system.host = system.host.with(.clientPerRequest, 5000).with(.clientCores, 1)
    system.workload.load = .closed(users: 3, spawnRate: 1, think: .constant(.zero))
    system.keepsTrace = true
    #expect(try CapacitySearch(system, p99Milliseconds: 20, requests: 500).run(from: 300) == expected)
  }
}
