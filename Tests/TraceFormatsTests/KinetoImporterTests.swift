import FileAccess
import Testing
import Trace
@testable import TraceFormats

/// Trace events in JSON, as several years of PyTorch wrote them.
@Suite struct KinetoImporterTests {
  /// Reads a document.
  static func read(_ text: String) throws -> ImportedTrace {
    let folder = try TemporaryFolder()
    try Files.write(folder("trace.json"), text)
    return try TraceImporters.read(folder("trace.json"))
  }

  static let kernel = """
    {"ph": "X", "cat": "kernel", "name": "void at::native::f<4, G<float>>(int, G<float>)", "pid": 0, "tid": 7, "ts": 1000.5, "dur": 2.25,
     "args": {"External id": 3, "device": 0, "context": 1, "stream": 7, "correlation": 11, "registers per thread": 32,
      "shared memory": 4096, "blocks per SM": 0.5, "grid": [66, 1, 1], "block": [128, 2, 1], "est. achieved occupancy %": 7}}
    """
  static let launch = """
    {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 500, "tid": 501, "ts": 990, "dur": 4.001,
     "args": {"External id": 3, "cbid": 211, "correlation": 11}}
    """
  static let properties = """
    [{"id": 0, "name": "NVIDIA H100", "totalGlobalMem": 85017493504, "computeMajor": 9, "computeMinor": 0, "warpSize": 32,
      "maxThreadsPerMultiprocessor": 2048, "regsPerMultiprocessor": 65536, "sharedMemPerMultiprocessor": 233472, "numSms": 132}]
    """

  @Test func anObjectWithItsFactsAndEventsIsRead() throws {
    let imported = try Self.read(
      """
      {"schemaVersion": 1, "deviceProperties": \(Self.properties), "distributedInfo": {"backend": "nccl", "rank": 3, "world_size": 8},
       "baseTimeNanoseconds": 1751410836000000000, "traceEvents": [\(Self.kernel), \(Self.launch)], "traceName": "x"}
      """)
    let trace = imported.trace
    #expect(imported.format == .kineto)
    let kernel = try #require(trace.kernels.first)
    #expect(kernel.start == 1_000_500 && kernel.end == 1_002_750 && kernel.correlation == 11)
    let description = trace[kernel.description]
    #expect(trace.names[description.shortName] == "f")
    #expect(description.blockCount == 66 && description.threadsPerBlock == 256 && description.registersPerThread == 32)
    #expect(description.dynamicSharedMemoryBytes == 4096)
    let stream = trace[kernel.stream]
    #expect(stream == StreamDescription(process: GlobalID.process(500), device: 0, context: 1, stream: 7))
    #expect(trace.apiCalls.first?.thread == GlobalID.thread(process: 500, thread: 501))
    #expect(trace.apiCalls.first.map { $0.end - $0.start } == 4001)
    let gpu = try #require(trace.gpu(of: stream))
    #expect(gpu.name == "NVIDIA H100" && gpu.smCount == 132 && gpu.maxWarpsPerSM == 64 && gpu.computeMajor == 9)
    #expect(trace.run["rank"] == "3" && trace.run["worldSize"] == "8")
    #expect(trace.clockOrigin == 1_751_410_836_000_000_000)
    #expect(CorrelationIndex(trace).apiCall(process: stream.process, correlation: 11) == 0)
  }

