import CheckedNumbers

/// The head of an HTTP/1.1 answer (RFC 9112): what the generator has to know of it.
struct AnswerHead: Sendable, Equatable {
  var status = 0
  /// -1: not given.
  var contentLength = -1
  var isChunked = false
  var keepsAlive = true
  /// Bytes of JSON before binary tensors; -1: none.
  var inferenceHeaderLength = -1
  /// Of the head itself, the empty line among it.
  var byteCount = 0

  enum Outcome: Equatable {
    case complete(AnswerHead)
    case incomplete
    case malformed
  }

  /// Heads longer than this are no answers.
  static let limit = 1 << 16

  /// No body follows, whatever the fields say.
  var hasNoBody: Bool { (100..<200).contains(status) || status == 204 || status == 304 }

  /// Reads the head at the start of `bytes`. Allocates nothing.
  static func read(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    var head = AnswerHead()
    var lineStart = 0
    var isFirst = true
    var index = 0
    while index < bytes.count {
      guard bytes[index] == 0x0A else {
        index += 1
        continue
      }
      var end = index
      if end > lineStart, bytes[end - 1] == 0x0D { end -= 1 }
      if isFirst {
        guard head.readStatus(bytes, lineStart, end) else { return .malformed }
        isFirst = false
      } else if end == lineStart {
        head.byteCount = index + 1
        return .complete(head)
      } else if !head.readField(bytes, lineStart, end) {
        return .malformed
      }
      index += 1
      lineStart = index
    }
    return bytes.count > limit ? .malformed : .incomplete
  }

  /// "HTTP/1.1 200 OK".
  private mutating func readStatus(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
    guard end - start >= 12, Self.matches(bytes, start, "http/1."), bytes[start + 8] == 0x20 else { return false }
    keepsAlive = bytes[start + 7] != UInt8(ascii: "0")
    for index in start + 9..<start + 12 {
      guard let digit = Self.digit(bytes[index]) else { return false }
      status = status * 10 + digit
    }
    return true
  }

  private mutating func readField(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
    // Only four names matter; their first letters tell most others apart.
    switch bytes[start] | 0x20 {
    case UInt8(ascii: "c"):
      if Self.matches(bytes, start, "content-length:") {
        guard let length = Self.number(bytes, start + 15, end) else { return false }
        contentLength = length
      } else if Self.matches(bytes, start, "connection:") {
        if Self.contains(bytes, start + 11, end, "close") { keepsAlive = false }
        if Self.contains(bytes, start + 11, end, "keep-alive") { keepsAlive = true }
      }
    case UInt8(ascii: "t"):
      if Self.matches(bytes, start, "transfer-encoding:") { isChunked = Self.contains(bytes, start + 18, end, "chunked") }
    case UInt8(ascii: "i"):
      if Self.matches(bytes, start, "inference-header-content-length:") {
        guard let length = Self.number(bytes, start + 32, end) else { return false }
        inferenceHeaderLength = length
      }
    default: break
    }
    return true
  }

  private static func digit(_ byte: UInt8) -> Int? { (0x30...0x39).contains(byte) ? Int(byte) - 0x30 : nil }

  /// Whether `name`, in lower case, stands at `start`. Bytes behind the buffer's end match nothing.
  private static func matches(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ name: StaticString) -> Bool {
    guard bytes.count - start >= name.utf8CodeUnitCount else { return false }
    for index in 0..<name.utf8CodeUnitCount {
      let byte = bytes[start + index]
      let lower = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
      if lower != name.utf8Start[index] { return false }
    }
    return true
  }

  private static func contains(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ word: StaticString) -> Bool {
    var index = start
    while index + word.utf8CodeUnitCount <= end {
      if matches(bytes, index, word) { return true }
      index += 1
    }
    return false
  }

  /// At most 15 digits, blanks around them.
  private static func number(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int? {
    var value = 0
    var digits = 0
    for index in start..<end {
      if let digit = digit(bytes[index]) {
        digits += 1
        if digits > 15 { return nil }
        value = value * 10 + digit
      } else if bytes[index] != 0x20 && bytes[index] != 0x09 {
        return nil
      }
    }
    return digits > 0 ? value : nil
  }
}
