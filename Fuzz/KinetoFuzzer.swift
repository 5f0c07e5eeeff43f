/// Bytes as a file of trace events: whatever they are, reading them ends, in memory that they justify, with a trace whose times are in order.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzKineto(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let imported = try? KinetoImporter().read(TraceSource(bytes: bytes, path: "x"), ImportOptions()) else { return 0 }
  let trace = imported.trace
  // The shortest event takes more than one byte of text; compressed text may hold a thousand times as much.
  precondition(trace.rowCount <= 1100 * count + 16)
  for row in trace.kernels.indices {
    precondition(trace.kernels.end[row] >= trace.kernels.start[row])
    precondition(trace.streams.indices.contains(Int(trace.kernels.stream[row].rawValue)))
    precondition(trace.kernelDescriptions.indices.contains(Int(trace.kernels.description[row].rawValue)))
  }
  let index = CorrelationIndex(trace)
  for kernel in trace.kernels.prefix(100) { _ = index.apiCall(process: trace[kernel.stream].process, correlation: kernel.correlation) }
  for shapes in trace.operators.inputShapes.prefix(100) { _ = trace.names[shapes].flatMap { OperatorShapes.parse($0) } }
  return 0
}