  @Test func spansInTwoEventsAreRead() throws {
    let imported = try Self.read(
      """
      {"traceEvents": [
        {"ph": "B", "cat": "cpu_op", "name": "outer", "pid": 5, "tid": 6, "ts": 10},
        {"ph": "B", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 5, "tid": 6, "ts": 11, "args": {"correlation": 9}},
        {"ph": "E", "pid": 5, "tid": 6, "ts": 13.5},
        {"ph": "B", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": 14, "args": {"device": 0, "stream": 7, "correlation": 9}},
        {"ph": "E", "pid": 5, "tid": 6, "ts": 20},
        {"ph": "E", "pid": 0, "tid": 7, "ts": 19},
        {"ph": "E", "pid": 5, "tid": 6, "ts": 21},
        {"ph": "B", "cat": "user_annotation", "name": "never ended", "pid": 5, "tid": 6, "ts": 30},
        {"ph": "B", "cat": "user_annotation", "name": "ends before it begins", "pid": 5, "tid": 8, "ts": 30},
        {"ph": "E", "pid": 5, "tid": 8, "ts": 3}
      ]}
      """)
    let trace = imported.trace
    #expect(trace.apiCalls.first.map { [$0.start, $0.end, $0.correlation] } == [11_000, 13_500, 9])
    #expect(trace.kernels.first.map { [$0.start, $0.end] } == [14_000, 19_000])
    #expect(trace.operators.first.map { [$0.start, $0.end] } == [10_000, 20_000])
    #expect(trace.ranges.allSatisfy { $0.start == $0.end } && trace.ranges.count == 2)
    // An end too many and a begin too many.
    #expect(imported.notes.contains { $0.kind == .incomplete && $0.text.hasPrefix("2 spans") })
  }

  @Test func aListAtTopLevelWithOldNamesAndWholeMicrosecondsIsRead() throws {
    let imported = try Self.read(
      """
      [{"ph": "X", "cat": "Kernel", "name": "k", "pid": 0, "tid": "stream 7", "ts": 1606910596288085, "dur": 379,
        "args": {"device": 0, "context": 1, "stream": 7, "correlation": 60032, "external id": 0, "grid": [4, 8, 32], "block": [8, 32, 1]}},
       {"ph": "X", "cat": "Memcpy", "name": "Memcpy HtoD (Pageable -> Device)", "pid": 0, "tid": "stream 9", "ts": 1606910596350714,
        "dur": 2353, "args": {"bytes": 19267584}},
       {"ph": "X", "cat": "Memset", "name": "Memset (Device)", "pid": 0, "tid": "stream 7", "ts": 1606910596289451, "dur": 1, "args": {}},
       {"ph": "X", "cat": "Runtime", "name": "cudaMemcpyAsync", "pid": "67844", "tid": "4093687616", "ts": "1606910596350464", "dur": 2494,
        "args": {"correlation": 65460}},
       {"ph": "s", "id": 1, "pid": 67844, "tid": 4093687616, "ts": 1606910596350464, "cat": "async", "name": "launch"},
       {"ph": "X", "cat": "Operator", "name": "aten::empty", "pid": 67844, "tid": 4093687616, "ts": 1606910596297023, "dur": 13,
        "args": {"Input dims": [[50, 1024], [], [3]], "External id": 2}}]
      """)
    let trace = imported.trace
    #expect(trace.kernels.start == [1_606_910_596_288_085_000])
    let copy = try #require(trace.copies.first)
    #expect(copy.direction == 1 && copy.sourceKind == 0 && copy.destinationKind == 2 && copy.bytes == 19_267_584)
    #expect(trace[copy.stream].stream == 9 && trace[copy.stream].device == 0)
    #expect(trace.memsets.count == 1 && trace.memsets.first?.memoryKind == 2)
    // Numbers in quotes and out of them are the same thread.
    #expect(trace.apiCalls.thread == trace.operators.thread)
    let shapes = try #require(trace.names[trace.operators.inputShapes[0]])
    #expect(OperatorShapes.parse(shapes) == [[50, 1024], [], [3]])
    #expect(imported.notes.contains { $0.kind == .resolution })
    #expect(trace.run["timeResolutionNanoseconds"] == "1000")
  }

