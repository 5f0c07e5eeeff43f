import HostModel
import CheckedNumbers
import Diagnosis
import Simulation
import Threads
import TimeBase
import Trace

/// Measures this machine's host profile: our own server in this process, driven over loopback by a client of its own.
///
/// What the simulation adds up is measured so that it adds up: the front end's CPU time of all its threads per request, the batch's phases as the
/// server itself noted them, and the network as what is left of a round trip. `headroom load`, once there is one, is a client like this
/// one: its CPU time per request replaces `clientPerRequest` (`HostMeasurement` takes any sample).
package struct HostCalibration {
  package let measurements: [HostMeasurement]
  package let facts: [MachineTimings.Fact]
  package let seconds: Double

  /// One slice of a phase.
  private struct Slice {
    var requests: Double
    /// Microseconds per request.
    var frontEnd: Double
    var client: Double
    var roundTrip: Double
  }

  private static let smallElements = 16
  private static let largeElements = 16_384
  private static let slices = 9

  /// - Parameters:
  ///   - secondsPerPhase: There are four.
  ///   - progress: Told each phase's name.
  package init(secondsPerPhase: Double, progress: (String) -> Void) throws {
    let start = MonotonicClock.now
    progress("machine: clocks, copies, timers")
    facts = MachineTimings.facts
    progress("threads: waking each other")
    let wakeUps = MachineTimings.wakeUps()
    let server = try CalibrationServer()
    defer { server.stop() }
    let slice = secondsPerPhase / Double(Self.slices)
    func request(_ model: String, _ elements: Int) -> [UInt8] { CalibrationServer.request(model, elements: elements) }
    let bytes = (
      small: Double(request(CalibrationServer.batched, Self.smallElements).count),
      large: Double(request(CalibrationServer.batched, Self.largeElements).count)
    )
    progress("server: small requests, \(CalibrationServer.batchRows) at a time")
    let loadStart = MonotonicClock.now
    let small = try Self.phase(
      server, request(CalibrationServer.batched, Self.smallElements), connections: CalibrationServer.batchRows, seconds: slice)
    let smallTrace = server.trace(of: CalibrationServer.batched, since: loadStart)
    progress("server: large requests, \(CalibrationServer.batchRows) at a time")
    let largeStart = MonotonicClock.now
    let large = try Self.phase(
      server, request(CalibrationServer.batched, Self.largeElements), connections: CalibrationServer.batchRows, seconds: slice)
    let largeTrace = server.trace(of: CalibrationServer.batched, since: largeStart)
    progress("network: small requests, one at a time")
    let loneSmall = try Self.phase(server, request(CalibrationServer.immediate, Self.smallElements), connections: 1, seconds: slice)
    progress("network: large requests, one at a time")
    let loneLarge = try Self.phase(server, request(CalibrationServer.immediate, Self.largeElements), connections: 1, seconds: slice)
    measurements = Self.measurements(
      small: small, large: large, loneSmall: loneSmall, loneLarge: loneLarge, bytes: bytes, smallTrace: smallTrace, largeTrace: largeTrace,
      wakeUps: wakeUps, eventLoops: server.eventLoops)
    seconds = (MonotonicClock.now - start).seconds
  }

  /// Rounds of requests in slices of equal length, after a short one that counts for nothing.
  private static func phase(_ server: CalibrationServer, _ request: [UInt8], connections: Int, seconds: Double) throws(CalibrationError)
    -> [Slice]
  {
    let client = try CalibrationClient(port: server.port, connections: connections)
    var found: [Slice] = []
    for index in 0...slices {
      let length = TimeSpan(clampingSeconds: index == 0 ? seconds / 2 : seconds)
      let (start, frontEnd, own) = (MonotonicClock.now, ThreadTimes.onCore(named: ThreadTimes.eventLoopName), ThreadTimes.own)
      var rounds = 0
      repeat {
        try client.round(request)
        rounds += 1
      } while MonotonicClock.now - start < length
      let requests = Double(rounds * connections)
      let slice = Slice(
        requests: requests, frontEnd: Double(ThreadTimes.onCore(named: ThreadTimes.eventLoopName) - frontEnd) / 1000 / requests,
        client: Double(ThreadTimes.own - own) / 1000 / requests, roundTrip: (MonotonicClock.now - start).seconds * 1e6 / Double(rounds))
      if index > 0 { found.append(slice) }
    }
    return found
  }

  private static func measurements(
    small: [Slice], large: [Slice], loneSmall: [Slice], loneLarge: [Slice], bytes: (small: Double, large: Double), smallTrace: Trace,
    largeTrace: Trace, wakeUps: [Double], eventLoops: Int
  ) -> [HostMeasurement] {
    func phases(_ trace: Trace, _ from: KeyPath<BatchEvent, Int64>, _ to: KeyPath<BatchEvent, Int64>) -> [Double] {
      // Whole batches alone: their bytes are known.
      trace.batches.filter { $0.rows == CalibrationServer.batchRows }.map { Double($0[keyPath: to] - $0[keyPath: from]) / 1000 }
    }
    func affine(_ small: [Double], _ large: [Double], times: Double = 1) -> (fixed: [Double], perByte: [Double]) {
      HostMeasurement.affine(small: small, smallBytes: bytes.small * times, large: large, largeBytes: bytes.large * times)
    }
    // Of the event loops' time per request, parsing and answering have the shares that the server's own stamps have.
    let requests = smallTrace.requests
    let parsing = HostMeasurement.summary(requests.map { Double($0.parsed - $0.received) })?.median ?? 1
    let answering = HostMeasurement.summary(requests.map { Double($0.responseEnd - $0.responseStart) })?.median ?? 1
    let share = parsing + answering > 0 ? parsing / (parsing + answering) : 0.5
    let frontEnd = affine(small.map(\.frontEnd), large.map(\.frontEnd))
    let client = affine(small.map(\.client), large.map(\.client))
    // What is left of a lone round trip beside the costs under load: both ways, and the waking up of whoever waits for them.
    func wire(_ lone: [Slice], _ loaded: [Slice]) -> [Double] {
      let known = HostMeasurement.summary(loaded.map { $0.frontEnd + $0.client })?.median ?? 0
      return lone.map { max(0, $0.roundTrip - known) }
    }
    let network = affine(wire(loneSmall, small), wire(loneLarge, large))
    let rows = Double(CalibrationServer.batchRows)
    let gather = HostMeasurement.affine(
      small: phases(smallTrace, \.gatherStart, \.computeStart), smallBytes: rows * Double(4 * smallElements + 4),
      large: phases(largeTrace, \.gatherStart, \.computeStart), largeBytes: rows * Double(4 * largeElements + 4))
    let loopTime = "CPU time of the event loops per request, \(CalibrationServer.batchRows) connections"
    return [
      HostMeasurement(.clientCores, [1], how: "the calibration's own client is one thread"),
      HostMeasurement(
        .clientPerRequest, client.fixed, how: "CPU time of the calibration's own client (blocking sockets); `headroom load` may differ"),
      HostMeasurement(.clientPerByte, client.perByte.map { $0 * 1000 }, how: "the same client, 64 KiB against 64 bytes per request"),
      HostMeasurement(
        .networkLatency, network.fixed.map { $0 / 2 },
        how: "half of what a round trip of one connection over loopback takes beyond client and front end: wake-ups are in it"),
      HostMeasurement(.networkPerByte, network.perByte.map { $0 * 1000 }, how: "the same, 64 KiB against 64 bytes per request"),
      HostMeasurement(.frontEndCores, [Double(eventLoops)], how: "event loops that `headroom serve` starts on this machine"),
      HostMeasurement(.frontEndPerRequest, frontEnd.fixed.map { $0 * share }, how: loopTime + ", the part before the queue"),
      HostMeasurement(.frontEndPerByte, frontEnd.perByte.map { $0 * 1000 }, how: "the same, 64 KiB against 64 bytes per request"),
      HostMeasurement(.responsePerRequest, frontEnd.fixed.map { $0 * (1 - share) }, how: loopTime + ", the part after the batch"),
      HostMeasurement(
        .batchHandOff, phases(smallTrace, \.formed, \.gatherStart),
        how: "from forming to gathering, as the server stamped \(Int(saturating: rows))-row batches"),
      HostMeasurement(.gatherPerBatch, gather.fixed, how: "gathering \(Int(saturating: rows)) requests, as stamped"),
      HostMeasurement(.gatherPerByte, gather.perByte.map { $0 * 1000 }, how: "the same, 64 KiB against 64 bytes per request"),
      HostMeasurement(
        .eventWakeUp, wakeUps, how: "half a round trip of two threads that wake each other; a device's interrupt is not in it"),
      HostMeasurement(
        .responsePerBatch, phases(smallTrace, \.computeEnd, \.outputEnd),
        how: "splitting a batch into \(Int(saturating: rows)) responses, as stamped"),
    ].compactMap { $0 }
  }

  /// The profile, named for a file.
  package func profile(name: String) -> HostProfile {
    let cores = facts.first { $0.name == "cores" }.flatMap(\.values.first) ?? 0
    return HostProfile(
      name: name,
      about:
        "our own server and a client on one machine with \(Int(saturating: cores)) cores, measured by `headroom calibrate --host`; what needs a GPU is assumed",
      measurements: measurements)
  }
}
