import CheckedNumbers
import DeviceModel
import TimeBase
import Threads

/// Drives a `GPUMachine` by the real clock: what instances submit runs when the machine says, and completes then.
///
/// The machine is a value: a copy of it, run ahead, tells when the next thing would end if nothing else came. One thread sleeps until then,
/// and asks again when something came.
///
/// `@unchecked Sendable`: `state` is used under the monitor's lock alone.
final class SimulatedTimeline: @unchecked Sendable {
  /// One batch: copy in, kernels, copy out, on one stream.
  struct Batch: Sendable {
    var table: Int32
    var kernels: Int
    var upload: TimeSpan
    var download: TimeSpan
    var uploadBytes: Int
    var downloadBytes: Int
    var stream: Int
    var events: (any LaunchRecorder)?
    var completion: @Sendable (Result<BatchTimes, DeviceError>) -> Void
  }

  private struct State {
    var machine: GPUMachine
    var running: [Int32: Running] = [:]
    var nextTag: Int32 = 0
    var isStarted = false
  }

  private struct Running {
    var batch: Batch
    var inputsReady = Instant.zero
    var computeEnd = Instant.zero
    var kernels: [KernelRun] = []
    var copies: [CopyRun] = []
  }

  private let monitor = Monitor()
  /// Guarded by the monitor.
  private var state: State

  init(streams: Int) { state = State(machine: GPUMachine(streams: streams)) }

  /// A batch's kernels.
  func register(_ kernels: [KernelTiming]) -> Int32 { monitor.withLock { state.machine.register(kernels) } }

  func submit(_ batch: Batch) {
    let now = MonotonicClock.now
    let isFirst = monitor.withLock {
      state.machine.advance(to: now)
      let tag = state.nextTag
      // Three markers per batch.
      state.nextTag = state.nextTag &+ 4 & 0x3FFF_FFFF
      state.running[tag] = Running(batch: batch)
      state.machine.copy(tag: tag, isUpload: true, lasting: batch.upload, stream: batch.stream, ready: now)
      state.machine.mark(tag, stream: batch.stream, ready: now)
      if batch.kernels > 0 { state.machine.launch(batch.table, tag: tag, stream: batch.stream, ready: now, spacing: .zero) }
      state.machine.mark(tag | 1, stream: batch.stream, ready: now)
      state.machine.copy(tag: tag, isUpload: false, lasting: batch.download, stream: batch.stream, ready: now)
      state.machine.mark(tag | 2, stream: batch.stream, ready: now)
      defer { state.isStarted = true }
      return !state.isStarted
    }
    if isFirst { DetachedThread.start(named: "simulated device") { [self] in run() } }
    monitor.signal()
  }

  /// The thread: completes what is due, then sleeps until the next thing is or something new came.
  private func run() {
    monitor.lock()
    while true {
      let (due, next) = step(at: MonotonicClock.now)
      if due.isEmpty {
        monitor.wait(until: next)
        continue
      }
      monitor.unlock()
      for (running, end) in due {
        if let events = running.batch.events {
          for kernel in running.kernels { events.record(kernel) }
          for copy in running.copies { events.record(copy) }
        }
        running.batch.completion(
          .success(BatchTimes(inputsReady: running.inputsReady, computeEnd: running.computeEnd, outputsReady: end)))
      }
      monitor.lock()
    }
  }

  /// Batches that are done by now, and when the next thing ends.
  private func step(at now: Instant) -> (due: [(Running, Instant)], next: Instant) {
    var due: [(Running, Instant)] = []
    var ahead = Instant.distantFuture
    while true {
      state.machine.advance(to: now)
      for kernel in state.machine.kernels {
        guard let batch = state.running[kernel.burst]?.batch, batch.events != nil else { continue }
        state.running[kernel.burst]?.kernels.append(
          KernelRun(
            step: kernel.kernel, stream: Int32(clamping: batch.stream), start: Instant(nanoseconds: kernel.start),
            end: Instant(nanoseconds: kernel.end)))
      }
      for copy in state.machine.copies {
        guard let batch = state.running[copy.tag]?.batch, batch.events != nil else { continue }
        state.running[copy.tag]?.copies.append(
          CopyRun(
            direction: copy.isUpload ? .hostToDevice : .deviceToHost, hostMemory: .pinned,
            bytes: Int64(copy.isUpload ? batch.uploadBytes : batch.downloadBytes), stream: Int32(clamping: batch.stream),
            start: Instant(nanoseconds: copy.start), end: Instant(nanoseconds: copy.end)))
      }
      state.machine.kernels.removeAll(keepingCapacity: true)
      state.machine.copies.removeAll(keepingCapacity: true)
      let reached = state.machine.reached
      // With one stream in use the machine works ahead; what lies in the future stays until then.
      var later: [GPUMachine.Reached] = []
      for marker in reached {
        let time = Instant(nanoseconds: marker.time)
        if time > now {
          later.append(marker)
          ahead = min(ahead, time)
          continue
        }
        state.machine.forget(marker.tag)
        let tag = marker.tag & ~3
        switch marker.tag & 3 {
        case 0: state.running[tag]?.inputsReady = time
        case 1: state.running[tag]?.computeEnd = time
        default: if let running = state.running.removeValue(forKey: tag) { due.append((running, time)) }
        }
      }
      state.machine.reached = later
      if later.count == reached.count { break }
    }
    if state.machine.isIdle || !due.isEmpty { return (due, ahead) }
    var probe = state.machine
    probe.reached.removeAll()
    probe.advance(to: .distantFuture)
    for marker in probe.reached { ahead = min(ahead, Instant(nanoseconds: marker.time)) }
    return (due, max(ahead, now + TimeSpan(nanoseconds: 1)))
  }
}
