import CheckedNumbers
import TimeBase
import Trace

/// The live events of one model as a trace, so that the diagnosis of recorded runs reads a running server.
package struct LiveTrace {
  /// Events of a time, of all models.
  package struct Events: Sendable {
    package var requests: [LiveRecorder.Request] = []
    package var batches: [LiveRecorder.Batch] = []
    package var kernels: [LiveRecorder.Kernel] = []
    package var driverEvents: [LiveRecorder.DriverEvent] = []

    /// Those of one model.
    package func of(_ model: Int32) -> Events {
      Events(
        requests: requests.filter { $0.model == model }, batches: batches.filter { $0.model == model },
        kernels: kernels.filter { $0.model == model }, driverEvents: driverEvents.filter { $0.model == model })
    }

    package var isEmpty: Bool { requests.isEmpty && batches.isEmpty }
  }

  package let trace: Trace
  /// Requests for which the batch that carried them was found.
  package let linkedRequests: Int
  /// Time that linked requests spent between the queue and their instance, nanoseconds. A batch that is formed ahead of a free instance
  /// still waits, so it counts up to the gathering.
  package let waited: Double

  /// - Parameters:
  ///   - events: Of this model alone.
  ///   - window: Nanoseconds of CLOCK_MONOTONIC.
  package init(_ events: Events, of state: LiveModelState, window: Range<Int64>) {
    var recorder = TraceRecorder(kernels: events.kernels.count, requests: events.requests.count, batches: events.batches.count)
    recorder.setRun(simulated: state.device.isSimulated)
    recorder.trace.run["windowStartNanoseconds"] = String(window.lowerBound)
    recorder.trace.run["windowEndNanoseconds"] = String(window.upperBound)
    recorder.add(
      GPUDescription(
        id: 0, cudaDevice: 0, name: state.deviceText, smCount: state.isProcessor ? Trace.unknown : Int64(state.device.computeUnits)),
      simulated: false)
    let model = recorder.name(state.name)
    // The scheduler's numbers begin anew with each loading of a model, so the table gets its own.
    let batches = events.batches.sorted { $0.formed < $1.formed }
    for (index, batch) in batches.enumerated() {
      recorder.trace.batches.append(
        BatchEvent(
          id: Int64(index), model: model, instance: batch.instance, rows: batch.rows, requests: batch.requests,
          reason: recorder.name(batch.reason.rawValue), formed: batch.formed.nanoseconds, gatherStart: batch.gatherStart.nanoseconds,
          computeStart: batch.computeStart.nanoseconds, computeEnd: batch.computeEnd.nanoseconds, outputEnd: batch.outputEnd.nanoseconds))
    }
    recorder.add(kernels: events.kernels, batches: batches, of: state)
    recorder.add(driverEvents: events.driverEvents)
    // Each request says which batch carried it. One that failed before, or with its batch, has none here.
    let places = Dictionary(zip(batches.map(\.id), batches.indices)) { first, _ in first }
    let requests = events.requests.sorted { $0.parsed < $1.parsed }
    var (linked, waited) = (0, 0.0)
    for (index, request) in requests.enumerated() {
      let place = places[request.batch]
      if let place {
        linked += 1
        waited += Self.length(request.enqueued, batches[place].gatherStart, in: window)
      }
      recorder.trace.requests.append(
        RequestEvent(
          id: Int64(index), batch: place.map { Int64($0) } ?? Trace.unknown, model: model, rows: request.rows, bytesIn: request.bytesIn,
          bytesOut: request.bytesOut, received: request.received.nanoseconds, parsed: request.parsed.nanoseconds,
          enqueued: request.enqueued == .distantFuture ? Trace.unknown : request.enqueued.nanoseconds,
          responseStart: request.responseStart.nanoseconds,
          responseEnd: request.responseEnd.nanoseconds, status: request.failed ? .failed : .ok))
    }
    trace = recorder.trace
    linkedRequests = linked
    self.waited = waited
  }

  /// Nanoseconds of an interval that lie in the window.
  package static func length(_ start: Instant, _ end: Instant, in window: Range<Int64>) -> Double {
    Double(max(0, min(end.nanoseconds, window.upperBound) - max(start.nanoseconds, window.lowerBound)))
  }
}
