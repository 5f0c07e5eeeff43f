import CheckedNumbers

/// Files that people have and that are no trace read here: what each is, and what to do with it. By content, never by name.
struct KnownFile {
  /// "an Nsight Compute report".
  var title: String
  /// What to type instead.
  var remedy: String

  /// What the first bytes are of; nil for what is not known.
  init?(_ head: [UInt8]) {
    let text = head.prefix(4096)
    func begins(_ bytes: [UInt8]) -> Bool { text.starts(with: bytes) }
    func holds(_ mark: String) -> Bool { text.firstRange(of: Array(mark.utf8)) != nil }
    if let encoding = Self.wideEncoding(head) {
      self.init("text in \(encoding)", "Convert it: iconv -f \(encoding) -t UTF-8 FILE | headroom explain -")
    } else if begins([0x1F, 0x8B]) {
      self.init("gzip inside gzip", "Uncompress it once: gunzip -c FILE | headroom explain -")
    } else if begins([0x50, 0x4B, 3, 4]) {
      self.init("a zip archive", "Unpack it: unzip FILE, then explain the trace in it")
    } else if begins([0x28, 0xB5, 0x2F, 0xFD]) {
      self.init("compressed by zstd", "Uncompress it: zstdcat FILE | headroom explain -")
    } else if begins([0xFD, 0x37, 0x7A, 0x58, 0x5A]) {
      self.init("compressed by xz", "Uncompress it: xzcat FILE | headroom explain -")
    } else if begins(Array("BZh".utf8)) {
      self.init("compressed by bzip2", "Uncompress it: bzcat FILE | headroom explain -")
    } else if head.count > 262, head[257..<262].elementsEqual("ustar".utf8) {
      self.init("a tar archive", "Unpack it: tar -xf FILE, then explain the folder of traces")
    } else if begins(Array("NVR\0".utf8)) {
      self.init(
        "an Nsight Compute report: counters inside single kernels, no time line",
        "Record one: nsys profile --trace=cuda,nvtx,osrt -- COMMAND")
    } else if begins(Array("PAR1".utf8)) {
      self.init("a Parquet file", "Export SQLite instead: nsys export --type sqlite report.nsys-rep")
    } else if begins([0x89, 0x48, 0x44, 0x46]) {
      self.init("an HDF5 file", "Export SQLite instead: nsys export --type sqlite report.nsys-rep")
    } else if holds("/device:GPU:") || holds("/host:CPU") || holds("XLA Ops") {
      self.init(
        "an XSpace (xplane.pb) of JAX or TensorFlow",
        "The same folder holds HOST.trace.json.gz (jax.profiler.trace with create_perfetto_trace=True): that is read")
    } else if Self.isPerfetto(text) {
      self.init(
        "a Perfetto trace in protocol buffers",
        "Convert it: traceconv json FILE trace.json (get.perfetto.dev/traceconv); or write torch.profiler's export_chrome_trace")
    } else if holds("ir_version") || begins([0x08]) && (holds("pytorch") || holds("onnx") || holds("tf2onnx")) {
      self.init("an ONNX model", "headroom plan FILE --gpu NAME says what it costs; beside a trace: --onnx FILE")
    } else if let table = Self.table(text) {
      self = table
    } else if let document = Self.document(text) {
      self = document
    } else {
      return nil
    }
  }

  private init(_ title: String, _ remedy: String) { (self.title, self.remedy) = (title, remedy) }

  private static func wideEncoding(_ head: [UInt8]) -> String? {
    if head.starts(with: [0xFF, 0xFE, 0, 0]) || head.starts(with: [0, 0, 0xFE, 0xFF]) { return "UTF-32" }
    if head.starts(with: [0xFF, 0xFE]) || head.starts(with: [0xFE, 0xFF]) { return "UTF-16" }
    guard head.count >= 16 else { return nil }
    // ASCII in sixteen bits without a mark: every second byte is zero.
    func areZero(_ from: Int) -> Bool { stride(from: from, to: 16, by: 2).allSatisfy { head[$0] == 0 } }
    func areText(_ from: Int) -> Bool { stride(from: from, to: 16, by: 2).allSatisfy { (9...126).contains(head[$0]) } }
    if areZero(1), areText(0) { return "UTF-16LE" }
    return areZero(0) && areText(1) ? "UTF-16BE" : nil
  }

