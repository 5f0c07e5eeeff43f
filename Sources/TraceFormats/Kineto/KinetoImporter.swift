/// Trace events in JSON as PyTorch's profiler writes them (Kineto; the Trace Event Format of Chrome), compressed with gzip or not.
public struct KinetoImporter: TraceImporter {
  /// The importer.
  public init() {}

  /// Kineto.
  public var format: TraceFileFormat { .kineto }

  /// JSON that has events in its beginning, or members that only such documents have.
  public func recognizes(_ source: TraceSource) -> Bool {
    var head = source.contentHead[...]
    if head.starts(with: [0xEF, 0xBB, 0xBF]) { head = head.dropFirst(3) }
    guard let first = head.first(where: { $0 > 0x20 }), first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return false }
    let marks = ["\"traceEvents\"", "\"ph\"", "\"deviceProperties\"", "\"baseTimeNanoseconds\""]
    return marks.contains { head.firstRange(of: Array($0.utf8)) != nil }
  }

  /// See `TraceImporter`.
  public func read(_ source: TraceSource, _ options: ImportOptions) throws(TraceImportError) -> ImportedTrace {
    var reader = try KinetoReader(source, options)
    return try reader.read()
  }
}
