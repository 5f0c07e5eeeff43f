import Threads
public import TimeBase
public import Trace
import TraceFormats

extension CUDARecording {
  /// Ends the recording by this machine's clock.
  public func stop() {
    stop(clock: { MonotonicClock.now }, pause: { MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(2)) })
  }

  /// Adds what the processes left to a trace of a server's own. `end`: when the recording ended.
  ///
  /// - Returns: what is missing, in words; nil where no process left anything, as its driver loads no library.
  public func add(to trace: inout Trace, end: Instant) -> [String]? {
    // The driver's own words on its GPUs, with their number of SMs, in place of the server's.
    let own = trace.gpus
    trace.gpus = []
    var capture = CUDACapture(addingTo: trace, end: end.nanoseconds)
    read(into: &capture)
    trace = capture.trace
    if trace.gpus.isEmpty { trace.gpus = own }
    trace.nameLaunchesByRanges()
    return capture.files.isEmpty ? nil : capture.remarks.filter(\.isWarning).map(\.text)
  }
}
