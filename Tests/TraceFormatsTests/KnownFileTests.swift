import FileAccess
import Testing

@testable import TraceFormats

/// Files that people have and that are no trace: each is named, with what to do.
@Suite struct KnownFileTests {
  static func wide(isLittle: Bool) -> [UInt8] {
    Array("{\"traceEvents\": []}".utf8).flatMap { (byte: UInt8) -> [UInt8] in isLittle ? [byte, 0] : [0, byte] }
  }

  static let files: [(bytes: [UInt8], says: String, remedy: String)] = [
    ([0xFF, 0xFE] + wide(isLittle: true), "UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (wide(isLittle: true), "UTF-16LE", "iconv -f UTF-16LE"),
    (wide(isLittle: false), "UTF-16BE", "iconv -f UTF-16BE"),
    ([0x50, 0x4B, 3, 4, 0, 0], "zip", "unzip"), ([0x28, 0xB5, 0x2F, 0xFD, 0], "zstd", "zstdcat"),
    (Array("NVR\0\u{1}\u{2}".utf8), "Nsight Compute", "nsys profile"),
    ([0x0A, 0x0E] + Array("/device:GPU:0 XLA Ops".utf8), "XSpace", ".trace.json.gz"),
    (Array(repeating: [0x0A, 0x03, 1, 2, 3], count: 20).flatMap { $0 }, "Perfetto", "traceconv json"),
    (Array("\"Kind\",\"Kernel_Name\",\"Correlation_Id\",\"Start_Timestamp\",\"End_Timestamp\"\n".utf8), "rocprof", "export_chrome_trace"),
    (Array("Time (%),Total Time (ns),Num Calls\n".utf8), "nsys stats", "--report"),
    (Array("Type,Name,Request Count,Requests/s\n".utf8), "load generator", "--load"),
    (Array("{\"metrics\": {\"http_reqs\": {}}}".utf8), "load generator", "--load"),
    (Array("{\"model_stats\": []}".utf8), "Triton's statistics", "--triton-stats"),
    (Array("timestamp, utilization.gpu [%]\n".utf8), "nvidia-smi", "--gpu-metrics"),
    (Array("# HELP DCGM_FI_DEV_GPU_UTIL x\n".utf8), "Prometheus", "--gpu-metrics"),
    (Array("<!DOCTYPE html><html>".utf8), "web page", "saved"),
    ([0x08, 0x08, 0x12, 0x07] + Array("pytorch".utf8), "ONNX", "headroom plan"),
  ]

  @Test(arguments: files.indices)
  func isNamedWithWhatToDo(index: Int) throws {
    let (bytes, says, remedy) = Self.files[index]
    let error = #expect(throws: TraceImportError.self) { try TraceImporters.read(TraceSource(bytes: bytes, path: "dir/x")) }
    #expect(error?.reason.contains(says) == true, "\(error?.description ?? "")")
    #expect(error?.remedy?.contains(remedy) == true, "\(error?.description ?? "")")
    #expect(error?.remedy?.contains("FILE") != true || error?.remedy?.contains("--") == true)
  }

  @Test func otherBytesAreOfUnknownKind() throws {
    let error = #expect(throws: TraceImportError.self) { try TraceImporters.read(TraceSource(bytes: [1, 2, 3, 0xFF], path: "x")) }
    #expect(error?.reason == "a file of unknown kind, not a trace")
  }
}
