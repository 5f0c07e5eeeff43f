import CheckedNumbers
import Glibc

/// Methods the server tells apart. Others are refused before a route is looked for.
public enum HTTPMethod: String, Sendable, Hashable, CaseIterable {
  case get = "GET"
  case post = "POST"
  case put = "PUT"
  case delete = "DELETE"
  case head = "HEAD"
  case options = "OPTIONS"
  case patch = "PATCH"
}

/// How a body is coded.
public enum ContentCoding: String, Sendable, Hashable {
  case identity, gzip, deflate
}

/// A request line and what the server reads of its header fields. Texts stay where they are: ranges into the parsed bytes.
public struct HTTPRequestHead: Sendable, Hashable {
  /// What is asked for.
  public var method: HTTPMethod
  /// The target's path, without the query.
  public var path: Range<Int>
  /// Behind the question mark; empty for none.
  public var query: Range<Int>
  /// "1.1"; echoed in the answer's status line, as the reference server does.
  public var majorVersion: UInt8
  /// The digit behind the dot; echoed likewise.
  public var minorVersion: UInt8
  /// nil: none stated.
  public var contentLength: Int?
  /// `Transfer-Encoding: chunked`.
  public var isChunked = false
  /// The connection stays open after the answer.
  public var keepsAlive: Bool
  /// `Connection: close` was said.
  public var saysClose = false
  /// `Expect: 100-continue`.
  public var expectsContinue = false
  /// nil: a coding the server does not know.
  public var contentCoding: ContentCoding? = .identity
  /// Coding for the answer, by `Accept-Encoding`.
  public var acceptedCoding = ContentCoding.identity
  /// `Inference-Header-Content-Length` as sent; nil for none, `.some(nil)` for what is not a number.
  public var inferenceHeaderLength: Int64??
  /// The token of `Authorization: Bearer`.
  public var bearerToken: Range<Int>?
  /// `Accept` holds text/html.
  public var acceptsHTML = false
  /// `Headroom-Require-Real: 1`.
  public var requiresReal = false
  /// Host and port of a target in absolute form (`GET http://host/path`); it goes before the Host field (RFC 9112, 3.2.2).
  public var authority: Range<Int>?
  /// Bytes of the head, the empty line included.
  public var length = 0
}

/// Reads request heads (RFC 9112). Lenient where that is harmless, as the reference server's library is: a Host field is not needed, any version
/// digits pass. Anything that would let two readers disagree on where a request or a field ends is refused: a line that ends without CR, control
/// characters, folded lines, white space around a name, a length given twice or beside chunks.
public enum HTTPRequestParser {
  /// What the bytes so far hold.
  public enum Outcome: Sendable, Hashable {
    /// The head has not ended yet.
    case incomplete
    case head(HTTPRequestHead)
    /// A request whose framing cannot be trusted: 400, and the connection ends.
    case refused(String)
    /// No HTTP: the connection is to be closed without an answer, as the reference server does.
    case malformed(String)
  }

  /// Reads the head at the start of `bytes`.
  public static func parse(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    var lines = Lines(bytes: bytes)
    // Empty lines before a request are to be ignored (RFC 9112, 2.2).
    var line = lines.next()
    while let blank = line, blank.isEmpty { line = lines.next() }
    guard let requestLine = line else {
      if let problem = lines.problem { return startsAsMethod(bytes) ? .refused(problem) : .malformed(problem) }
      // A first line that no request can start with need not be waited out.
      return startsAsMethod(bytes) ? .incomplete : .malformed("the request does not start with a method")
    }
    guard var head = self.requestLine(bytes, requestLine) else {
      let problem = "the request line is malformed"
      return startsAsMethod(bytes) ? .refused(problem) : .malformed(problem)
    }
    var seen = Seen()
    while let line = lines.next() {
      if line.isEmpty {
        head.length = lines.position
        if head.isChunked, head.contentLength != nil { return .refused("both Content-Length and Transfer-Encoding are given") }
        // Chunks are not known there, so a proxy may have read the body otherwise (RFC 9112, 6.1).
        if head.isChunked, head.majorVersion == 1, head.minorVersion == 0 { return .refused("Transfer-Encoding in an HTTP/1.0 request") }
        return .head(head)
      }
      if let problem = field(bytes, line, &head, &seen) { return .refused(problem) }
    }
    if let problem = lines.problem { return .refused(problem) }
    return .incomplete
  }

