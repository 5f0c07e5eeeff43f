import HostModel
import DeviceModel
import JSONText
import ModelGraph
import Planning
import Scheduling
import Simulation
import Testing
import TimeBase
import Trace
import Workload

@Suite struct SimulationTests {
  static let linear = BuiltInHead.linear(layers: 19, hidden: 1024)

  @Test func theSameSeedGivesTheSameTraceBitForBit() throws {
    var system = SimulatedSystems.document(try SimulatedSystems.plan(Self.linear), users: 200, seconds: 2)
    system.keepsTrace = true
    let (first, second) = (try SimulatedSystems.run(system), try SimulatedSystems.run(system))
    #expect(first.trace == second.trace)
    #expect(first.latencies == second.latencies)
    system.seed = 2
    #expect(try SimulatedSystems.run(system).latencies != first.latencies)
  }

  @Test func aTraceChangesNothing() throws {
    var system = SimulatedSystems.document(try SimulatedSystems.plan(Self.linear), users: 300, seconds: 2)
    let without = try SimulatedSystems.run(system)
    system.keepsTrace = true
    let with = try SimulatedSystems.run(system)
    #expect(without.latencies == with.latencies)
    #expect(without.batches == with.batches)
  }

  @Test func littlesLawHolds() throws {
    let system = SimulatedSystems.document(try SimulatedSystems.plan(Self.linear), users: 400, seconds: 20)
    let result = try SimulatedSystems.run(system)
    let latency = try #require(result.meanLatencyMilliseconds)
    // Every user thinks, queues in the client or is in flight: N = X (Z + R + time in the visit before latency measurement starts).
    let cycle = 400 / result.throughput * 1000
    #expect(cycle > latency + 300)
    #expect(result.throughput * latency / 1000 < 400)
  }

  @Test func anIdleSystemAnswersAtTheSumOfItsTimes() throws {
    // One user, one row, no batching: latency is visits + wire + parse + hand-off + gather + copies + launches + kernels + response.
    let plan = try SimulatedSystems.plan(Self.linear)
    var system = SimulatedSystems.document(plan, users: 1, rows: 1, seconds: 5)
    system.scheduler.batching = nil
    let result = try SimulatedSystems.run(system)
    let host = HostProfile.triton
    let batch = try plan.at(rows: 1)
    let wireBytes = Double(batch.inputBytes) + 300
    let gaps = Double(batch.launches.count - 1) * host[.kernelGap].value * 1000
    let kernels = batch.launches.reduce(gaps) { $0 + $1.predictedNanoseconds }
    func cost(_ cost: HostCost) -> Double { host[cost].value }
    var expected = cost(.clientPerRequest) * 3 / 4 + 2 * cost(.networkLatency)
    expected += (wireBytes + Double(batch.outputBytes) + 300) * cost(.networkPerByte) / 1000
    expected += cost(.frontEndPerRequest) + wireBytes * cost(.frontEndPerByte) / 1000 + cost(.responsePerRequest)
    expected += cost(.batchHandOff) + cost(.gatherPerBatch) + Double(batch.inputBytes) * cost(.gatherPerByte) / 1000
    expected += cost(.launch) + max(cost(.copyLatency), cost(.launch) + cost(.launchLatency))
    expected += kernels / 1000 + cost(.copyLatency) + cost(.eventWakeUp) + cost(.responsePerBatch)
    let latency = try #require(result.meanLatencyMilliseconds)
    #expect((latency * 1000 / expected - 1).magnitude < 0.01, "\(latency * 1000) us against \(expected) us")
  }

  @Test func anOpenLoopKeepsItsRate() throws {
    var system = SimulatedSystems.document(try SimulatedSystems.plan(Self.linear), seconds: 20)
    system.workload.load = .open(.poisson(perSecond: 500))
    let result = try SimulatedSystems.run(system)
    #expect((result.throughput / 500 - 1).magnitude < 0.03)
  }