  @Test func annotationsAndSynchronizationsOnGPUTracksAreNoWork() throws {
    let imported = try Self.read(
      """
      {"traceEvents": [\(Self.kernel), \(Self.launch),
       {"ph": "X", "cat": "gpu_user_annotation", "name": "step", "pid": 0, "tid": 7, "ts": 0, "dur": 9000, "args": {"External id": 1}},
       {"ph": "X", "cat": "user_annotation", "name": "step", "pid": 500, "tid": 501, "ts": 1, "dur": 9000, "args": {}},
       {"ph": "X", "cat": "cuda_sync", "name": "Event Sync", "pid": 0, "tid": 7, "ts": 1, "dur": 5000,
        "args": {"cuda_sync_kind": "Event Sync", "stream": 7, "correlation": 12, "device": 0, "context": 1,
         "wait_on_cuda_event_record_corr_id": 9, "wait_on_cuda_event_id": 4}}]}
      """)
    let trace = imported.trace
    #expect(trace.kernels.count == 1 && trace.copies.isEmpty && trace.memsets.isEmpty)
    #expect(trace.ranges.type == [1000, 59] && trace.ranges.thread[0] == Trace.unknown)
    let sync = try #require(trace.synchronizations.first)
    #expect(sync.type == 1 && sync.event == 4 && sync.recordCorrelation == 9)
    #expect(imported.notes.contains { $0.kind == .notWork && $0.text.hasPrefix("1 annotations") })
  }

  @Test func workWithoutItsLaunchCountsAndIsReported() throws {
    let imported = try Self.read("{\"traceEvents\": [\(Self.kernel)]}")
    #expect(imported.trace.kernels.count == 1)
    #expect(imported.notes.contains { $0.kind == .unlinkedDeviceWork })
  }

  @Test func HIPNamesAndMissingGeometryAreRead() throws {
    let imported = try Self.read(
      """
      {"deviceProperties": [{"id": 0, "name": "", "warpSize": 64, "maxThreadsPerMultiprocessor": 2048, "numSms": 304,
         "maxSharedMemoryPerMultiProcessor": 65536}], "traceEvents": [
       {"ph": "X", "cat": "cuda_runtime", "name": "hipGraphLaunch", "pid": 851, "tid": 851, "ts": 1.5, "dur": 2.19,
        "args": {"cid": 60, "correlation": 5, "bytes": "9216"}},
       {"ph": "X", "cat": "kernel", "name": "triton_poi_fused_0", "pid": 2, "tid": 0, "ts": 10.281, "dur": 10.598,
        "args": {"device": 2, "stream": 0, "correlation": 5, "kind": "Dispatch Task"}},
       {"ph": "X", "cat": "kernel", "name": "triton_poi_fused_1", "pid": 2, "tid": 0, "ts": 30, "dur": 1,
        "args": {"device": 2, "stream": 0, "correlation": 5, "kind": "Dispatch Task"}},
       {"ph": "X", "cat": "gpu_memcpy", "name": "CopyDeviceToHost", "pid": 2, "tid": 0, "ts": 50, "dur": 1,
        "args": {"device": 2, "stream": 0, "correlation": 6, "kind": "DtoH", "bytes": 9216}}]}
      """)
    let trace = imported.trace
    #expect(trace.kernels.count == 2 && trace[trace.kernels[0].description].gridX == Trace.unknown32)
    #expect(trace[trace.kernels[0].stream].device == 2 && trace[trace.kernels[0].stream].context == Trace.unknown)
    #expect(trace.copies.first?.direction == 2)
    #expect(trace.gpus.first?.threadsPerWarp == 64 && trace.gpus.first?.maxWarpsPerSM == 32)
    let index = CorrelationIndex(trace)
    #expect(index.apiCall(process: trace[trace.kernels[1].stream].process, correlation: 5) == 0)
  }

  @Test func blocksPerSMTellHowManyMultiprocessorsThereAre() throws {
    let imported = try Self.read("{\"traceEvents\": [\(Self.kernel), \(Self.launch)]}")
    #expect(imported.trace.gpu(of: imported.trace.streams[0])?.smCount == 132)
  }

