import DeviceModel
import HostModel
import ModelGraph
import Planning
import Scheduling
import Simulation
import Testing
import TimeBase
import Workload

/// The highest rate that keeps a goal, on worlds whose answer is known without a search.
@Suite struct CapacitySearchTests {
  /// One instance without batching whose every request takes so long: M/D/1.
  static func server(milliseconds: Double) throws -> SimulationConfiguration {
    var host = HostProfile.local
    for cost in [
      HostCost.clientPerRequest, .clientPerByte, .networkLatency, .networkPerByte, .frontEndPerRequest, .frontEndPerByte,
      .responsePerRequest, .batchHandOver, .gatherPerBatch, .gatherPerByte, .responsePerBatch,
    ] { host = host.with(cost, 0) }
    var world = SimulationConfiguration(
      model: "m",
      workload: Workload(load: .open(.poisson(perSecond: 1)), rows: .fixed(1), warmUp: .zero, duration: .milliseconds(1000)),
      scheduler: SchedulerConfiguration(maximumBatchRows: 1, batching: nil),
      plan: try Worlds.plan(.linear(layers: 1, hidden: 8)), host: host)
    let nanoseconds = milliseconds * 1e6
    let durations = try #require(
      BatchDurations([.init(rows: 1, nanoseconds: nanoseconds, quartiles: nanoseconds...nanoseconds, batches: 100)]))
    world.processor = ProcessorDevice(name: "test", durations: durations, threads: 1, sharedCores: 0)
    return world
  }

  @Test(arguments: [10.0, 300, 5000]) func aSingleServersRateDoesNotDependOnWhereTheSearchStarts(start: Double) throws {
    let outcome = try CapacitySearch(try Self.server(milliseconds: 2), p99Milliseconds: 20, requests: 3000).run(from: start)
    // At the service rate of 500 requests/s the queue has no bound; a 99th percentile of ten services is reached near 80 % (M/D/1).
    #expect(outcome.rate.lowerBound > 330 && outcome.rate.upperBound < 500, "\(outcome)")
    #expect(outcome.rate.upperBound / outcome.rate.lowerBound <= CapacitySearch.precision + 1e-9)
    #expect(!outcome.isLowerBound && outcome.trials < 30)
  }

  @Test func aGoalBelowOneServiceIsKeptByNoRate() throws {
    let outcome = try CapacitySearch(try Self.server(milliseconds: 2), p99Milliseconds: 1, requests: 200).run(from: 100)
    #expect(outcome.rate == 0...0 && !outcome.isLowerBound)
  }

  @Test func theLoadAndItsGeneratorPlayNoPart() throws {
    var world = try Self.server(milliseconds: 2)
    let expected = try CapacitySearch(world, p99Milliseconds: 20, requests: 500).run(from: 300)
    world.host = world.host.with(.clientPerRequest, 5000).with(.clientCores, 1)
    world.workload.load = .closed(users: 3, spawnRate: 1, think: .constant(.zero))
    world.keepsTrace = true
    #expect(try CapacitySearch(world, p99Milliseconds: 20, requests: 500).run(from: 300) == expected)
  }
}
