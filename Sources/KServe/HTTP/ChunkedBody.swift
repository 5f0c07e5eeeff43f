import CheckedNumbers
import JSONReading

/// Takes a chunked body apart (RFC 9112, 7.1), whatever way its bytes arrive. Lines end in CR LF: what a lenient reader takes for a line's end and
/// a strict one does not is how requests are smuggled past proxies.
public struct ChunkedBody: Sendable, Hashable {
  /// What the next bytes are.
  private enum State: Sendable, Hashable {
    case size(value: Int, digits: Int)
    /// Behind the size, up to the line's end.
    case extensions(size: Int)
    /// The line feed behind a size.
    case sizeEnd(size: Int)
    case data(left: Int)
    /// The line end behind a chunk's data.
    case dataEnd(hasReturn: Bool)
    /// Trailer fields, which are dropped. `isEmpty`: the current line has no bytes yet.
    case trailer(isEmpty: Bool)
    /// The line feed behind a trailer's line.
    case trailerEnd(isLast: Bool)
    case ended
    case malformed
  }

  private var state = State.size(value: 0, digits: 0)
  private var dropped = 0

  /// Bytes of extensions and trailers taken at most in a body. Sizes and line ends are not counted: they are bounded for each chunk, and one-byte
  /// chunks are wasteful but legal.
  private static let droppedLimit = 1 << 16

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
        state = left == count ? .dataEnd(hasReturn: false) : .data(left: left - count)
        continue
      }
      step(bytes[index])
      index += 1
    }
    return index
  }

  private mutating func step(_ byte: UInt8) {
    switch (state, byte) {
    case (.size(let value, let digits), 0x0D) where digits > 0: state = .sizeEnd(size: value)
    case (.size(let value, let digits), 0x20) where digits > 0, (.size(let value, let digits), 0x09) where digits > 0,
      (.size(let value, let digits), UInt8(ascii: ";")) where digits > 0:
      state = .extensions(size: value)
    case (.size(let value, let digits), _):
      // 15 hexadecimal digits: no overflow, and more than any limit on bodies.
      guard let digit = JSONString.hexDigit(byte), digits < 15 else { return state = .malformed }
      state = .size(value: value << 4 | Int(digit), digits: digits + 1)
    case (.extensions(let size), 0x0D): state = .sizeEnd(size: size)
    case (.extensions, _): drop(byte)
    case (.sizeEnd(let size), 0x0A): state = size == 0 ? .trailer(isEmpty: true) : .data(left: size)
    case (.dataEnd(hasReturn: false), 0x0D): state = .dataEnd(hasReturn: true)
    case (.dataEnd(hasReturn: true), 0x0A): state = .size(value: 0, digits: 0)
    case (.trailer(let isEmpty), 0x0D): state = .trailerEnd(isLast: isEmpty)
    case (.trailer, _):
      state = .trailer(isEmpty: false)
      drop(byte)
    case (.trailerEnd(let isLast), 0x0A): state = isLast ? .ended : .trailer(isEmpty: true)
    case (.sizeEnd, _), (.dataEnd, _), (.trailerEnd, _): state = .malformed
    case (.data, _), (.ended, _), (.malformed, _): break
    }
  }

  /// A byte of an extension or a trailer.
  private mutating func drop(_ byte: UInt8) {
    dropped += 1
    if byte == 0x0A || byte == 0 || dropped > Self.droppedLimit { state = .malformed }
  }
}
