import Threads

/// Waits on one thread for the end of a batch that another may report; used again for the next.
///
/// `@unchecked Sendable`: `outcome` is guarded by the monitor.
public final class BatchCompletion: @unchecked Sendable {
  private let monitor = Monitor()
  private var outcome: Result<BatchTimes, DeviceError>?

  /// For one batch at a time.
  public init() {}

  /// Runs a batch and waits for its end. `body` starts it, with what the device is to call when it is over.
  public func wait(_ body: (_ completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) -> Void) -> Result<
    BatchTimes, DeviceError
  > {
    body { [self] result in
      monitor.lock()
      outcome = result
      monitor.unlock()
      monitor.signal()
    }
    monitor.lock()
    defer {
      outcome = nil
      monitor.unlock()
    }
    while true {
      if let outcome { return outcome }
      monitor.wait()
    }
  }
}
