import Diagnosis
import Testing
import TimeBase
import Trace

@testable import Serving
@testable import ServingDiagnosis

@Suite("Live events as a trace")
struct LiveTraceTests {
  @Test("every event is in the trace, every request has its batch")
  func tables() {
    let world = LiveWorld.saturated()
    let live = LiveTrace(world.events, of: world.state, window: LiveWorld.window)
    #expect(live.trace.batches.count == 498)
    #expect(live.trace.kernels.count == 498)
    #expect(live.trace.requests.count == 498 * 8)
    #expect(live.linkedRequests == 498 * 8)
    #expect(live.trace.run["kind"] == "measured")
    #expect(live.trace.gpus.map(\.name) == ["CPU: Test 9000"])
    #expect(live.trace.requests.batch.prefix(8).allSatisfy { $0 == 0 })
    #expect(live.trace.requests.batch.suffix(8).allSatisfy { $0 == 497 })
  }

  @Test("a processor has no streaming multiprocessors, so nothing is said of their fill")
  func noFill() throws {
    let world = LiveWorld.saturated()
    let live = LiveTrace(world.events, of: world.state, window: LiveWorld.window)
    #expect(live.trace.gpus.first?.smCount == Trace.unknown)
    let diagnosis = world.diagnosis()
    #expect(diagnosis.evidence.kernels.residentSMShare == nil && diagnosis.evidence.kernels.residentSMShareOfAll == nil)
    let codes = Set((diagnosis.assessment?.ranked ?? []).map(\.finding.code) + (diagnosis.assessment?.undecided ?? []).map(\.code))
    #expect(codes.isSubset(of: DeviceClass.processor.findings ?? []))
    #expect(diagnosis.json["findings"]?.serialized(pretty: false).contains("GPU") == false)
  }

  private func batches(of world: LiveWorld) -> [Int64] {
    Array(LiveTrace(world.events, of: world.state, window: LiveWorld.window).trace.requests.batch)
  }

  @Test("a request is in the batch that it names, whatever the times say")
  func namedBatch() {
    var world = LiveWorld(instances: 2)
    world.batch(arrivals: [0, 1], gather: 10, kernels: 5_000, instance: 0)
    world.batch(arrivals: [20, 21, 22], gather: 30, kernels: 100, instance: 1)
    #expect(batches(of: world) == [0, 0, 1, 1, 1])
    world.events.requests[0].batch = 1
    world.events.requests[4].batch = 0
    #expect(batches(of: world) == [1, 0, 1, 1, 0])
  }

  @Test("a request whose batch is not kept, and one that was in none, have none")
  func strangers() {
    var world = LiveWorld()
    world.batch(arrivals: [0], gather: 10, kernels: 100)
    world.batch(arrivals: [500], gather: 510, kernels: 100)
    world.failure(at: 505)
    world.events.batches.removeFirst()
    #expect(batches(of: world) == [Trace.unknown, 0, Trace.unknown])
    let live = LiveTrace(world.events, of: world.state, window: LiveWorld.window)
    #expect(live.linkedRequests == 1)
    #expect(live.trace.requests.enqueued.last == Trace.unknown, "what never entered the queue has no time of entry")
  }

  @Test("time in the queue ends with the gathering, and what is outside the window is left out")
  func waited() {
    var world = LiveWorld()
    world.batch(arrivals: [-50, 20], gather: 100, kernels: 100)
    let live = LiveTrace(world.events, of: world.state, window: LiveWorld.window)
    #expect(live.waited == (100 + 80) * 1000)
  }

  @Test("a ring gives the newest that fit, no more than asked for")
  func ring() {
    var ring = Ring<Int>(capacity: 4)
    for value in 0..<7 { ring.append(value) }
    #expect(ring.elements { $0 >= 0 } == [3, 4, 5, 6])
    #expect(ring.elements(limit: 2) { $0 >= 0 } == [5, 6])
    #expect(ring.elements { $0 >= 6 } == [6])
  }
}