  @Test func compressedTextIsReadLikePlain() throws {
    let folder = try TemporaryFolder()
    let text = Array("{\"traceEvents\": [\(Self.kernel), \(Self.launch)]}".utf8)
    // Stored blocks need no compressor: one member per half, as concatenated files have them.
    let half = text.count / 2
    try Files.write(folder("t.bin"), Gzip.stored(Array(text[..<half])) + Gzip.stored(Array(text[half...])) + [0, 0, 0])
    let imported = try TraceImporters.read(folder("t.bin"))
    #expect(imported.trace.kernels.count == 1 && imported.trace.apiCalls.count == 1)
    #expect(!imported.notes.contains { $0.kind == .incomplete })
  }

  // MARK: Broken

  @Test func aFileThatEndsEarlyGivesWhatCameBefore() throws {
    for cut in [
      "{\"traceEvents\": [\(Self.kernel), {\"ph\": \"X\", \"name\": \"unfin", "{\"traceEvents\": [\(Self.kernel)", "[\(Self.kernel),",
    ] {
      let imported = try Self.read(cut)
      #expect(imported.trace.kernels.count == 1)
      let note = try #require(imported.notes.first { $0.kind == .incomplete })
      #expect(note.text.contains("1 events were read"))
    }
  }

  /// Every cut of a document: an error or what came before it, and an end.
  @Test func everyCutOfADocumentIsRead() throws {
    let text = Array(
      "\u{1F}{\"deviceProperties\": \(Self.properties), \"traceEvents\": [\(Self.kernel), \(Self.launch)], \"traceName\": \"x\"}".utf8)
    var kernels = 0
    for cut in text.indices {
      let source = TraceSource(bytes: Array(text[..<cut]), path: "x")
      guard let imported = try? KinetoImporter().read(source, ImportOptions()) else { continue }
      #expect(imported.notes.contains { $0.kind == .incomplete }, "\(cut) bytes")
      #expect(imported.trace.kernels.count >= kernels && imported.trace.kernels.count <= 1)
      kernels = imported.trace.kernels.count
    }
    #expect(kernels == 1)
  }

  @Test func aTruncatedGzipGivesWhatCameBefore() throws {
    let folder = try TemporaryFolder()
    let text = "{\"traceEvents\": [" + (0..<400).map { _ in Self.kernel }.joined(separator: ",") + "]}"
    let whole = Gzip.stored(Array(text.utf8))
    try Files.write(folder("t.json.gz"), Array(whole[..<(whole.count / 2)]))
    let imported = try TraceImporters.read(folder("t.json.gz"))
    #expect(imported.trace.kernels.count > 100 && imported.trace.kernels.count < 400)
    #expect(imported.notes.contains { $0.kind == .incomplete && $0.text.contains("gzip") })
  }

  @Test func eventsThatCannotBeAreSkippedAndCounted() throws {
    let imported = try Self.read(
      """
      {"traceEvents": [
       {"ph": "X", "cat": "kernel", "name": "a", "ts": "soon", "dur": 1, "args": {}},
       {"ph": "X", "cat": "kernel", "name": "b", "ts": 5, "dur": -1, "args": {}},
       {"ph": "X", "cat": "kernel", "name": "c", "ts": 5, "dur": 1000000000000000, "args": {}},
       {"ph": "X", "cat": "kernel", "name": "d", "ts": 1e400, "dur": 1, "args": {}},
       {"ph": "X", "cat": "kernel", "name": "e", "ts": 9223372036854775, "dur": 9223372036854775, "args": {}},
       {"ph": "X" "cat": 5}, 17, "text", null, [1, [2, {"x": "]"}]], {},
       \(Self.kernel), \(Self.launch)]}
      """)
    #expect(imported.trace.kernels.count == 1)
    #expect(imported.notes.contains { $0.kind == .impossibleTimes && $0.text.hasPrefix("3 events") })
    #expect(imported.notes.contains { $0.kind == .unreadable && $0.text.hasPrefix("5 events could not be read; the first at byte") })
    #expect(imported.notes.contains { $0.kind == .unreadable && $0.text.hasPrefix("2 events have no usable time") })
  }

