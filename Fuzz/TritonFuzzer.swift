/// Bytes as a request trace of Triton's: whatever they are, reading and joining them ends, and nothing that does not fit is added to a trace.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTriton(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let requests = try? TritonTrace(bytes, path: "x") else { return 0 }
  precondition(requests.requests.count <= count)
  var trace = Trace()
  let name = trace.names.intern("k")
  let kernel = trace.intern(KernelDescription(demangledName: name, shortName: name, grid: (1, 1, 1), block: (1, 1, 1)))
  let stream = trace.intern(StreamDescription(process: Trace.unknown, device: 0, stream: 7))
  for index in 0..<6 {
    let begin = Int64(index * index) * 1_000
    trace.kernels.append(KernelEvent(start: begin, end: begin + 400, description: kernel, stream: stream, correlation: Int64(index)))
  }
  let join = ClockJoin(requests.requests, trace)
  if let join { precondition(join.matched <= join.candidates && join.residual >= 0) }
  requests.add(to: &trace, offset: join?.offset ?? .max)
  precondition(trace.requests.count == requests.requests.count && trace.batches.count <= requests.requests.count)
  return 0
}
