import CheckedNumbers
import NIOCore

/// Cuts a stream's DATA into messages: five bytes of prefix (a compression flag and a big-endian length), then the message
/// (grpc/grpc `doc/PROTOCOL-HTTP2.md`, Length-Prefixed-Message).
///
/// A message that lies in one buffer is handed out as a slice of it; one that came in parts is joined once. Memory grows with the bytes
/// received, whatever length the prefix claims.
struct GRPCMessageAssembler {
  /// One message, still compressed when its flag says so.
  struct Message {
    var isCompressed: Bool
    var bytes: ByteBuffer
  }

  /// What has come and is not handed out.
  private var pending = ByteBuffer()
  private var maximumBytes: Int

  init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

  /// Whether a message is cut off: bytes are left that are no whole message.
  var isInsideMessage: Bool { pending.readableBytes > 0 }

  /// Takes a DATA frame's bytes.
  mutating func append(_ data: ByteBuffer) {
    if pending.readableBytes == 0 {
      pending = data
    } else {
      pending.writeImmutableBuffer(data)
    }
  }

  /// The next whole message, if there is one.
  mutating func next() throws(GRPCStatus) -> Message? {
    let start = pending.readerIndex
    guard let flag = pending.getInteger(at: start, as: UInt8.self), let length = pending.getInteger(at: start + 1, as: UInt32.self) else {
      return nil
    }
    guard flag < 2 else { throw .internalError("the compression flag of a message must be 0 or 1, got \(flag)") }
    let count = Int(length)
    guard count <= maximumBytes else {
      throw .resourceExhausted("Received message larger than max (\(count) vs. \(maximumBytes))")
    }
    guard pending.readableBytes >= 5 + count else { return nil }
    pending.moveReaderIndex(forwardBy: 5)
    let bytes = pending.readSlice(length: count) ?? ByteBuffer()
    // The empty buffer lets go of the storage that the message's slice now holds.
    if pending.readableBytes == 0 { pending = ByteBuffer() }
    return Message(isCompressed: flag == 1, bytes: bytes)
  }
}
