import FileAccess
import JSONText
import Testing
import Trace
import TraceFormats

@Suite struct ChromeTraceTests {
  static func write(_ trace: Trace) throws -> (document: JSONValue, events: [JSONValue]) {
    let folder = try TemporaryFolder()
    try ChromeTrace.write(trace, to: folder("trace.json"))
    let document = try JSONValue.parse(try Files.readText(folder("trace.json")))
    return (document, try #require(document["traceEvents"]?.arrayValue))
  }

  static func events(_ events: [JSONValue], _ category: String, _ phase: String = "X") -> [JSONValue] {
    events.filter { $0["cat"]?.stringValue == category && $0["ph"]?.stringValue == phase }
  }

  @Test func everyKindOfEventIsThere() throws {
    let (document, events) = try Self.write(RandomTrace.full())
    #expect(document["displayTimeUnit"]?.stringValue == "ns")
    #expect(document["otherData"]?["kind"]?.stringValue == "simulated")
    #expect(document["otherData"]?["diagnostics"]?.arrayValue?.count == 1)

    let kernel = try #require(Self.events(events, "kernel").first)
    #expect(kernel["name"]?.stringValue == "gemm")
    #expect(kernel["ts"]?.doubleValue == 2.001)
    #expect(kernel["dur"]?.doubleValue == 1.001)
    #expect(kernel["pid"]?.integerValue == 0 && kernel["tid"]?.integerValue == 7)
    let (grid, block): ([Int64], [Int64]) = ([4, 2, 1], [128, 1, 1])
    #expect(kernel["args"]?["grid"]?.arrayValue?.compactMap(\.integerValue) == grid)
    #expect(kernel["args"]?["block"]?.arrayValue?.compactMap(\.integerValue) == block)
    #expect(kernel["args"]?["registers per thread"]?.integerValue == 64)
    #expect(kernel["args"]?["shared memory"]?.integerValue == 0)
    #expect(kernel["args"]?["correlation"]?.integerValue == 5)
    #expect(kernel["args"]?["stream"]?.integerValue == 7 && kernel["args"]?["device"]?.integerValue == 0)

    let copy = try #require(Self.events(events, "gpu_memcpy").first)
    #expect(copy["name"]?.stringValue == "Memcpy HtoD (Pinned -> Device)")
    #expect(copy["args"]?["bytes"]?.integerValue == 64)
    #expect(Self.events(events, "gpu_memset").first?["name"]?.stringValue == "Memset (Device)")
    let call = try #require(Self.events(events, "cuda_runtime").first)
    #expect(call["pid"]?.integerValue == 4711 && call["args"]?["correlation"]?.integerValue == 5)
    #expect(Self.events(events, "os_runtime").first?["name"]?.stringValue == "poll")
    #expect(Self.events(events, "user_annotation").first?["name"]?.stringValue == "step \"1\"")
    let batch = try #require(Self.events(events, "batch").first)
    #expect(batch["args"]?["rows"]?.integerValue == 4 && batch["args"]?["requests"]?.integerValue == 1)
    #expect(batch["args"]?["reason"]?.stringValue == "full")
    #expect(batch["ts"]?.doubleValue == 0.4 && batch["dur"]?.doubleValue == 3.1)
    #expect(Self.events(events, "counter", "C").first?["args"]?["value"]?.doubleValue == 412.5)
    for category in ["request", "client_request"] {
      let (begin, end) = (Self.events(events, category, "b"), Self.events(events, category, "e"))
      #expect(begin.count == 1 && end.count == 1)
      #expect(begin.first?["id"]?.stringValue == "77" && end.first?["id"]?.stringValue == "77")
      #expect((begin.first?["ts"]?.doubleValue ?? 9) < (end.first?["ts"]?.doubleValue ?? 0))
    }

    let start = try #require(Self.events(events, "ac2g", "s").first)
    let finish = try #require(Self.events(events, "ac2g", "f").first)
    #expect(start["id"] == finish["id"] && start["id"]?.integerValue == 5)
    #expect(start["ts"] == call["ts"] && start["pid"] == call["pid"] && start["tid"] == call["tid"])
    #expect(finish["ts"] == kernel["ts"] && finish["pid"] == kernel["pid"] && finish["tid"] == kernel["tid"])
    #expect(finish["bp"]?.stringValue == "e")

    let processes = events.filter { $0["name"]?.stringValue == "process_name" }.compactMap { $0["args"]?["name"]?.stringValue }
    #expect(processes == ["process 4711 /usr/bin/server", "GPU 0: H200 SXM (simulated by headroom)", "serving"])
  }

  /// A viewer loads such a file whole: more than it can is cut at a time, and the cut leaves no arrow without its end.
  @Test func aTraceBeyondTheLimitIsCutAtATime() throws {
    var trace = Trace()
    let stream = trace.intern(StreamDescription(process: GlobalID.process(1), device: 0, context: 1, stream: 7))
    let name = trace.names.intern("k")
    let kernel = trace.intern(KernelDescription(demangledName: name, shortName: name, grid: (1, 1, 1), block: (1, 1, 1)))
    for index in 0..<1000 {
      let start = Int64(index) * 1000
      trace.apiCalls.append(APICall(start: start, end: start + 10, thread: GlobalID.process(1), correlation: Int64(index), name: name))
      trace.kernels.append(
        KernelEvent(start: start + 500, end: start + 600, description: kernel, stream: stream, correlation: Int64(index)))
    }
    let whole = ChromeTraceSize(trace)
    #expect(whole.cutoff == nil && whole.writtenBytes == whole.bytes)
    let size = ChromeTraceSize(trace, limit: whole.bytes / 4)
    #expect(size.bytes == whole.bytes && size.writtenBytes <= whole.bytes / 4 && size.writtenBytes > whole.bytes / 5)
    let folder = try TemporaryFolder()
    try ChromeTrace.write(trace, to: folder("whole.json"))
    try ChromeTrace.write(trace, to: folder("cut.json"), size: size)
    let (all, cut) = (try Files.read(folder("whole.json")).count, try Files.read(folder("cut.json")).count)
    #expect(Double(cut) < 0.3 * Double(all) && Double(cut) > 0.2 * Double(all))
    let events = try #require(try JSONValue.parse(try Files.readText(folder("cut.json")))["traceEvents"]?.arrayValue)
    let cutoff = try #require(size.cutoff)
    #expect(events.allSatisfy { ($0["ts"]?.doubleValue ?? 0) * 1000 <= Double(cutoff) })
    #expect(Self.events(events, "ac2g", "s").count == Self.events(events, "ac2g", "f").count)
    #expect(ChromeTraceSize(Trace(), limit: 1).bytes == 0)
  }

  /// Spans of one track either follow each other or lie one inside the other; else a viewer draws nonsense.
  @Test func spansOfATrackNest() throws {
    var trace = RandomTrace.full()
    let model = trace.names.intern("head")
    // Batches of one instance that overlap: a pipeline.
    for id in Int64(2)..<40 {
      trace.batches.append(
        BatchEvent(id: id, model: model, rows: 1, requests: 1, formed: id * 100, computeStart: id * 100 + 50, computeEnd: id * 100 + 350))
    }
    // Two contexts whose streams have the same number, and work that overlaps.
    for context in Int64(1)...3 {
      let stream = trace.intern(StreamDescription(process: GlobalID.process(4711), device: 0, context: context, stream: 7))
      trace.memsets.append(MemsetEvent(start: 10_000 + context, end: 20_000 + context, stream: stream, bytes: 1))
    }
    struct Place: Hashable {
      var pid: Int64
      var tid: Int64
    }
    var spans: [Place: [(start: Double, end: Double)]] = [:]
    let (_, events) = try Self.write(trace)
    for event in events where event["ph"]?.stringValue == "X" {
      let place = Place(pid: try #require(event["pid"]?.integerValue), tid: try #require(event["tid"]?.integerValue))
      let start = try #require(event["ts"]?.doubleValue)
      spans[place, default: []].append((start, start + (try #require(event["dur"]?.doubleValue))))
    }
    #expect(spans.count == 1 + 3 + 5, "a thread, a stream in each of three contexts, and five batches at once")
    for (place, list) in spans {
      var open: [(start: Double, end: Double)] = []
      for span in list.sorted(by: { ($0.start, -$0.end) < ($1.start, -$1.end) }) {
        while let last = open.last, last.end <= span.start + 1e-6 { open.removeLast() }
        if let last = open.last { #expect(span.end <= last.end + 1e-6, "\(place)") }
        open.append(span)
      }
    }
  }

  @Test func correlationsOfTwoProcessesAreNotJoined() throws {
    var trace = Trace()
    let name = trace.names.intern("k")
    let kernel = trace.intern(KernelDescription(demangledName: name, shortName: name, grid: (1, 1, 1), block: (1, 1, 1)))
    for process in Int64(1)...2 {
      let stream = trace.intern(StreamDescription(process: GlobalID.process(process), device: 0, stream: 7))
      trace.apiCalls.append(
        APICall(
          start: process * 10, end: process * 10 + 5, thread: GlobalID.thread(process: process, thread: 1), correlation: 9, name: name))
      trace.kernels.append(KernelEvent(start: process * 100, end: process * 100 + 5, description: kernel, stream: stream, correlation: 9))
    }
    // A call that launched nothing, and a kernel whose call was not recorded.
    trace.apiCalls.append(APICall(start: 50, end: 51, thread: GlobalID.thread(process: 1, thread: 1), correlation: 10, name: name))
    trace.kernels.append(
      KernelEvent(start: 60, end: 61, description: kernel, stream: StreamID(rawValue: 0), correlation: 1 << 60))
    let (_, events) = try Self.write(trace)
    #expect(Self.events(events, "ac2g", "s").map { $0["id"]?.stringValue } == ["1.9", "2.9"])
    #expect(Self.events(events, "ac2g", "f").map { $0["id"]?.stringValue } == ["1.9", "2.9"])
    // Both processes call their device 0, and process 1 is not a device.
    let devices = Set(Self.events(events, "kernel").compactMap { $0["pid"]?.integerValue })
    #expect(devices.count == 2)
    #expect(devices.isDisjoint(with: [1, 2]))
  }

  @Test func timesKeepTheirNanoseconds() throws {
    var trace = Trace()
    let name = trace.names.intern("f")
    let times: [Int64] = [0, 1, 10, 100, 999, 1000, 1001, -1, -1001, 1_234_567_890_123_456, .max - 1, .min + 1]
    for time in times { trace.osCalls.append(OSCall(start: time, end: time, name: name)) }
    trace.osCalls.append(OSCall(start: Trace.unknown, end: 5, name: name))
    trace.osCalls.append(OSCall(start: 7, end: Trace.unknown, name: name))
    trace.osCalls.append(OSCall(start: .min + 1, end: .max, name: name))
    let folder = try TemporaryFolder()
    try ChromeTrace.write(trace, to: folder("trace.json"))
    let lines = try Files.readText(folder("trace.json")).split(separator: "\n").filter { $0.contains("os_runtime") }
    let written = lines.compactMap { line in
      line.split(separator: ",").first { $0.hasPrefix("\"ts\":") }.map { String($0.dropFirst(5)) }
    }
    let expected = [
      "0", "0.001", "0.010", "0.100", "0.999", "1", "1.001", "-0.001", "-1.001", "1234567890123.456", "9223372036854775.806",
      "-9223372036854775.807", "0.007", "-9223372036854775.807",
    ]
    #expect(written == expected)
  }

  @Test(arguments: 0..<12 as Range<UInt64>) func anyTraceGivesJSON(seed: UInt64) throws {
    let trace = RandomTrace.make(seed: seed, rows: 60)
    let (_, events) = try Self.write(trace)
    #expect(Self.events(events, "kernel").count == trace.kernels.start.count { $0 != Trace.unknown })
    let calls = Self.events(events, "cuda_runtime") + Self.events(events, "cuda_driver")
    #expect(calls.count == trace.apiCalls.start.count { $0 != Trace.unknown })
    #expect(Self.events(events, "ac2g", "f").count <= Self.events(events, "ac2g", "s").count)
    for call in calls { #expect(call["name"]?.stringValue != nil) }
  }

  @Test func textsAreEscaped() throws {
    var trace = Trace()
    let texts = RandomTrace.texts + ["\u{0}\u{1F}\u{7F}", "\r\n", "</script>", "\u{2028}"]
    for text in texts { trace.osCalls.append(OSCall(start: 0, end: 0, name: trace.names.intern(text))) }
    let (_, events) = try Self.write(trace)
    #expect(Self.events(events, "os_runtime").map { $0["name"]?.stringValue.map { Array($0.utf8) } } == texts.map { Array($0.utf8) })
  }

  @Test func aPathThatCannotBeWrittenIsAnError() throws {
    let folder = try TemporaryFolder()
    #expect(throws: FileError.self) { try ChromeTrace.write(Trace(), to: folder("missing/trace.json")) }
  }
}
