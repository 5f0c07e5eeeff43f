import CheckedNumbers
import Execution
import Glibc
import KServe
import ModelConfiguration
import ModelGraph
import NIOCore
import NIOPosix
import Serving
import Synchronization
import Threads
import TimeBase

/// The server's batcher and device without sockets, and the device without the server: what each could pass alone.
enum InProcessLoad {
  /// What was passed a second, and the CPU time it took.
  struct Outcome {
    var requestsPerSecond: Double
    var cpuMicrosecondsPerRequest: Double
  }

  /// Requests of one row to a batched model in this process, `inFlight` at any time; no socket, no HTTP.
  static func server(
    _ folder: ServingFolder, on device: any Device, inputName: String, width: Int, inFlight: Int, seconds: Double
  ) throws(ExperimentError) -> Outcome {
    var options = InferenceServer.Options()
    options.repositories = [folder.path]
    options.keepsEvents = false
    var quiet = LogSettings()
    (quiet.info, quiet.warning, quiet.error) = (false, false, false)
    let server = InferenceServer(options, devices: ModelDevices(primary: device), log: ServerLog(quiet))
    let failures = server.start()
    if let failure = failures.first { throw ExperimentError("model \(failure.key): \(failure.value.message)") }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    defer {
      server.beginDraining()
      server.closeModels()
      try? group.syncShutdownGracefully()
    }
    let loop = group.next()
    let answered = Atomic<Int>(0)
    let failed = Atomic<Int>(0)
    let isEnding = Atomic<Bool>(false)
    let left = Mutex(inFlight)
    let done = Monitor()
    var row = ByteBufferAllocator().buffer(capacity: width * 4)
    for index in 0..<width { row.writeInteger((Float(index % 17) * 0.01).bitPattern, endianness: .little) }
    let bytes = row
    @Sendable func ask() {
      let now = MonotonicClock.now
      let request = InferenceRequest(
        modelName: folder.model,
        inputs: [InferenceRequest.Input(name: inputName, dataType: .float32, shape: [1, width], data: .one(bytes))], received: now,
        parsed: now)
      _ = server.infer(request, on: loop) { result in
        if case .success = result { answered.wrappingAdd(1, ordering: .relaxed) } else { failed.wrappingAdd(1, ordering: .relaxed) }
        if !isEnding.load(ordering: .relaxed) { return loop.execute { ask() } }
        done.lock()
        let isLast = left.withLock { count in
          count -= 1
          return count == 0
        }
        done.unlock()
        if isLast { done.broadcast() }
      }
    }
    loop.execute { for _ in 0..<inFlight { ask() } }
    // A second until batches are as they stay.
    MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(1000))
    let (start, before, cpu) = (MonotonicClock.now, answered.load(ordering: .relaxed), cpuSeconds())
    MonotonicClock.sleep(until: start + TimeSpan(clampingSeconds: seconds))
    let (end, after, used) = (MonotonicClock.now, answered.load(ordering: .relaxed), cpuSeconds() - cpu)
    isEnding.store(true, ordering: .relaxed)
    let deadline = MonotonicClock.now + .milliseconds(30_000)
    done.lock()
    while left.withLock({ $0 }) > 0, MonotonicClock.now < deadline { done.wait(until: deadline) }
    done.unlock()
    if failed.load(ordering: .relaxed) > 0 { throw ExperimentError("in-process load: \(failed.load(ordering: .relaxed)) requests failed") }
    let count = Double(max(1, after - before))
    return Outcome(requestsPerSecond: count / (end - start).seconds, cpuMicrosecondsPerRequest: used / count * 1e6)
  }

  /// Full batches back to back on the device: nothing but kernels.
  static func device(_ head: BuiltInHead, on device: any Device, rows: Int, seconds: Double) throws(ExperimentError) -> Outcome {
    do {
      let graph = try head.graph()
      let model = try device.load(
        .graph(graph),
        LoadOptions(
          maximumBatchRows: rows, precision: device.description.deviceClass == .processor ? .fp32 : .fp16, preferredRows: [rows]))
      let instance = try model.makeInstance()
      let slot = try instance.prepare(graph.inputs.map { Shapes.sizes(graph[$0].shape, rows: rows) ?? [] })
      for input in slot.inputs { input.memory.initializeMemory(as: UInt8.self, repeating: 0) }
      let failure = Mutex<DeviceError?>(nil)
      // A GPU's answer comes from a thread of its own.
      let done = Monitor()
      let finished = Mutex(0)
      let submitted = Mutex(0)
      func batch() {
        let number = submitted.withLock { count in
          count += 1
          return count
        }
        instance.run(slot, events: nil) {
          if case .failure(let error) = $0 { failure.withLock { $0 = error } }
          done.lock()
          finished.withLock { $0 = number }
          done.unlock()
          done.signal()
        }
        done.lock()
        while finished.withLock({ $0 }) < number { done.wait() }
        done.unlock()
      }
      batch()
      let (start, cpu) = (MonotonicClock.now, cpuSeconds())
      let deadline = start + TimeSpan(clampingSeconds: seconds)
      var batches = 0
      while MonotonicClock.now < deadline {
        batch()
        batches += 1
      }
      let (length, used) = ((MonotonicClock.now - start).seconds, cpuSeconds() - cpu)
      instance.close()
      if let error = failure.withLock({ $0 }) { throw error }
      let count = Double(max(1, batches * rows))
      return Outcome(requestsPerSecond: count / length, cpuMicrosecondsPerRequest: used / count * 1e6)
    } catch let error as ExperimentError { throw error } catch { throw ExperimentError("device alone: \(error)") }
  }

  private static func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