  @Test func aRowFarFromAllOthersIsPassedOver() throws {
    let far = Self.kernel.replacing("\"ts\": 1000.5", with: "\"ts\": 9000000000000000")
    let imported = try Self.read("{\"traceEvents\": [\(far), \(Self.kernel), \(Self.kernel), \(Self.launch)]}")
    #expect(imported.trace.kernels.count == 2)
    #expect(imported.notes.contains { $0.kind == .impossibleTimes })
  }

  /// Read through windows of every small size the trace is the same: events are cut anywhere.
  @Test func theWindowDoesNotShow() throws {
    let text =
      "{\"deviceProperties\": \(Self.properties), \"traceEvents\": [\(Self.kernel), \(Self.launch), 5, \(Self.kernel)], \"x\": [1, {\"y\": \"]\"}]}"
    let whole = try Self.read(text).trace
    #expect(whole.kernels.count == 2)
    for size in [16, 17, 64, 100, 333, 500, 1024] {
      var reader = try KinetoReader(TraceSource(bytes: Array(text.utf8), path: "x"), ImportOptions(), windowBytes: size)
      #expect(try reader.read().trace == whole, "a window of \(size) bytes")
    }
  }

  @Test func aVeryLongEventIsPassedOverInLittleMemory() throws {
    let long =
      "{\"ph\": \"X\", \"cat\": \"kernel\", \"ts\": 1, \"dur\": 1, \"name\": \"" + String(repeating: "x\\\"", count: 100_000) + "\"}"
    let text = "{\"traceEvents\": [\(long), \(Self.kernel), \(Self.launch)]}"
    var reader = try KinetoReader(
      TraceSource(bytes: Array(text.utf8), path: "x"), ImportOptions(), windowBytes: 1 << 12, longestValueBytes: 1 << 14)
    let imported = try reader.read()
    #expect(imported.trace.kernels.count == 1)
    #expect(imported.notes.contains { $0.kind == .unreadable && $0.text.contains("more than 16384 bytes") })
  }

  @Test func whatIsNoTraceIsAnErrorThatSaysSo() throws {
    let folder = try TemporaryFolder()
    func reason(_ bytes: [UInt8]) throws -> String? {
      try Files.write(folder("x"), bytes)
      do { _ = try TraceImporters.read(folder("x")) } catch { return error.reason }
      return nil
    }
    #expect(try reason([]) == "empty")
    #expect(try reason(Array("hello".utf8)) == "text, not a trace")
    #expect(try reason(Array("{\"a\": 1}".utf8)) == "JSON without trace events, not a trace")
    #expect(try reason(Array("{\"deviceProperties\": [], \"b\": \"x\"}".utf8)) == "JSON without traceEvents; it has deviceProperties, b")
    #expect(try reason([0x1F, 0x8B, 8, 0, 1, 2]) == "a gzip stream that cannot be uncompressed, not a trace")
  }

