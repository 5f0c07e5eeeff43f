import CSQLite
import FileAccess
import Glibc
import Testing
import TimeBase
import Trace
import TraceFormats

/// A folder that lives as long as the object.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/headroom-traces-XXXXXX".utf8CString)
    path = String(cString: try #require(mkdtemp(&template)))
  }

  deinit {
    for name in names { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  /// A path in it.
  func callAsFunction(_ name: String = "trace.sqlite") -> String { "\(path)/\(name)" }

  var names: [String] { (try? Files.entries(of: path)) ?? [] }
}

/// Another program's way into a file: plain SQL. Gives rows of texts, NULL as nil.
@discardableResult
func sql(_ path: String, _ text: String) throws -> [[String?]] {
  var database: OpaquePointer?
  defer { sqlite3_close_v2(database) }
  try #require(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil) == SQLITE_OK)
  final class Rows { var rows: [[String?]] = [] }
  let rows = Rows()
  let code = sqlite3_exec(
    database, text,
    { context, count, values, _ in
      guard let context, let values else { return 1 }
      let row = (0..<Int(count)).map { index in values[index].map { String(cString: $0) } }
      Unmanaged<Rows>.fromOpaque(context).takeUnretainedValue().rows.append(row)
      return 0
    }, Unmanaged.passUnretained(rows).toOpaque(), nil)
  let message = sqlite3_errmsg(database).map { String(cString: $0) } ?? ""
  try #require(code == SQLITE_OK, "\(message) in: \(text)")
  return rows.rows
}

/// Traces that no run would give: every column takes its extremes, unknown among them.
struct RandomTrace {
  var random: SplitMix64
  var rows: Int
  var trace = Trace()

  static let texts = [
    "", " ", "gemm", "\u{E9}", "e\u{301}", "\u{212B}", "\u{C5}", "🧑‍🚀", "a\"b'c\\d", "line\nbreak\ttab\u{1}", "NULL", "42", "-1.5e3",
    "void f<int, float*>(int const&)", "\u{FEFF}bom", "\u{FFFD}", String(repeating: "long ", count: 3000),
  ]

  static func make(seed: UInt64, rows: Int) -> Trace {
    var maker = RandomTrace(random: SplitMix64(seed: seed), rows: rows)
    maker.fill()
    return maker.trace
  }

  mutating func below(_ limit: Int) -> Int { Int(clamping: random.next() % UInt64(clamping: limit)) }

  mutating func int64() -> Int64 {
    switch below(8) {
    case 0: Trace.unknown
    case 1: [0, 1, -1, .max, .min + 1, 1 << 31, 1 << 32, -(1 << 31)][below(8)]
    case 2: Int64(bitPattern: random.next())
    case 3: -Int64(below(1000))
    default: Int64(below(1_000_000))
    }
  }

  mutating func int32() -> Int32 {
    switch below(8) {
    case 0: Trace.unknown32
    case 1: [0, 1, -1, .max, .min + 1][below(5)]
    case 2: Int32(truncatingIfNeeded: random.next())
    default: Int32(clamping: below(100_000))
    }
  }

  mutating func name() -> NameID {
    if below(6) == 0 { return .unknown }
    let text = Self.texts[below(Self.texts.count)]
    return trace.names.intern(below(2) == 0 ? text : "\(text)\(below(50))")
  }

  mutating func stream() -> StreamID {
    if !trace.streams.isEmpty && below(4) > 0 { return StreamID(rawValue: Int32(clamping: below(trace.streams.count))) }
    return trace.intern(StreamDescription(process: int64(), device: int64(), context: int64(), stream: int64()))
  }

  mutating func kernel() -> KernelID {
    if !trace.kernelDescriptions.isEmpty && below(4) > 0 {
      return KernelID(rawValue: Int32(clamping: below(trace.kernelDescriptions.count)))
    }
    var description = KernelDescription(
      demangledName: name(), shortName: name(), mangledName: name(), grid: (int32(), int32(), int32()),
      block: (int32(), int32(), int32()), registersPerThread: int32(), staticSharedMemoryBytes: int32(),
      dynamicSharedMemoryBytes: int32(), localMemoryBytesPerThread: int32(), launchType: int32())
    (description.clusterX, description.clusterY, description.clusterZ) = (int32(), int32(), int32())
    return trace.intern(description)
  }

  /// Rows of a table; some stay empty.
  mutating func count() -> Int { below(4) == 0 ? 0 : below(rows + 1) }

  mutating func fill() {
    // Descriptions, streams and names without rows.
    for _ in 0..<below(5) { _ = (name(), kernel(), stream()) }
    for _ in 0..<below(4) { trace.run["key\(below(9))" + Self.texts[below(10)]] = Self.texts[below(Self.texts.count)] }
    for _ in 0..<below(4) {
      trace.gpus.append(
        GPUDescription(
          id: int64(), cudaDevice: int64(), name: Self.texts[below(Self.texts.count)], smCount: int64(), memoryBandwidth: int64(),
          clockRate: int64(), totalMemoryBytes: int64(), l2CacheBytes: int64(), computeMajor: int64(), computeMinor: int64(),
          maxWarpsPerSM: int64(), maxBlocksPerSM: int64(), maxRegistersPerSM: int64(), maxSharedMemoryBytesPerSM: int64()))
      trace.gpus[trace.gpus.count - 1].threadsPerWarp = int64()
      trace.cudaDevices.append(CUDADeviceMapping(gpu: int64(), cudaDevice: int64(), process: int64()))
      trace.threads.append(ThreadDescription(thread: int64(), name: name()))
      trace.processes.append(ProcessDescription(process: int64(), name: name()))
    }
    for _ in 0..<count() {
      trace.kernels.append(
        KernelEvent(start: int64(), end: int64(), description: kernel(), stream: stream(), correlation: int64(), graphNode: int64()))
    }
    for _ in 0..<count() {
      trace.copies.append(
        CopyEvent(
          start: int64(), end: int64(), stream: stream(), correlation: int64(), bytes: int64(), direction: int32(), sourceKind: int32(),
          destinationKind: int32(), graphNode: int64()))
    }
    for _ in 0..<count() {
      trace.memsets.append(
        MemsetEvent(
          start: int64(), end: int64(), stream: stream(), correlation: int64(), bytes: int64(), value: int64(), memoryKind: int32(),
          graphNode: int64()))
    }
    for _ in 0..<count() {
      trace.synchronizations.append(
        SynchronizationEvent(
          start: int64(), end: int64(), stream: stream(), correlation: int64(), type: int32(), event: int64(),
          recordCorrelation: int64()))
    }
    for _ in 0..<count() {
      trace.graphExecutions.append(
        GraphExecution(start: int64(), end: int64(), stream: stream(), correlation: int64(), graph: int64(), executable: int64()))
    }
    for _ in 0..<count() {
      trace.eventRecords.append(EventRecord(stream: stream(), event: int64(), correlation: int64(), time: int64()))
    }
    for _ in 0..<count() {
      trace.operators.append(
        OperatorEvent(
          start: int64(), end: int64(), thread: int64(), name: name(), kind: OperatorKind(rawValue: UInt8(truncatingIfNeeded: below(3))),
          externalID: int64(),
          inputShapes: name(), inputTypes: name()))
    }
    // The driver's stand before the profiler's, which have no correlation.
    for _ in 0..<count() {
      trace.overheads.append(OverheadEvent(start: int64(), end: int64(), thread: int64(), correlation: int64(), name: name()))
    }
    for _ in 0..<count() {
      trace.overheads.append(OverheadEvent(start: int64(), end: int64(), thread: int64(), name: name(), isProfilers: true))
    }
    (trace.captureStart, trace.captureEnd, trace.clockOrigin) = (int64(), int64(), int64())
    for _ in 0..<count() {
      trace.apiCalls.append(
        APICall(
          start: int64(), end: int64(), thread: int64(), correlation: int64(), name: name(), eventClass: int32(), returnValue: int32()))
    }
    for _ in 0..<count() {
      trace.osCalls.append(
        OSCall(start: int64(), end: int64(), thread: int64(), name: name(), eventClass: int32(), returnValue: int64()))
    }
    for _ in 0..<count() {
      trace.ranges.append(
        RangeEvent(start: int64(), end: int64(), thread: int64(), text: name(), type: int32(), domain: int64(), category: int64()))
    }
    for _ in 0..<count() {
      trace.batches.append(
        BatchEvent(
          id: int64(), model: name(), instance: int32(), rows: int32(), requests: int32(), reason: name(), formed: int64(),
          gatherStart: int64(), computeStart: int64(), computeEnd: int64(), outputEnd: int64()))
    }
    for _ in 0..<count() {
      trace.requests.append(
        RequestEvent(
          id: int64(), batch: int64(), model: name(), rows: int32(), bytesIn: int64(), bytesOut: int64(), received: int64(),
          parsed: int64(), enqueued: int64(), responseStart: int64(), responseEnd: int64(), status: RequestStatus(rawValue: int32())))
    }
    for _ in 0..<count() {
      trace.clientRequests.append(
        ClientRequestEvent(
          id: int64(), intended: int64(), sent: int64(), firstByte: int64(), done: int64(), status: RequestStatus(rawValue: int32())))
    }
    for _ in 0..<count() { trace.launches.append(LaunchEvent(correlation: int64(), batch: int64(), step: int32())) }
    for _ in 0..<count() {
      let values = [0, 1, -2.5, 1e300, 0x1p-1074, 1e15 + 0.5, .infinity, random.nextUnitDouble()]
      trace.counters.append(CounterSample(time: int64(), counter: name(), device: int64(), value: values[below(values.count)]))
    }
    for _ in 0..<count() { trace.diagnostics.append(DiagnosticEvent(time: int64(), severity: int32(), text: name())) }
  }

  /// One row in every table.
  static func full() -> Trace {
    var recorder = TraceRecorder()
    recorder.setRun(simulated: true)
    recorder.add(GPUDescription(id: 0, cudaDevice: 0, name: "H200 SXM", smCount: 132), simulated: true)
    recorder.trace.cudaDevices.append(CUDADeviceMapping(gpu: 0, cudaDevice: 0))
    let name = recorder.name("gemm")
    let kernel = recorder.kernel(
      KernelDescription(demangledName: name, shortName: name, grid: (4, 2, 1), block: (128, 1, 1), registersPerThread: 64))
    let process = GlobalID.process(4711)
    let stream = recorder.stream(StreamDescription(process: process, device: 0, stream: 7))
    let thread = GlobalID.thread(process: 4711, thread: 4711)
    func at(_ nanoseconds: Int64) -> Instant { Instant(nanoseconds: nanoseconds) }
    recorder.recordAPICall(recorder.name("cudaLaunchKernel_v7000"), thread: thread, from: at(1000), to: at(1800), correlation: 5)
    recorder.recordKernel(kernel, on: stream, from: at(2001), to: at(3002), correlation: 5)
    recorder.recordCopy(
      bytes: 64, direction: 1, on: stream, from: at(500), to: at(900), correlation: 4, sourceKind: 1, destinationKind: 2)
    recorder.recordOSCall(recorder.name("poll"), thread: thread, from: at(4000), to: at(5000))
    recorder.trace.threads.append(ThreadDescription(thread: thread, name: recorder.name("instance 0")))
    recorder.trace.processes.append(ProcessDescription(process: process, name: recorder.name("/usr/bin/server")))
    recorder.recordLaunch(correlation: 5, batch: 1, step: 0)
    recorder.trace.memsets.append(MemsetEvent(start: 100, end: 200, stream: stream, bytes: 8, memoryKind: 2))
    recorder.trace.synchronizations.append(SynchronizationEvent(start: 4000, end: 4500, stream: stream, type: 3))
    recorder.trace.ranges.append(RangeEvent(start: 900, end: 5100, thread: thread, text: recorder.name("step \"1\"")))
    recorder.trace.batches.append(
      BatchEvent(
        id: 1, model: recorder.name("head"), rows: 4, requests: 1, reason: recorder.name("full"), formed: 300, gatherStart: 400,
        computeStart: 950, computeEnd: 3002, outputEnd: 3500))
    recorder.trace.requests.append(
      RequestEvent(
        id: 77, batch: 1, model: recorder.name("head"), rows: 4, bytesIn: 10, bytesOut: 20, received: 50, parsed: 60, enqueued: 70,
        responseStart: 3600, responseEnd: 3700))
    recorder.trace.clientRequests.append(ClientRequestEvent(id: 77, intended: 10, sent: 20, firstByte: 3800, done: 3900))
    recorder.trace.counters.append(CounterSample(time: 1000, counter: recorder.name("power, W"), device: 0, value: 412.5))
    return recorder.trace
  }
}
