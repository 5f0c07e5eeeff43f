import CheckedNumbers
import Execution
import Glibc
import TimeBase
import Trace

extension TraceRecorder {
  /// Kernels as the device reported them. A processor's have no stream: each instance's thread counts as one.
  mutating func add(kernels: [LiveRecorder.Kernel], batches: [LiveRecorder.Batch], of state: LiveModelState) {
    var known = KernelNames(state)
    // The table of batches numbers them anew; a launch names its batch.
    var places: [Int64: Int64] = [:]
    if kernels.contains(where: { $0.run.correlation != Trace.unknown }) {
      for (place, batch) in batches.enumerated() { places[batch.id] = Int64(place) }
    }
    for kernel in kernels {
      let run = kernel.run
      recordKernel(
        known.id(of: run.step, rows: kernel.rows, in: &self), on: stream(run.stream >= 0 ? run.stream : max(0, kernel.instance)),
        from: run.start, to: run.end, correlation: run.correlation, graphNode: run.graphNode)
      if run.correlation != Trace.unknown, let batch = places[kernel.batch] {
        recordLaunch(correlation: run.correlation, batch: batch, step: run.step)
      }
    }
  }

  /// Copies, calls and waits as the device reported them.
  mutating func add(driverEvents events: [LiveRecorder.DriverEvent]) {
    let process = Int64(getpid())
    for event in events {
      switch event.kind {
      case .copy(let copy):
        // CUPTI's kinds of memory, as Nsight's tables number them: pageable 0, pinned 1, device 2.
        let (host, device) = (copy.hostMemory.rawValue, Int32(2))
        recordCopy(
          bytes: copy.bytes, direction: copy.direction.rawValue, on: stream(copy.stream), from: copy.start, to: copy.end,
          correlation: copy.correlation, sourceKind: copy.direction == .hostToDevice ? host : device,
          destinationKind: copy.direction == .deviceToHost ? host : device)
      case .call(let call):
        recordAPICall(
          name(call.name), thread: GlobalID.thread(process: process, thread: call.thread), from: call.start, to: call.end,
          correlation: call.correlation, returnValue: call.returnValue)
      case .synchronization(let wait):
        trace.synchronizations.append(
          SynchronizationEvent(
            start: wait.start.nanoseconds, end: wait.end.nanoseconds, stream: stream(max(0, wait.stream)), correlation: wait.correlation,
            type: wait.kind.rawValue))
      }
    }
  }

  private mutating func stream(_ number: Int32) -> StreamID {
    // Correlations join a kernel with its call within a process, so both must name the same one.
    stream(StreamDescription(process: GlobalID.process(Int64(getpid())), device: 0, stream: Int64(number)))
  }
}

/// What the kernels of one model are, by step: on a processor whatever the rows, on a GPU with the grid of the batch's rows.
private struct KernelNames {
  private struct Key: Hashable {
    var step: Int32
    var rows: Int32
  }

  private let state: LiveModelState
  private let names: [DeviceStep]
  private let dependsOnRows: Bool
  private var byRows: [Int32: [DeviceStep]] = [:]
  private var ids: [Key: KernelID] = [:]

  init(_ state: LiveModelState) {
    self.state = state
    names = state.steps(max(1, state.scheduling.maximumBatchRows))
    dependsOnRows = names.contains { $0.grid.x > 0 }
  }

  mutating func id(of step: Int32, rows: Int32, in recorder: inout TraceRecorder) -> KernelID {
    let key = Key(step: step, rows: dependsOnRows ? rows : 0)
    if let id = ids[key] { return id }
    var steps = names
    if dependsOnRows {
      steps = byRows[rows] ?? state.steps(Int(rows))
      byRows[rows] = steps
    }
    // How many blocks a processor's kernel had is not known: a grid of zero reads as unknown.
    let known = steps.indices.contains(Int(step)) ? steps[Int(step)] : DeviceStep("step \(step)")
    let name = recorder.name(known.name)
    let id = recorder.kernel(
      KernelDescription(
        demangledName: name, shortName: name, grid: known.grid, block: known.block, registersPerThread: known.registersPerThread,
        dynamicSharedMemoryBytes: known.sharedMemoryBytes))
    ids[key] = id
    return id
  }
}