  @Test func shortNamesAreThoseOfNsight() {
    let names = [
      "nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_bias_TNN": "nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_bias_TNN",
      "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<c10::Half>>(int, F)": "vectorized_elementwise_kernel",
      "void at::native::(anonymous namespace)::indexSelectLargeIndex<c10::BFloat16, 2>(T<(int)2>, int)": "indexSelectLargeIndex",
      "gpukernel(float*, int)": "gpukernel", "void f<A::operator()(int)::{lambda()#1}>(int)": "f", "": "", "()": "()",
    ]
    for (name, short) in names { #expect(KernelNames.short(name) == short, "\(name)") }
  }

  @Test func workOnTheTracksOfAJAXProfileIsRead() throws {
    // As tsl writes it: no categories; tracks that repeat the work by operator are not more work.
    let imported = try Self.read(
      #"""
      {"displayTimeUnit": "ns", "metadata": {"highres-ticks": true}, "traceEvents": [
       {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "/device:GPU:3"}},
       {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": "Stream #14(Compute)"}},
       {"ph": "M", "pid": 1, "tid": 9, "name": "thread_name", "args": {"name": "XLA Ops"}},
       {"ph": "M", "pid": 701, "name": "process_name", "args": {"name": "/host:CPU"}},
       {"ph": "X", "pid": 701, "tid": 5, "ts": 10.0, "dur": 3.0, "name": "cuLaunchKernel", "args": {"correlation_id": "41"}},
       {"ph": "X", "pid": 701, "tid": 5, "ts": 10.0, "dur": 30.0, "name": "PjitFunction(f)"},
       {"ph": "X", "pid": 1, "tid": 1, "ts": 20.5, "dur": 30.0, "name": "loop_add_fusion",
        "args": {"correlation_id": "41", "kernel_details": "regs:32 static_shared:16 dynamic_shared:1024 grid:108,2,1 block:256,1,1 occ_pct:100"}},
       {"ph": "X", "pid": 1, "tid": 9, "ts": 20.5, "dur": 30.0, "name": "fusion.3"},
       {"ph": "X", "pid": 1, "tid": 1, "ts": 60.5, "dur": 2.0, "name": "MemcpyD2H", "args": {"correlation_id": "42"}}]}
      """#)
    let trace = imported.trace
    #expect(trace.kernels.count == 1 && trace.copies.count == 1 && trace.apiCalls.count == 1 && trace.ranges.count == 2)
    let kernel = try #require(trace.kernels.first)
    #expect(kernel.start == 20_500 && kernel.end == 50_500 && trace[kernel.stream].device == 3)
    let description = trace[kernel.description]
    #expect(description.blockCount == 216 && description.registersPerThread == 32 && description.dynamicSharedMemoryBytes == 1040)
    #expect(CorrelationIndex(trace).apiCall(process: trace[kernel.stream].process, correlation: 41) == 0)
    #expect(trace.copies.direction.first == 2)
  }

  @Test func aTextThatEndsInsideAnEventSaysSoOnce() throws {
    let imported = try Self.read(#"{"traceEvents": [\#(Self.kernel), {"ph": "X", "cat": "kernel", "na"#)
    #expect(imported.trace.kernels.count == 1)
    let damage = imported.notes.filter { $0.kind == .incomplete || $0.kind == .unreadable }
    #expect(damage.count == 1 && damage.first?.text.hasPrefix("the text ends inside an event") == true)
  }

  @Test func anEventThatIsNoJSONIsPassedOver() throws {
    let imported = try Self.read(#"{"traceEvents": [{"ph": "X" "cat": "kernel"}, \#(Self.kernel)]}"#)
    #expect(imported.trace.kernels.count == 1)
    #expect(imported.notes.contains { $0.text.hasPrefix("1 events could not be read") && $0.text.contains("at byte 17") })
  }

  @Test func documentsWithoutAListOfEventsSayWhatToDo() throws {
    let null = #expect(throws: TraceImportError.self) { try Self.read(#"{"traceEvents": null}"#) }
    #expect(null?.reason == "traceEvents is no list of events")
    let lines = #expect(throws: TraceImportError.self) { try Self.read("\(Self.launch)\n\(Self.launch)") }
    #expect(lines?.remedy?.contains("jq -s .") == true)
  }
}

/// Gzip members without compression (RFC 1951, 3.2.4; RFC 1952).
enum Gzip {
  static func stored(_ content: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]
    var rest = content[...]
    repeat {
      let block = rest.prefix(65535)
      rest = rest.dropFirst(65535)
      let count = UInt16(clamping: block.count)
      bytes += [
        rest.isEmpty ? 1 : 0, UInt8(truncatingIfNeeded: count), UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: ~count),
        UInt8(truncatingIfNeeded: ~count >> 8),
      ]
      bytes += block
    } while !rest.isEmpty
    var crc: UInt32 = ~0
    for byte in content {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    for value in [~crc, UInt32(truncatingIfNeeded: content.count)] {
      for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
    return bytes
  }
}
