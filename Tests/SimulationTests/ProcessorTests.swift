import HostModel
import DeviceModel
import ModelGraph
import Scheduling
import Simulation
import Testing
import TimeBase
import Trace
import Workload

/// SimulatedSystems whose device is a processor with measured batch times.
@Suite struct ProcessorTests {
  /// 0.3 ms and 0.1 ms per row.
  static func device(threads: Int = 2, sharedCores: Int = 0) throws -> ProcessorDevice {
    let points = [1, 2, 4, 8, 16, 32, 64].map {
      let time = 300_000 + 100_000 * Double($0)
      return BatchDurations.Point(rows: $0, nanoseconds: time, quartiles: time...time, batches: 9)
    }
    return ProcessorDevice(name: "test", durations: try #require(BatchDurations(points)), threads: threads, sharedCores: sharedCores)
  }

  static func system(
    users: Int, think: ThinkTime = .constant(.zero), device: ProcessorDevice, batching: DynamicBatchingPolicy? = DynamicBatchingPolicy()
  ) throws -> SimulationConfiguration {
    var system = SimulationConfiguration(
      model: "head",
      workload: Workload(
        load: .closed(users: users, spawnRate: 10_000, think: think), rows: .fixed(1), warmUp: .milliseconds(1000),
        duration: TimeSpan(clampingSeconds: 5)),
      scheduler: SchedulerConfiguration(maximumBatchRows: 64, batching: batching),
      plan: try SimulatedSystems.plan(.linear(layers: 3, hidden: 64)), host: .local)
    system.processor = device
    return system
  }

  @Test func anIdleSystemAnswersAtTheSumOfItsTimes() throws {
    let system = try Self.system(users: 1, think: .constant(.milliseconds(5)), device: try Self.device(), batching: nil)
    let result = try SimulatedSystems.run(system)
    let host = HostProfile.local
    let bytes = Double(try system.plan.at(rows: 1).inputBytes)
    let output = Double(try system.plan.at(rows: 1).outputBytes)
    func cost(_ cost: HostCost) -> Double { host[cost].value }
    // No launch, no copy to a device, no event.
    var expected = cost(.clientPerRequest) + 2 * cost(.networkLatency) + (bytes + output + 600) * cost(.networkPerByte) / 1000
    expected += cost(.frontEndPerRequest) + (bytes + 300) * cost(.frontEndPerByte) / 1000 + cost(.responsePerRequest)
    expected += cost(.batchHandOff) + cost(.gatherPerBatch) + bytes * cost(.gatherPerByte) / 1000 + 400 + cost(.responsePerBatch)
    let latency = try #require(result.meanLatencyMilliseconds) * 1000
    #expect(abs(latency - expected) < 0.02 * expected, "\(latency) us against \(expected) us")
  }

  @Test func underLoadTheDeviceIsTheLimit() throws {
    var system = try Self.system(users: 500, device: try Self.device())
    system.host = system.host.with(.clientPerRequest, 1).with(.frontEndPerRequest, 1).with(.responsePerRequest, 1)
    let result = try SimulatedSystems.run(system)
    // 64 rows take 6.7 ms; hand-off, gathering and answering come on top, one after the other.
    let between = [HostCost.batchHandOff, .gatherPerBatch, .responsePerBatch].reduce(0.0) { $0 + system.host[$1].value }
    let gathered = Double(try system.plan.at(rows: 64).inputBytes) * system.host[.gatherPerByte].value / 1000
    let expected = 64 / ((6700 + between + gathered) / 1e6)
    #expect(abs(result.throughput - expected) < 0.02 * expected, "\(result.throughput)/s against \(expected)/s")
    #expect(Double(result.batchRows) / Double(result.batches) > 63)
  }

  @Test func sharedCoresAreSharedOut() throws {
    // Two computing threads on two cores: what client and front end do is missing there.
    let alone = try SimulatedSystems.run(try Self.system(users: 300, device: try Self.device()))
    let shared = try SimulatedSystems.run(try Self.system(users: 300, device: try Self.device(sharedCores: 2)))
    #expect(shared.throughput < 0.95 * alone.throughput)
    // All core time is used: X times what a request costs, compute on both cores, is two cores less the idle time between batches.
    let host = HostProfile.local
    let perRequest = host[.clientPerRequest].value + host[.frontEndPerRequest].value + host[.responsePerRequest].value
    let rows = Double(shared.batchRows) / Double(shared.batches)
    let compute = (300 + 100 * rows) / rows
    let used = shared.throughput * (perRequest + 2 * compute) / 1e6
    #expect(used < 2.01 && used > 1.9, "\(used) cores")
    // With cores enough for everybody nothing is missing.
    let wide = try SimulatedSystems.run(try Self.system(users: 300, device: try Self.device(sharedCores: 16)))
    #expect(abs(wide.throughput - alone.throughput) < 0.01 * alone.throughput)
  }

  @Test func batchesThatDifferWidenTheLatencies() throws {
    let steady = try SimulatedSystems.run(try Self.system(users: 128, device: try Self.device()))
    var device = try Self.device()
    let points = device.durations.points.map { point in
      var wide = point
      wide.spread = [0.5, 1, 1.5]
      return wide
    }
    device.durations = try #require(BatchDurations(points))
    let wide = try SimulatedSystems.run(try Self.system(users: 128, device: device))
    #expect(abs(wide.throughput - steady.throughput) < 0.05 * steady.throughput, "the mean is the same")
    let (narrow, broad) = try (#require(steady.latencyMilliseconds(percentile: 95)), #require(wide.latencyMilliseconds(percentile: 95)))
    #expect(broad > 1.1 * narrow)
    #expect(try SimulatedSystems.run(try Self.system(users: 128, device: device)).latencies == wide.latencies, "drawn from the seed")
  }

  @Test func instancesTakeTurns() throws {
    var system = try Self.system(users: 200, device: try Self.device())
    let one = try SimulatedSystems.run(system)
    system.scheduler.instances = 2
    let two = try SimulatedSystems.run(system)
    // The processor is one: a second instance fills the time between batches and no more.
    #expect(two.throughput > one.throughput && two.throughput < 1.15 * one.throughput)
    #expect(two.busy.kernels <= Double(two.window.nanoseconds))
  }

  @Test func theTraceSaysWhatItIs() throws {
    var system = try Self.system(users: 50, device: try Self.device())
    system.keepsTrace = true
    let result = try SimulatedSystems.run(system)
    let trace = try #require(result.trace)
    #expect(trace.gpus.map(\.name) == ["CPU: test (simulated by headroom)"])
    #expect(trace.copies.isEmpty && trace.apiCalls.isEmpty)
    #expect(abs(trace.kernels.count - trace.batches.count) <= 2)
    #expect(
      trace.batches.allSatisfy { $0.gatherStart >= $0.formed && $0.computeStart >= $0.gatherStart && $0.computeEnd > $0.computeStart })
    var again = system
    again.keepsTrace = false
    #expect(try SimulatedSystems.run(again).latencies == result.latencies, "a trace changes nothing")
  }
}