  @Test func aFullQueueTurnsRequestsAway() throws {
    var system = SimulatedSystems.document(try SimulatedSystems.plan(.seqlen(layers: 20, hidden: 1024, sequence: 128)), seconds: 3)
    system.host = system.host.with(.clientCores, 64)
    system.scheduler.batching?.defaultQueuePolicy.maximumQueueSize = 20
    let result = try SimulatedSystems.run(system)
    #expect((result.refused[.queueFull] ?? 0) > 100)
    system.scheduler.batching?.defaultQueuePolicy.maximumQueueSize = 0
    system.scheduler.batching?.defaultQueuePolicy.defaultTimeout = .milliseconds(100)
    #expect((try SimulatedSystems.run(system).refused[.timeout] ?? 0) > 100)
  }

  @Test func traceAndCountersAgree() throws {
    var system = SimulatedSystems.document(try SimulatedSystems.plan(Self.linear), seconds: 3)
    system.keepsTrace = true
    let result = try SimulatedSystems.run(system)
    let trace = try #require(result.trace)
    #expect(trace.run["kind"] == "simulated")
    #expect(trace.gpus.first?.name.hasSuffix("(simulated by headroom)") == true)
    #expect(trace.clientRequests.count == result.answered + result.refused.values.reduce(0, +))
    // Batches in flight at the end of the window are started and not in the table.
    #expect((result.batches - trace.batches.count) <= 2)
    #expect((result.batches - trace.batches.count) >= 0)
    let kernels = try system.plan.at(rows: 250).launches.count
    #expect(trace.kernels.count >= trace.batches.count * kernels)
    let launches = trace.apiCalls.filter { trace.names[$0.name]?.hasPrefix("cuLaunchKernel") == true }
    #expect(launches.count >= trace.kernels.count)
    // Every kernel has a launch call that began before it.
    var starts: [Int64: Int64] = [:]
    for call in launches { starts[call.correlation] = call.start }
    for kernel in trace.kernels {
      let start = try #require(starts[kernel.correlation])
      #expect(start < kernel.start)
    }
    // No thread does two things at once.
    for thread in Set(trace.apiCalls.thread) {
      let calls = trace.apiCalls.filter { $0.thread == thread }.sorted { $0.start < $1.start }
      for (earlier, later) in zip(calls, calls.dropFirst()) { #expect(earlier.end <= later.start) }
    }
  }

  @Test func aSecondInstanceWithItsOwnThreadFillsGaps() throws {
    var system = SimulatedSystems.document(try SimulatedSystems.plan(.seqlen(layers: 20, hidden: 1024, sequence: 128)), seconds: 10)
    system.host = system.host.with(.clientCores, 8)
    let one = try SimulatedSystems.run(system)
    system.scheduler.instances = 2
    system.execution.issuing = .perInstance
    let two = try SimulatedSystems.run(system)
    #expect(two.throughput > one.throughput * 1.03)
    // The device's own time is the ceiling.
    let plan = try system.plan.at(rows: 250)
    let ceiling = 5 / ((plan.predictedNanoseconds - Double(plan.launches.count) * 900) / 1e9)
    #expect(two.throughput < ceiling * 1.1)
    system.scheduler.instances = 1
    system.execution = ExecutionOptions()
    system.execution.permits = 3
    let eager = try SimulatedSystems.run(system)
    #expect(eager.throughput > one.throughput * 1.03)
  }

  @Test func everyOptionOfExecutionRuns() throws {
    for (graphs, gathers, pins, overlaps, instances) in [
      (true, true, true, false, 1), (false, false, false, false, 1), (false, true, true, true, 2), (true, false, true, true, 3),
    ] {
      var system = SimulatedSystems.document(try SimulatedSystems.plan(Self.linear), seconds: 2)
      system.execution.usesCUDAGraphs = graphs
      system.execution.gathersCopies = gathers
      system.execution.pinsMemory = pins
      system.execution.overlapsCopies = overlaps
      system.execution.permits = 2
      system.scheduler.instances = instances
      system.keepsTrace = true
      let result = try SimulatedSystems.run(system)
      #expect((result.throughput / 1176 - 1).magnitude < 0.02)
      #expect(result.trace?.kernels.count ?? 0 > 1000)
    }
  }
}
