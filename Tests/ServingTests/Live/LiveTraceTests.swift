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
    #expect(diagnosis.evidence.kernels.smFill == nil && diagnosis.evidence.kernels.smFillOfAll == nil)
    let codes = Set((diagnosis.assessment?.ranked ?? []).map(\.finding.code) + (diagnosis.assessment?.undecided ?? []).map(\.code))
    #expect(codes.isSubset(of: DeviceClass.processor.findings ?? []))
    #expect(diagnosis.json["findings"]?.serialized(pretty: false).contains("GPU") == false)
  }

  @Test("requests on two instances find the batch that had them")
  func twoInstances() {
    var world = LiveWorld(instances: 2)
    world.batch(arrivals: [0, 1], gather: 10, kernels: 5_000, instance: 0)
    world.batch(arrivals: [20, 21, 22], gather: 30, kernels: 100, instance: 1)
    world.batch(arrivals: [300], gather: 400, kernels: 100, instance: 1)
    let order = world.events.requests.sorted { $0.enqueued < $1.enqueued }
    #expect(LiveTrace.carriers(of: order, in: world.events.batches) == [0, 0, 1, 1, 1, 2])
  }

  @Test("a batch that waits for its instance takes requests after it was formed")
  func toppedUp() {
    var world = LiveWorld()
    world.batch(arrivals: [0], gather: 10, kernels: 1_000)
    world.batch(arrivals: [20, 900], gather: 1_050, kernels: 100)
    world.events.batches[1].formed = LiveWorld.at(25)
    #expect(LiveTrace.carriers(of: world.events.requests, in: world.events.batches) == [0, 1, 1])
  }

  @Test("requests whose batch ended before the window, and failed ones, are given to no batch")
  func strangers() {
    var world = LiveWorld()
    world.batch(arrivals: [0], gather: 10, kernels: 100)
    world.batch(arrivals: [500], gather: 510, kernels: 100)
    world.failure(at: 505)
    world.events.batches.removeFirst()
    let order = world.events.requests.sorted { $0.enqueued < $1.enqueued }
    #expect(LiveTrace.carriers(of: order, in: world.events.batches) == [nil, 0, nil])
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
