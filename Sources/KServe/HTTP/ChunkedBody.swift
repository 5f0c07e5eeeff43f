import CheckedNumbers

/// Takes a chunked body apart (RFC 9112, 7.1), whatever way its bytes arrive.
public struct ChunkedBody: Sendable, Hashable {
  /// What the next bytes are.
  private enum State: Sendable, Hashable {
    case size(value: Int, digits: Int)
    /// Behind the size, up to the line's end.
    case extensions(size: Int)
    case data(left: Int)
    /// The line end behind a chunk's data.
    case dataEnd
    /// Trailer fields, which are dropped. `isEmpty`: the current line has no bytes yet.
    case trailer(isEmpty: Bool)
    case ended
    case malformed
  }

  private var state = State.size(value: 0, digits: 0)
  private var overhead = 0

  /// Bytes of sizes, extensions and trailers taken at most for each byte of data, and beyond that 64 KiB: one-byte chunks are wasteful but
  /// legal; endless extensions are an attack.
  private static let overheadLimit = 1 << 16

  /// At the start of a body.
  public init() {}

  /// The last chunk and the trailer have been read.
  public var hasEnded: Bool { state == .ended }
  /// The framing is broken; nothing that follows can be trusted.
  public var isMalformed: Bool { state == .malformed }

  /// Reads on. `data` is called with each run of body bytes; returns the bytes used: fewer than given only at the body's end or when malformed.
  public mutating func read(_ bytes: UnsafeRawBufferPointer, data: (Range<Int>) -> Void) -> Int {
    var index = 0
    while index < bytes.count, state != .ended, state != .malformed {
      if case .data(let left) = state {
        let count = min(left, bytes.count - index)
        data(index..<index + count)
        index += count
        overhead = max(0, overhead - count)
        state = left == count ? .dataEnd : .data(left: left - count)
        continue
      }
      step(bytes[index])
      index += 1
      overhead += 1
      if overhead > Self.overheadLimit { state = .malformed }
    }
    return index
  }

  private mutating func step(_ byte: UInt8) {
    let isLineFeed = byte == 0x0A
    switch state {
    case .size(let value, let digits):
      if let digit = JSONString.hexDigit(byte) {
        // 15 hexadecimal digits: no overflow, and more than any limit on bodies.
        state = digits < 15 ? .size(value: value << 4 | Int(digit), digits: digits + 1) : .malformed
      } else if digits == 0 {
        state = .malformed
      } else if isLineFeed {
        state = afterSize(value)
      } else {
        state = byte == 0x0D || byte == 0x20 || byte == 0x09 || byte == UInt8(ascii: ";") ? .extensions(size: value) : .malformed
      }
    case .extensions(let size): if isLineFeed { state = afterSize(size) }
    case .dataEnd:
      if isLineFeed { state = .size(value: 0, digits: 0) } else if byte != 0x0D { state = .malformed }
    case .trailer(let isEmpty):
      if isLineFeed { state = isEmpty ? .ended : .trailer(isEmpty: true) } else if byte != 0x0D { state = .trailer(isEmpty: false) }
    case .data, .ended, .malformed: break
    }
  }

  private func afterSize(_ size: Int) -> State { size == 0 ? .trailer(isEmpty: true) : .data(left: size) }
}
