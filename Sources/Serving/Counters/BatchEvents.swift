import Execution

/// Keeps what a device reports of one batch, and its memory for the next.
///
/// `@unchecked Sendable`: the device calls `record` from one thread at a time, all before the batch's completion, and the instance's thread
/// reads after it.
final class BatchEvents: LaunchRecorder, @unchecked Sendable {
  // Unchecked: for the reason above nobody else looks, and the check would cost as much as the append.
  @exclusivity(unchecked) private(set) var kernels: [KernelRun] = []
  @exclusivity(unchecked) private(set) var driverEvents: [LiveRecorder.DriverEvent.Kind] = []

  func begin() {
    kernels.removeAll(keepingCapacity: true)
    if !driverEvents.isEmpty { driverEvents.removeAll(keepingCapacity: true) }
  }

  func record(_ kernel: KernelRun) { kernels.append(kernel) }
  func record(_ copy: CopyRun) { driverEvents.append(.copy(copy)) }
  func record(_ call: DriverCall) { driverEvents.append(.call(call)) }
  func record(_ synchronization: SynchronizationRun) { driverEvents.append(.synchronization(synchronization)) }
}
