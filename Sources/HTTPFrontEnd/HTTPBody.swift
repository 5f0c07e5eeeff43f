import KServe
import NIOCore

/// A request's body as it came from the socket: slices in order, taken from the front without copying.
struct HTTPBody: Sendable {
  private(set) var slices: [ByteBuffer] = []
  private(set) var byteCount = 0
  /// The last slice is a buffer of this body's own, to which small ones are added.
  private var isLastOwn = false

  /// Below that a slice is copied behind the one before: as an element of its own it would cost more than it holds (chunks of one byte).
  private static let small = 512

  mutating func append(_ slice: ByteBuffer) {
    guard slice.readableBytes > 0 else { return }
    byteCount += slice.readableBytes
    guard slice.readableBytes < Self.small, let last = slices.indices.last else {
      slices.append(slice)
      isLastOwn = false
      return
    }
    if !isLastOwn {
      // The bytes before are not moved: only from here on, what is small is gathered.
      slices.append(ByteBuffer(buffer: slice))
      isLastOwn = true
      return
    }
    slices[last].writeImmutableBuffer(slice)
  }

  /// The next `count` bytes; nil where there are not so many.
  mutating func take(_ count: Int) -> [ByteBuffer]? {
    guard count >= 0, count <= byteCount else { return nil }
    var taken: [ByteBuffer] = []
    var missing = count
    var used = 0
    while missing > 0 {
      if slices[used].readableBytes <= missing {
        missing -= slices[used].readableBytes
        taken.append(slices[used])
        used += 1
      } else if let part = slices[used].readSlice(length: missing) {
        taken.append(part)
        missing = 0
      } else {
        return nil
      }
    }
    slices.removeFirst(used)
    byteCount -= count
    return taken
  }

  /// The next `count` bytes where they came in one piece; nil, and nothing is taken, where they did not.
  mutating func takePiece(_ count: Int) -> ByteBuffer? {
    guard count > 0, count <= byteCount, let first = slices.first, first.readableBytes >= count else { return nil }
    byteCount -= count
    if first.readableBytes > count { return slices[0].readSlice(length: count) }
    slices.removeFirst()
    return first
  }

  /// The next `count` bytes in one piece: copied only where they came in several.
  mutating func takeJoined(_ count: Int) -> ByteBuffer? {
    if let piece = takePiece(count) { return piece }
    guard let parts = take(count) else { return nil }
    if parts.count == 1 { return parts[0] }
    var joined = ByteBufferAllocator().buffer(capacity: count)
    for part in parts { joined.writeImmutableBuffer(part) }
    return joined
  }
}

extension HTTPDocument {
  /// A control call's body.
  init(_ body: HTTPBody) throws(KServeError) {
    var body = body
    try self.init(bytes: body.takeJoined(body.byteCount).map { Array($0.readableBytesView) } ?? [])
  }
}
