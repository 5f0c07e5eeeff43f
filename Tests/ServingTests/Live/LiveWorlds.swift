import Execution
import Scheduling
import TimeBase
import Vocabulary

@testable import Serving
@testable import ServingDiagnosis

/// Made-up servers: events of ten seconds, as the workers would have recorded them.
struct LiveWorld {
  var state: LiveModelState
  var events = LiveTrace.Events()
  /// Nanoseconds; an odd start, so that nobody counts from zero.
  static let start: Int64 = 77_000_000_000
  static let window = start..<(start + 10_000_000_000)

  init(_ name: String = "m", simulated: Bool = false, instances: Int = 1, rows: Int = 8, number: Int32 = 1) {
    let device = DeviceDescription(
      name: simulated ? "sim:l4" : "cpu", deviceClass: simulated ? .simulatedGPU : .processor,
      hardware: simulated ? "L4 (simulated by headroom)" : "Test 9000",
      computeUnits: simulated ? 58 : 2, memoryBytes: 0)
    state = LiveModelState(
      name: name, version: "1", number: number, device: device,
      scheduling: SchedulerConfiguration(
        maximumBatchRows: rows, batching: DynamicBatchingPolicy(maximumQueueDelay: .microseconds(1000)), instances: instances),
      readyInstances: instances)
  }

  static func at(_ microseconds: Double) -> Instant { Instant(nanoseconds: start + Int64(microseconds * 1000)) }

  /// A batch of one-row requests that arrived at these times and was gathered at `gather`; times in microseconds after the start.
  mutating func batch(
    arrivals: [Double], gather: Double, kernels: Double, instance: Int32 = 0, reason: DispatchReason = .full, handOff: Double = 20
  ) {
    let formed = max(arrivals.max() ?? gather, gather - handOff)
    let (from, end) = (gather + 10, gather + 10 + kernels)
    let id = Int64(events.batches.count)
    events.batches.append(
      LiveRecorder.Batch(
        id: id, model: state.number, instance: instance, rows: Int32(clamping: arrivals.count), requests: Int32(clamping: arrivals.count),
        reason: reason,
        formed: Self.at(min(formed, gather)), gatherStart: Self.at(gather), computeStart: Self.at(from), computeEnd: Self.at(end),
        outputEnd: Self.at(end + 10)))
    events.kernels.append(
      LiveRecorder.Kernel(
        batch: id, model: state.number, instance: instance, rows: Int32(clamping: arrivals.count),
        run: KernelRun(step: 0, start: Self.at(from), end: Self.at(end))))
    for arrival in arrivals {
      events.requests.append(
        LiveRecorder.Request(
          model: state.number, rows: 1, batch: id, bytesIn: 64, bytesOut: 64, received: Self.at(arrival - 30), parsed: Self.at(arrival),
          enqueued: Self.at(arrival), responseStart: Self.at(end + 30), responseEnd: Self.at(end + 40), failed: false))
    }
  }

  /// A request that ended in an error.
  mutating func failure(at time: Double) {
    events.requests.append(
      LiveRecorder.Request(
        model: state.number, rows: 1, batch: -1, bytesIn: 64, bytesOut: 0, received: Self.at(time - 30), parsed: Self.at(time),
        enqueued: .distantFuture, responseStart: Self.at(time + 10), responseEnd: Self.at(time + 20), failed: true))
  }

  /// Always eight requests ahead: batches of eight, 20 ms each, back to back.
  static func saturated(simulated: Bool = false, name: String = "m", number: Int32 = 1) -> LiveWorld {
    var world = LiveWorld(name, simulated: simulated, number: number)
    for index in 0..<498 {
      let gather = Double(index) * 20_080 + 50
      world.batch(arrivals: (0..<8).map { max(0, gather - 19_000) + Double($0) }, gather: gather, kernels: 20_000)
    }
    return world
  }

  /// A request each 50 ms, answered in 2 ms.
  static func starved(name: String = "m", number: Int32 = 1) -> LiveWorld {
    var world = LiveWorld(name, number: number)
    for index in 0..<199 {
      let arrival = Double(index) * 50_000 + 100
      world.batch(arrivals: [arrival], gather: arrival + 40, kernels: 2_000, reason: .zeroDelay)
    }
    return world
  }

  func diagnosis(_ serverContext: LiveDiagnosis.ServerContext = .init()) -> LiveDiagnosis {
    LiveDiagnosis(state, events: events, window: Self.window, serverContext: serverContext)
  }

  static func answer(_ worlds: [LiveWorld], filter: String? = nil, frontEnd: FrontEndClock.Usage? = nil) -> LiveAnswer {
    var events = LiveTrace.Events()
    for world in worlds {
      events.requests += world.events.requests
      events.batches += world.events.batches
      events.kernels += world.events.kernels
    }
    return LiveAnswer(
      version: "0.0.1", filter: filter, states: worlds.map(\.state), events: events, start: Instant(nanoseconds: window.lowerBound),
      now: Instant(nanoseconds: window.upperBound), uptime: .milliseconds(60_000), frontEnd: frontEnd)
  }
}
