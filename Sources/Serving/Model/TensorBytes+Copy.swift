import KServe
import NIOCore

extension TensorBytes {
  /// Elements of a string tensor; nil where it does not hold what it claims.
  var stringCount: Int? {
    switch self {
    case .one(let buffer): buffer.withUnsafeReadableBytes { BytesTensor.count(in: $0) }
    case .many: joined.withUnsafeReadableBytes { BytesTensor.count(in: $0) }
    case .sharedMemory: nil
    }
  }

  /// As one run.
  private var joined: ByteBuffer {
    switch self {
    case .one(let buffer): return buffer
    case .many(let buffers):
      var joined = ByteBufferAllocator().buffer(capacity: byteCount)
      for buffer in buffers { joined.writeImmutableBuffer(buffer) }
      return joined
    case .sharedMemory: return ByteBuffer()
    }
  }

  /// One string element of these bytes.
  var prefixedWithLength: TensorBytes {
    var length = ByteBufferAllocator().buffer(capacity: 4)
    length.writeInteger(UInt32(clamping: byteCount), endianness: .little)
    switch self {
    case .one(let buffer): return .many([length, buffer])
    case .many(let buffers): return .many([length] + buffers)
    case .sharedMemory: return self
    }
  }

  /// The one copy a binary tensor sees between the socket's buffer and the batch's slot. `counter` counts the bytes.
  func copy(to target: UnsafeMutableRawBufferPointer, regions: SharedMemoryRegions, counter: inout Int) throws(KServeError) {
    switch self {
    case .one(let buffer):
      buffer.withUnsafeReadableBytes { bytes in
        if bytes.count <= target.count { target.copyMemory(from: bytes) }
      }
      counter += buffer.readableBytes
    case .many(let buffers):
      var offset = 0
      for buffer in buffers {
        buffer.withUnsafeReadableBytes { bytes in
          guard offset + bytes.count <= target.count else { return }
          UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: bytes)
        }
        offset += buffer.readableBytes
      }
      counter += offset
    case .sharedMemory(let place): try regions.read(place, into: target)
    }
  }
}
