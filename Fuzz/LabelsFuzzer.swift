/// Bytes to the names of classes, against a loop that reads as `getline` does: the same names, and no more of them than lines.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLabels(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  var (expected, line) = ([String](), [UInt8]())
  func end() {
    if line.last == 0x0D { line.removeLast() }
    expected.append(String(decoding: line, as: UTF8.self))
    line = []
  }
  for byte in bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...] {
    if byte == 0x0A { end() } else { line.append(byte) }
  }
  if !line.isEmpty { end() }
  precondition(LabelFile.labels(bytes) == expected, "labels must be the lines")
  return 0
}
