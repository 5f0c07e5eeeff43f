import CheckedNumbers
import NIOCore

/// Takes out of a client's HTTP/2 bytes the RST_STREAM frames of streams that never began.
///
/// gRPC's C core gives a call its stream number before its headers are written; a call that is cancelled in between sends RST_STREAM for a
/// stream that the server has not heard of. RFC 9113, 6.4, makes that the end of the connection, and with it of every other call of the
/// client; gRPC's own servers pass over it (grpc/grpc `src/core/ext/transport/chttp2/transport/parsing.cc`, init_rst_stream_parser: frames of
/// unknown streams are skipped), and so do we.
///
/// A pure value: bytes go in as they come, what is left of them comes out, in order and whatever way they were cut.
struct IdleResets {
  /// More than a client that cancels ever sends; then the frames stay, and end the connection as the specification has it.
  static let limit = 100_000

  private static let headerBytes = 9
  private static let headers: UInt8 = 1
  private static let resetStream: UInt8 = 3
  private static let resetBytes: UInt32 = 4

  /// Of the connection's preface or the frame at hand. The preface: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".
  private var bytesLeft = 24
  private var isDropping = false
  /// A frame's header that has begun and not ended.
  private var begun = ByteBuffer()
  private var highestStream: UInt32 = 0
  /// Frames taken out so far.
  private(set) var dropped = 0

  /// What of the next bytes is passed on: nearly always all of them, as they came.
  mutating func pass(_ input: ByteBuffer) -> [ByteBuffer] {
    var buffer = input
    if begun.readableBytes > 0 {
      begun.writeImmutableBuffer(input)
      buffer = begun
      begun = ByteBuffer()
    }
    var pieces: [ByteBuffer] = []
    var (start, index, end) = (buffer.readerIndex, buffer.readerIndex, buffer.writerIndex)
    func piece(_ buffer: ByteBuffer, _ range: Range<Int>) {
      if !range.isEmpty, let slice = buffer.getSlice(at: range.lowerBound, length: range.count) { pieces.append(slice) }
    }
    while index < end {
      if bytesLeft > 0 {
        let step = min(bytesLeft, end - index)
        bytesLeft -= step
        index += step
        if isDropping { start = index }
        if bytesLeft == 0 { isDropping = false }
        continue
      }
      guard end - index >= Self.headerBytes, let word = buffer.getInteger(at: index, as: UInt32.self),
        let stream = buffer.getInteger(at: index + 5, as: UInt32.self)
      else {
        begun = ByteBuffer(ByteBufferView(buffer)[index..<end])
        end = index
        break
      }
      let (length, type, id) = (word >> 8, UInt8(truncatingIfNeeded: word), stream & 0x7FFF_FFFF)
      if type == Self.headers { highestStream = max(highestStream, id) }
      if type == Self.resetStream, length == Self.resetBytes, id > highestStream, dropped < Self.limit {
        piece(buffer, start..<index)
        dropped += 1
        isDropping = true
        start = index + Self.headerBytes
      }
      index += Self.headerBytes
      bytesLeft = Int(length)
    }
    if start == buffer.readerIndex, end == buffer.writerIndex { return [buffer] }
    piece(buffer, start..<end)
    return pieces
  }
}

/// `IdleResets` in a connection's pipeline, below HTTP/2.
final class IdleResetHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private var resets = IdleResets()

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    for piece in resets.pass(unwrapInboundIn(data)) { context.fireChannelRead(wrapInboundOut(piece)) }
  }
}
