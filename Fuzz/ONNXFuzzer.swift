/// Bytes to a graph, through rewrites, to bytes and back: none of it may trap, hang or allocate what the bytes merely claim.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzONNX(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  // For a plan more is followed: unknown operators, branches, numbers.
  _ = try? ONNXReader.read(ArrayStorage(bytes), file: "fuzz.onnx", options: ONNXReader.Options(purpose: .plan)).rewritten(
    by: Rewrites.standard)
  guard let graph = try? ONNXReader.read(ArrayStorage(bytes), file: "fuzz.onnx"),
    let rewritten = try? graph.rewritten(by: Rewrites.standard + [SinkBroadcast.self, StackHeads.self]),
    let written = try? ONNXWriter.write(rewritten)
  else { return 0 }
  _ = try? ONNXReader.read(ArrayStorage(written), file: "again.onnx")
  return 0
}