  /// Packets (field 1, length-delimited) behind each other from the first byte on.
  private static func isPerfetto(_ head: ArraySlice<UInt8>) -> Bool {
    var index = head.startIndex
    var packets = 0
    while index < head.endIndex, packets < 8 {
      guard head[index] == 0x0A else { return false }
      index += 1
      var (length, shift) = (0, 0)
      while true {
        guard index < head.endIndex, shift < 28 else { return packets >= 3 }
        let byte = head[index]
        index += 1
        length |= Int(byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 { break }
      }
      index += length
      packets += 1
    }
    return packets >= 3
  }

  /// Tables of comma-separated values, by their first line.
  private static func table(_ head: ArraySlice<UInt8>) -> KnownFile? {
    let line = String(decoding: head.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
    func has(_ columns: String...) -> Bool { columns.allSatisfy { line.contains($0) } }
    if has("Kernel_Name", "Start_Timestamp") || has("KernelName", "BeginNs") || has("Function", "Correlation_Id", "Start_Timestamp") {
      return KnownFile(
        "a table of rocprof's: kernels or calls alone, which no launch joins",
        "Record both in one file: torch.profiler's export_chrome_trace (its AMD traces are read)")
    }
    if has("Time (%)", "Total Time") || has("Time(%)", "Total Time") {
      return KnownFile(
        "a summary of nsys stats: sums have lost the times",
        "Explain the export it was made of: headroom explain report.sqlite --report NAME prints the same table")
    }
    if has("Requests/s", "Name") || has("Inferences/Second") {
      return KnownFile("a load generator's result", "It stands beside a trace: headroom explain TRACE --load FILE")
    }
    if has("utilization.gpu") || line.hasPrefix("# gpu") || line.hasPrefix("#gpu") {
      return KnownFile("nvidia-smi's table", "It stands beside a trace: headroom explain TRACE --gpu-metrics FILE")
    }
    let first = line.trimmed
    if first.hasPrefix("# HELP") || first.hasPrefix("# TYPE") {
      return KnownFile(
        "a Prometheus page",
        "A DCGM exporter's stands beside a trace: --gpu-metrics FILE; a server's: --triton-metrics before.txt,after.txt")
    }
    if first.lowercased().hasPrefix("<!doctype html") || first.hasPrefix("<html") {
      return KnownFile("a web page", "Was the address of a page saved in place of the file?")
    }
    if line.contains("Running "), line.contains(" test @ ") || line.hasPrefix("This is ApacheBench") {
      return KnownFile("a load generator's report", "It stands beside a trace: headroom explain TRACE --load FILE")
    }
    return nil
  }

  /// JSON without events, by its members.
  private static func document(_ head: ArraySlice<UInt8>) -> KnownFile? {
    guard let first = head.first(where: { $0 > 0x20 }), first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return nil }
    func holds(_ names: String...) -> Bool { names.contains { head.firstRange(of: Array("\"\($0)\"".utf8)) != nil } }
    if holds("rocprofiler-sdk-tool") {
      return KnownFile(
        "rocprofv3's JSON: records without events", "Record with torch.profiler's export_chrome_trace (its AMD traces are read)")
    }
    if holds("http_req_duration", "http_reqs", "latencies", "experiments", "request_throughput") {
      return KnownFile("a load generator's result", "It stands beside a trace: headroom explain TRACE --load FILE")
    }
    if holds("model_stats") {
      return KnownFile(
        "Triton's statistics",
        "Two of them are explained without a trace: headroom explain --triton-stats before.json,after.json --observed-seconds S")
    }
    if holds("timestamps", "QUEUE_START") {
      return KnownFile("Triton's request trace", "It stands beside a trace: headroom explain TRACE --triton-trace FILE")
    }
    return nil
  }
}

extension String {
  fileprivate var trimmed: Substring { drop { $0 == " " || $0 == "\t" } }
}
