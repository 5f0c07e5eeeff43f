/// Bytes from a stream to an inference request: nothing may trap, hang or allocate what is merely claimed.
///
/// The first byte says where the stream is cut; the rest is framed messages, and once more a bare ModelInferRequest.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGRPC(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let first = bytes.first else { return 0 }
  let stream = Array(bytes.dropFirst())
  _ = InferRequestDecoder.decode(ByteBuffer(bytes: stream), received: .zero)
  var assembler = GRPCMessageAssembler(maximumBytes: 1 << 20)
  let cut = min(Int(first), stream.count)
  for part in [stream[..<cut], stream[cut...]] {
    assembler.append(ByteBuffer(bytes: Array(part)))
    while let message = try? assembler.next() {
      _ = InferRequestDecoder.decode(message.bytes, received: .zero)
      _ = InferRequestDecoder.origin(of: message.bytes)
    }
  }
  return 0
}

/// As much of SwiftNIO's ByteBuffer as the decoders use, so that the fuzzer needs no SwiftNIO. Every access is an array's, and so checked.
public struct ByteBuffer: Sendable {
  enum Endianness { case big, little }

  private var bytes: [UInt8] = []
  private(set) var readerIndex = 0

  init() {}
  init(bytes: [UInt8]) { self.bytes = bytes }

  var readableBytes: Int { bytes.count - readerIndex }

  func withUnsafeReadableBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try bytes[readerIndex...].withUnsafeBytes(body)
  }

  func getSlice(at index: Int, length: Int) -> ByteBuffer? {
    guard index >= 0, length >= 0, index <= bytes.count, length <= bytes.count - index else { return nil }
    return ByteBuffer(bytes: Array(bytes[index..<(index + length)]))
  }

  mutating func readSlice(length: Int) -> ByteBuffer? {
    guard let slice = getSlice(at: readerIndex, length: length) else { return nil }
    readerIndex += length
    return slice
  }

  mutating func moveReaderIndex(forwardBy count: Int) {
    precondition(count <= readableBytes)
    readerIndex += count
  }

  func getInteger<T: FixedWidthInteger>(at index: Int, as type: T.Type) -> T? {
    guard let slice = getSlice(at: index, length: MemoryLayout<T>.size) else { return nil }
    return slice.bytes.reduce(0) { $0 << 8 | T(truncatingIfNeeded: $1) }
  }

  mutating func writeInteger<T: FixedWidthInteger>(_ value: T, endianness: Endianness = .big, as type: T.Type = T.self) {
    withUnsafeBytes(of: endianness == .big ? value.bigEndian : value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func writeBytes(_ source: some Sequence<UInt8>) { bytes.append(contentsOf: source) }
  mutating func writeImmutableBuffer(_ other: ByteBuffer) { bytes.append(contentsOf: other.bytes[other.readerIndex...]) }
  mutating func reserveCapacity(minimumWritableBytes count: Int) { bytes.reserveCapacity(bytes.count + count) }
}
