import DeviceModel
import Glibc
import Synchronization
import TimeBase

/// Drives a `GPUMachine` by the real clock: what instances submit runs when the machine says, and completes then.
///
/// The machine is a value: a copy of it, run ahead, tells when the next thing would end if nothing else came. One thread sleeps until then,
/// and asks again when something came.
final class SimulatedTimeline: Sendable {
  /// One batch: copy in, kernels, copy out, on one stream.
  struct Batch: Sendable {
    var table: Int32
    var kernels: Int
    var upload: TimeSpan
    var download: TimeSpan
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
    var kernels: [(step: Int, start: Instant, end: Instant)] = []
  }

  private let state: Mutex<State>
  /// Wakes the thread; an eventfd, because Swift's Mutex has no condition.
  private let bell: Int32

  init(streams: Int) {
    state = Mutex(State(machine: GPUMachine(streams: streams)))
    bell = eventfd(0, Int32(EFD_CLOEXEC))
  }

  deinit { close(bell) }

  /// A batch's kernels.
  func register(_ kernels: [KernelTiming]) -> Int32 { state.withLock { $0.machine.register(kernels) } }

  func submit(_ batch: Batch) {
    let now = DeviceClock.now
    let isFirst = state.withLock { state in
      state.machine.advance(to: now)
      let tag = state.nextTag
      // Three markers a batch.
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
    if isFirst {
      var thread = pthread_t()
      let argument = Unmanaged.passRetained(self).toOpaque()
      if pthread_create(&thread, nil, runSimulatedTimeline, argument) == 0 { pthread_detach(thread) }
    }
    var one: UInt64 = 1
    _ = write(bell, &one, 8)
  }

  /// The thread: completes what is due, then sleeps until the next thing is or something new came.
  fileprivate func run() {
    while true {
      let (due, next) = step(at: DeviceClock.now)
      for (running, end) in due {
        for kernel in running.kernels { running.batch.events?.record(step: kernel.step, from: kernel.start, to: kernel.end) }
        running.batch.completion(
          .success(BatchTimes(inputsReady: running.inputsReady, computeEnd: running.computeEnd, outputsReady: end)))
      }
      if !due.isEmpty { continue }
      var descriptor = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
      let now = DeviceClock.now
      if next == .distantFuture {
        poll(&descriptor, 1, -1)
      } else if next > now {
        var span = timespec(tv_sec: Int((next - now).nanoseconds / 1_000_000_000), tv_nsec: Int((next - now).nanoseconds % 1_000_000_000))
        ppoll(&descriptor, 1, &span, nil)
      }
      if descriptor.revents != 0 {
        var count: UInt64 = 0
        _ = read(bell, &count, 8)
      }
    }
  }

  /// Batches that are done by now, and when the next thing ends.
  private func step(at now: Instant) -> (due: [(Running, Instant)], next: Instant) {
    state.withLock { state in
      var due: [(Running, Instant)] = []
      var ahead = Instant.distantFuture
      while true {
        state.machine.advance(to: now)
        for kernel in state.machine.kernels {
          state.running[kernel.burst]?.kernels.append(
            (Int(kernel.kernel), Instant(nanoseconds: kernel.start), Instant(nanoseconds: kernel.end)))
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
}

/// At file scope: a closure would belong to an actor and trap on a foreign thread.
private func runSimulatedTimeline(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  Unmanaged<SimulatedTimeline>.fromOpaque(argument).takeRetainedValue().run()
  return nil
}
