/// Bytes as the result of a load generator: an error or figures, and never a trap.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLoadResult(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let loads = (try? LoadResultReader.parse(Array(UnsafeBufferPointer(start: start, count: count)), path: "x")) ?? []
  precondition(loads.count <= count)
  return 0
}
