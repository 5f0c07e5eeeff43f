import CheckedNumbers
public import TimeBase

/// Builds a trace event by event. Intern names, kernels and streams once, outside the loop; an event then costs a handful of stores.
public struct TraceRecorder: Sendable {
  /// What has been recorded so far.
  public var trace: Trace

  /// An empty trace with room for `kernels` kernels, as many launches and `apiCalls` calls, so that no column is copied as it grows.
  public init(kernels: Int = 0, apiCalls: Int = 0, osCalls: Int = 0, requests: Int = 0, batches: Int = 0) {
    trace = Trace()
    trace.kernels.reserveCapacity(kernels)
    trace.launches.reserveCapacity(kernels)
    trace.apiCalls.reserveCapacity(apiCalls)
    trace.osCalls.reserveCapacity(osCalls)
    trace.requests.reserveCapacity(requests)
    trace.clientRequests.reserveCapacity(requests)
    trace.batches.reserveCapacity(batches)
    trace.copies.reserveCapacity(2 * batches)
  }

  /// The id of a text.
  public mutating func name(_ text: String) -> NameID { trace.names.intern(text) }

  /// The id of a kernel.
  public mutating func kernel(_ description: KernelDescription) -> KernelID { trace.intern(description) }

  /// The id of a stream.
  public mutating func stream(_ description: StreamDescription) -> StreamID { trace.intern(description) }

  /// Whether the times of the run are simulated or measured; the diagnosis marks every figure with it.
  public mutating func setRun(simulated: Bool) { trace.run["kind"] = simulated ? "simulated" : "measured" }

  /// A device; one of the simulation's own is named so, and the trace says it in a diagnostic event, so that no tool can take its
  /// times for measured ones.
  public mutating func add(_ gpu: GPUDescription, simulated: Bool) {
    var gpu = gpu
    if simulated {
      gpu.name += " (simulated by headroom)"
      let text = name("The times in this file are simulated by headroom. No GPU ran.")
      trace.diagnostics.append(DiagnosticEvent(severity: 2, text: text))
    }
    trace.gpus.append(gpu)
  }

  /// A kernel ran.
  @inlinable public mutating func recordKernel(
    _ description: KernelID, on stream: StreamID, from start: Instant, to end: Instant, correlation: Int64 = Trace.unknown,
    graphNode: Int64 = Trace.unknown
  ) {
    trace.kernels.append(
      KernelEvent(
        start: start.nanoseconds, end: end.nanoseconds, description: description, stream: stream, correlation: correlation,
        graphNode: graphNode))
  }

  /// A CUDA call was made.
  @inlinable public mutating func recordAPICall(
    _ name: NameID, thread: Int64, from start: Instant, to end: Instant, correlation: Int64 = Trace.unknown, eventClass: Int32 = 0,
    returnValue: Int32 = 0
  ) {
    trace.apiCalls.append(
      APICall(
        start: start.nanoseconds, end: end.nanoseconds, thread: thread, correlation: correlation, name: name, eventClass: eventClass,
        returnValue: returnValue))
  }

  /// An operating-system call was made.
  @inlinable public mutating func recordOSCall(
    _ name: NameID, thread: Int64, from start: Instant, to end: Instant, returnValue: Int64 = 0
  ) {
    trace.osCalls.append(
      OSCall(start: start.nanoseconds, end: end.nanoseconds, thread: thread, name: name, returnValue: returnValue))
  }

  /// A launch belongs to a step of a batch's plan.
  @inlinable public mutating func recordLaunch(correlation: Int64, batch: Int64, step: Int32) {
    trace.launches.append(LaunchEvent(correlation: correlation, batch: batch, step: step))
  }

  /// Bytes were copied.
  @inlinable public mutating func recordCopy(
    bytes: Int64, direction: Int32, on stream: StreamID, from start: Instant, to end: Instant, correlation: Int64 = Trace.unknown,
    sourceKind: Int32 = Trace.unknown32, destinationKind: Int32 = Trace.unknown32
  ) {
    trace.copies.append(
      CopyEvent(
        start: start.nanoseconds, end: end.nanoseconds, stream: stream, correlation: correlation, bytes: bytes, direction: direction,
        sourceKind: sourceKind, destinationKind: destinationKind))
  }
}