  /// The value of a field in a head that was parsed, found without regard to case; nil where it is missing. `name` is in lower case.
  public static func value(of name: String, in head: UnsafeRawBufferPointer) -> String? {
    var lines = Lines(bytes: head)
    var line = lines.next()
    while let blank = line, blank.isEmpty { line = lines.next() }
    let wanted = Array(name.utf8)
    // One that is repeated is its values in order (RFC 9110, 5.3): no part of it may pass for all.
    var found: String?
    while let line = lines.next() {
      guard line.count > wanted.count, head[line.lowerBound + wanted.count] == UInt8(ascii: ":") else { continue }
      let isIt = wanted.indices.allSatisfy { offset in
        let byte = head[line.lowerBound + offset]
        return (byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte) == wanted[offset]
      }
      guard isIt else { continue }
      let value = String(decoding: head[trimmed(head, line.lowerBound + wanted.count + 1..<line.upperBound)], as: UTF8.self)
      found = found.map { $0 + ", " + value } ?? value
    }
    return found
  }

  /// Fields that may stand once.
  private struct Seen {
    var hasLength = false
    var hasHost = false
  }

  private struct Lines {
    let bytes: UnsafeRawBufferPointer
    var position = 0
    /// Why there is no next line, where that is not for want of bytes.
    private(set) var problem: String?

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next whole line, its end excluded.
    mutating func next() -> Range<Int>? {
      var end = position
      // Eight bytes at a time while none of them is below 0x20: the highest bit of a byte is set in what is left (Anderson, "Bit Twiddling
      // Hacks", "Determine if a word has a byte less than n").
      while bytes.count - end >= 8 {
        let word = bytes.loadUnaligned(fromByteOffset: end, as: UInt64.self)
        if (word &- 0x2020_2020_2020_2020) & ~word & 0x8080_8080_8080_8080 != 0 { break }
        end += 8
      }
      while end < bytes.count, bytes[end] >= 0x20 || bytes[end] == 0x09 { end += 1 }
      guard end < bytes.count else { return nil }
      guard bytes[end] == 0x0D else {
        problem = bytes[end] == 0x0A ? "a line of the header ends without a carriage return" : "a control character in the header"
        return nil
      }
      guard end + 1 < bytes.count else { return nil }
      guard bytes[end + 1] == 0x0A else {
        problem = "a carriage return within a line of the header"
        return nil
      }
      defer { position = end + 2 }
      return position..<end
    }
  }

  private static func trimmed(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Range<Int> {
    var value = range
    while let first = value.first, bytes[first] == 0x20 || bytes[first] == 0x09 { value = value.dropFirst() }
    while let last = value.last, bytes[last] == 0x20 || bytes[last] == 0x09 { value = value.dropLast() }
    return value
  }

  /// Where a byte stands first in that part.
  private static func index(of byte: UInt8, _ bytes: UnsafeRawBufferPointer, _ part: Range<Int>) -> Int? {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[part])
    guard let start = rest.baseAddress, let found = memchr(start, Int32(byte), rest.count) else { return nil }
    return part.lowerBound + (UnsafeRawPointer(found) - start)
  }

  private static func startsAsMethod(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let first = bytes.drop { $0 == 0x0D || $0 == 0x0A }.prefix(8)
    for byte in first where !(byte >= 0x41 && byte <= 0x5A) { return byte == 0x20 }
    return first.count < 8
  }

