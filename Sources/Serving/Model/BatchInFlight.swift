import Execution
import KServe
import Threads
import TimeBase

/// A batch that an instance's thread has gathered, until its answers were taken apart: one slot of the instance.
///
/// `@unchecked Sendable`: everything but `outcome` is the instance's thread's; `outcome` is used under the monitor's lock.
final class BatchInFlight: @unchecked Sendable {
  let checked: CheckedInstance
  /// Whose slot it is.
  let instance: any ModelInstance
  let events = BatchEvents()
  var rows = 0
  var gatherStart = Instant.zero
  /// Bytes that were copied.
  var gathered = 0
  /// What went wrong with a request's bytes, by its place.
  var problems: [Int: KServeError] = [:]

  private let monitor = Monitor()
  private var outcome: Result<BatchTimes, DeviceError>?

  init(_ checked: CheckedInstance, of instance: any ModelInstance) {
    self.checked = checked
    self.instance = instance
  }

  /// The device is done with it. On any thread.
  func complete(_ result: Result<BatchTimes, DeviceError>) {
    monitor.lock()
    outcome = result
    monitor.unlock()
    monitor.signal()
  }

  /// Waits until the device is done.
  func wait() -> Result<BatchTimes, DeviceError> {
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

  /// The slot is empty again.
  func clear() {
    if !problems.isEmpty { problems = [:] }
  }
}
