import Glibc
import TimeBase
import Trace
import TraceFormats

/// Writing and reading a large trace: `swift run -c release benchmark-trace-store [EVENTS] [FOLDER]`, 10 million events unless told;
/// `benchmark-trace-store --read FILE...` reads anybody's traces (`Benchmarks/Traces/generate.py` writes large ones).
@main
struct Main {
  static func main() throws {
    let arguments = CommandLine.arguments
    if arguments.count > 2, arguments[1] == "--read" {
      for path in arguments.dropFirst(2) {
        var imported: ImportedTrace?
        let read = try ContinuousClock().measure { imported = try TraceImporters.read(path) }
        report("\(path): \(imported?.writer ?? "?")", imported?.trace.rowCount ?? 0, read)
        for note in imported?.notes ?? [] { print("  \(note)") }
      }
      return
    }
    let events = arguments.count > 1 ? Int(arguments[1]) ?? 10_000_000 : 10_000_000
    let path = (arguments.count > 2 ? arguments[2] : ".") + "/benchmark-trace-store.\(getpid())"
    defer {
      unlink(path + ".sqlite")
      unlink(path + ".json")
    }
    let clock = ContinuousClock()
    let trace = makeTrace(events: events)
    report("made", trace.rowCount, .zero)

    let write = try clock.measure { try TraceStore.write(trace, to: path + ".sqlite") }
    report("written, \(fileSize(path + ".sqlite") / 1_000_000) MB", trace.rowCount, write)
    var back = Trace()
    let read = try clock.measure { back = try TraceStore.read(path + ".sqlite") }
    report("read", back.rowCount, read)
    if back != trace {
      print("the trace that was read differs from the one written")
      exit(1)
    }
    back = Trace()
    let chrome = try clock.measure { try ChromeTrace.write(trace, to: path + ".json") }
    report("Chrome JSON, \(fileSize(path + ".json") / 1_000_000) MB", trace.rowCount, chrome)
  }

  static func report(_ what: String, _ rows: Int, _ duration: Duration) {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let seconds = duration / .seconds(1)
    let rate = seconds > 0 ? ", \((Double(rows) / seconds / 1e6 * 100).rounded() / 100) M rows/s" : ""
    print("\(what): \(rows) rows, \((seconds * 100).rounded() / 100) s\(rate), peak memory \(usage.ru_maxrss / 1024) MiB")
  }

  static func fileSize(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Batches of 40 launches of 24 different kernels: of 10 rows 4 are kernels, 4 API calls, 1 an OS call; the last is shared by
  /// requests (5 in 10), client requests (3), batches (1) and copies (1).
  static func makeTrace(events: Int) -> Trace {
    let (kernelCount, rest) = (events * 4 / 10, events / 10)
    var recorder = TraceRecorder(
      kernels: 0, apiCalls: kernelCount, osCalls: rest, requests: rest / 2, batches: rest / 10)
    recorder.trace.kernels.reserveCapacity(kernelCount)
    recorder.setRun(simulated: true)
    recorder.add(GPUDescription(id: 0, cudaDevice: 0, name: "GPU", smCount: 132), simulated: true)
    let kernels = (0..<24).map { index in
      let name = recorder.name("void gemm<float, \(64 << (index % 3)), \(index)>(float const*, float const*, float*)")
      return recorder.kernel(
        KernelDescription(
          demangledName: name, shortName: recorder.name("gemm\(index)"), grid: (Int32(clamping: index * 8 + 1), 4, 1), block: (256, 1, 1),
          registersPerThread: 128, staticSharedMemoryBytes: 1024, dynamicSharedMemoryBytes: 49152))
    }
    let process = GlobalID.process(4711)
    let stream = recorder.stream(StreamDescription(process: process, device: 0, stream: 7))
    let thread = GlobalID.thread(process: 4711, thread: 4712)
    let (launch, poll, model) = (recorder.name("cudaLaunchKernel_v7000"), recorder.name("poll"), recorder.name("head"))
    var random = SplitMix64(seed: 1)
    var now: Int64 = 1_000_000_000_000
    for index in 0..<kernelCount {
      now += Int64(clamping: random.next() % 4000) + 5000
      let correlation = Int64(index + 1)
      recorder.recordAPICall(
        launch, thread: thread, from: Instant(nanoseconds: now - 4000), to: Instant(nanoseconds: now - 1500), correlation: correlation)
      recorder.recordKernel(
        kernels[index % kernels.count], on: stream, from: Instant(nanoseconds: now), to: Instant(nanoseconds: now + 4000),
        correlation: correlation)
      if index % 4 == 0 {
        recorder.recordOSCall(
          poll, thread: thread + 1, from: Instant(nanoseconds: now), to: Instant(nanoseconds: now + 900), returnValue: 1)
      }
      if index % 8 == 0 {
        let id = Int64(index / 8)
        recorder.trace.requests.append(
          RequestEvent(
            id: id, batch: id / 5, model: model, rows: 4, bytesIn: 16_384, bytesOut: 64, received: now - 90_000, parsed: now - 80_000,
            enqueued: now - 70_000, responseStart: now + 300_000, responseEnd: now + 310_000))
        if id % 5 < 3 {
          recorder.trace.clientRequests.append(
            ClientRequestEvent(id: id, intended: now - 150_000, sent: now - 149_000, firstByte: now + 350_000, done: now + 351_000))
        }
        if id % 5 == 0 {
          recorder.trace.batches.append(
            BatchEvent(
              id: id / 5, model: model, rows: 20, requests: 5, reason: recorder.name("queue delay"), formed: now - 60_000,
              gatherStart: now - 50_000, computeStart: now - 10_000, computeEnd: now + 280_000, outputEnd: now + 290_000))
          recorder.recordCopy(
            bytes: 81_920, direction: 1, on: stream, from: Instant(nanoseconds: now - 3000), to: Instant(nanoseconds: now - 1000),
            sourceKind: 1, destinationKind: 2)
        }
      }
    }
    return recorder.trace
  }
}
