import Threads
import Trace

/// The tables of device work read on a thread of their own while another reads those of the host: of a large file they are half each.
final class DeviceWorkJob: @unchecked Sendable {
  // Sendable: `reader` and `trace` are touched by the thread alone until it sets `outcome` under the monitor's lock; from then on by
  // `result` alone.
  private var reader: TraceStoreReader
  private var trace: Trace
  private var outcome: Result<(Trace, [TraceStoreReader.Damage]), TraceStoreError>?
  private let monitor = Monitor()

  private init(_ reader: TraceStoreReader, _ trace: Trace) {
    self.reader = reader
    self.trace = trace
  }

  /// Starts reading with a reader of its own into a copy of a trace; nil where there is no thread to be had.
  static func start(_ reader: TraceStoreReader, _ trace: Trace) -> DeviceWorkJob? {
    let job = DeviceWorkJob(reader, trace)
    return DetachedThread.start(named: "trace-kernels", { job.run() }) ? job : nil
  }

  private func run() {
    let result: Result<(Trace, [TraceStoreReader.Damage]), TraceStoreError>
    do throws(TraceStoreError) {
      try reader.readDeviceWork(&trace)
      result = .success((trace, reader.damages))
    } catch {
      result = .failure(error)
    }
    trace = Trace()
    monitor.withLock { outcome = result }
    monitor.broadcast()
  }

  /// Waits for the end.
  func result() -> Result<(Trace, [TraceStoreReader.Damage]), TraceStoreError> {
    monitor.lock()
    defer { monitor.unlock() }
    while true {
      if let outcome {
        self.outcome = nil
        return outcome
      }
      monitor.wait()
    }
  }
}
