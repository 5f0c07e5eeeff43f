/// Bytes as a database: whatever they are, reading them ends with a trace or an error, and what the direct scan and SQLite read of a table
/// that is whole is the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzNsight(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  let source = TraceSource(bytes: bytes, path: "x")
  if let imported = try? NsightImporter().read(source, ImportOptions()) {
    let trace = imported.trace
    for row in trace.kernels.indices {
      precondition(trace.kernels.end[row] >= trace.kernels.start[row])
      precondition(trace.streams.indices.contains(Int(trace.kernels.stream[row].rawValue)))
      precondition(trace.kernelDescriptions.indices.contains(Int(trace.kernels.description[row].rawValue)))
    }
  }
  _ = HeadroomImporter().recognizes(source)
  return 0
}