  private static func requestLine(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) -> HTTPRequestHead? {
    guard let firstSpace = index(of: 0x20, bytes, line), let lastSpace = bytes[line].lastIndex(of: 0x20), lastSpace > firstSpace,
      let method = method(bytes, line.lowerBound..<firstSpace)
    else { return nil }
    // "HTTP/d.d"
    let version = (lastSpace + 1)..<line.upperBound
    guard version.count == 8, matches(bytes, version.lowerBound..<version.lowerBound + 5, "HTTP/"), isDigit(bytes[version.upperBound - 3]),
      bytes[version.upperBound - 2] == UInt8(ascii: "."), isDigit(bytes[version.upperBound - 1])
    else { return nil }
    let target = (firstSpace + 1)..<lastSpace
    guard !target.isEmpty, !bytes[target].contains(where: { $0 <= 0x20 || $0 == 0x7F }) else { return nil }
    var authority: Range<Int>?
    var rest = target
    if bytes[target.lowerBound] != UInt8(ascii: "/"), bytes[target.lowerBound] != UInt8(ascii: "*") {
      // Absolute form, as forward proxies pass it on; a server must take it (RFC 9112, 3.2.2).
      guard let whole = absolute(bytes, target) else { return nil }
      (authority, rest) = whole
    }
    let mark = index(of: UInt8(ascii: "?"), bytes, rest)
    let (major, minor) = (bytes[version.upperBound - 3] - 0x30, bytes[version.upperBound - 1] - 0x30)
    var path = rest.lowerBound..<(mark ?? rest.upperBound)
    // "http://host" and "http://host?query" ask for "/": one of the two behind the scheme.
    if path.isEmpty, let authority { path = authority.lowerBound - 1..<authority.lowerBound }
    return HTTPRequestHead(
      method: method, path: path, query: mark.map { $0 + 1..<rest.upperBound } ?? 0..<0, majorVersion: major, minorVersion: minor,
      keepsAlive: major > 1 || major == 1 && minor >= 1, authority: authority)
  }

  /// Host with port of "http://host/path?query", and what is behind it.
  private static func absolute(_ bytes: UnsafeRawBufferPointer, _ target: Range<Int>) -> (authority: Range<Int>, rest: Range<Int>)? {
    let scheme =
      target.count > 8 && isName(bytes, target.lowerBound..<target.lowerBound + 8, "https://")
      ? 8 : target.count > 7 && isName(bytes, target.lowerBound..<target.lowerBound + 7, "http://") ? 7 : 0
    guard scheme > 0 else { return nil }
    let start = target.lowerBound + scheme
    let end = bytes[start..<target.upperBound].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? target.upperBound
    // A name before the host ("user@host") only hides which host it is (RFC 9110, 4.2.4).
    guard start < end, !bytes[start..<end].contains(UInt8(ascii: "@")) else { return nil }
    return (start..<end, end..<target.upperBound)
  }

  private static func method(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> HTTPMethod? {
    switch range.count {
    case 3:
      if matches(bytes, range, "GET") { return .get }
      return matches(bytes, range, "PUT") ? .put : nil
    case 4:
      if matches(bytes, range, "POST") { return .post }
      return matches(bytes, range, "HEAD") ? .head : nil
    case 5: return matches(bytes, range, "PATCH") ? .patch : nil
    case 6: return matches(bytes, range, "DELETE") ? .delete : nil
    case 7: return matches(bytes, range, "OPTIONS") ? .options : nil
    default: return nil
    }
  }

  /// Reads one field line into the head; what is wrong with it, or nil.
  private static func field(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, _ head: inout HTTPRequestHead, _ seen: inout Seen)
    -> String?
  {
    guard let colon = index(of: UInt8(ascii: ":"), bytes, line), colon > line.lowerBound else { return "a header line has no name" }
    // White space around the name is how requests are smuggled; folded lines are obsolete (RFC 9112, 5.1 and 5.2).
    if bytes[line.lowerBound] <= 0x20 || bytes[colon - 1] <= 0x20 { return "white space around a header name" }
    let name = line.lowerBound..<colon
    let value = trimmed(bytes, colon + 1..<line.upperBound)
    switch name.count {
    case 4 where isName(bytes, name, "host"):
      if seen.hasHost { return "two Host fields" }
      seen.hasHost = true
    case 6 where isName(bytes, name, "accept"): head.acceptsHTML = contains(bytes, value, "text/html")
    case 6 where isName(bytes, name, "expect"): head.expectsContinue = isName(bytes, value, "100-continue")
    case 10 where isName(bytes, name, "connection"):
      if contains(bytes, value, "close") {
        head.keepsAlive = false
        head.saysClose = true
      } else if contains(bytes, value, "keep-alive") {
        head.keepsAlive = true
      }
    case 13 where isName(bytes, name, "authorization"):
      if value.count > 7, isName(bytes, value.lowerBound..<value.lowerBound + 7, "bearer ") {
        head.bearerToken = value.lowerBound + 7..<value.upperBound
      }
    case 14 where isName(bytes, name, "content-length"):
      guard !value.isEmpty, value.allSatisfy({ isDigit(bytes[$0]) }) else { return "Content-Length is not a number" }
      if seen.hasLength { return "two Content-Length fields" }
      seen.hasLength = true
      // More digits than any limit on bodies: too large, whatever it says.
      head.contentLength = number(bytes, value).map { Int(clamping: $0) } ?? .max
    case 15 where isName(bytes, name, "accept-encoding"):
      // gzip first where both are taken: the reference server picks the higher q, gzip when they are equal.
      head.acceptedCoding = accepted(bytes, value)
    case 16 where isName(bytes, name, "content-encoding"):
      head.contentCoding =
        if isName(bytes, value, "gzip") {
          .gzip
        } else if isName(bytes, value, "deflate") {
          .deflate
        } else if isName(bytes, value, "identity") || value.isEmpty {
          .identity
        } else {
          nil
        }
    case 17 where isName(bytes, name, "transfer-encoding"):
      guard isName(bytes, value, "chunked"), !head.isChunked else { return "a transfer encoding other than chunked" }
      head.isChunked = true
    case 21 where isName(bytes, name, "headroom-require-real"): head.requiresReal = value.count == 1 && bytes[value.lowerBound] == 0x31
    case 31 where isName(bytes, name, "inference-header-content-length"): head.inferenceHeaderLength = .some(number(bytes, value))
    default: break
    }
    return nil
  }

  private static func accepted(_ bytes: UnsafeRawBufferPointer, _ value: Range<Int>) -> ContentCoding {
    var best = (coding: ContentCoding.identity, weight: 0.0)
    for part in bytes[value].split(separator: UInt8(ascii: ",")) {
      let pieces = part.split(separator: UInt8(ascii: ";"))
      guard let first = pieces.first else { continue }
      let name = String(decoding: first, as: UTF8.self).filter { $0 != " " }.lowercased()
      var weight = 1.0
      for piece in pieces.dropFirst() {
        let text = String(decoding: piece, as: UTF8.self).filter { $0 != " " }
        if text.hasPrefix("q=") { weight = Double(text.dropFirst(2)) ?? 0 }
      }
      let coding: ContentCoding? = name == "gzip" || name == "*" ? .gzip : name == "deflate" ? .deflate : nil
      if let coding, weight > best.weight { best = (coding, weight) }
    }
    return best.coding
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  @inline(__always)
  private static func matches(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ text: StaticString) -> Bool {
    guard range.count == text.utf8CodeUnitCount else { return false }
    for offset in 0..<range.count where bytes[range.lowerBound + offset] != text.utf8Start[offset] { return false }
    return true
  }

  /// Without regard to case; `text` is in lower case.
  @inline(__always)
  private static func isName(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ text: StaticString) -> Bool {
    guard range.count == text.utf8CodeUnitCount else { return false }
    for offset in 0..<range.count {
      let byte = bytes[range.lowerBound + offset]
      let lower = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
      if lower != text.utf8Start[offset] { return false }
    }
    return true
  }

  private static func contains(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ text: StaticString) -> Bool {
    guard range.count >= text.utf8CodeUnitCount else { return false }
    for start in range.lowerBound...range.upperBound - text.utf8CodeUnitCount
    where isName(bytes, start..<start + text.utf8CodeUnitCount, text) { return true }
    return false
  }

  /// A decimal number with an optional minus; nil for anything else, also for one beyond 18 digits.
  static func number(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int64? {
    var digits = range
    let isNegative = digits.first.map { bytes[$0] == UInt8(ascii: "-") } ?? false
    if isNegative { digits = digits.dropFirst() }
    guard !digits.isEmpty, digits.count <= 18 else { return nil }
    var value: Int64 = 0
    for index in digits {
      guard isDigit(bytes[index]) else { return nil }
      value = value * 10 + Int64(bytes[index] - 0x30)
    }
    return isNegative ? -value : value
  }
}
