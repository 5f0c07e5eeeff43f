import KServe
import Testing

/// What is read as a request, and what is refused because two readers could read it differently.
@Suite struct HTTPFramingTests {
  private static func parse(_ text: String) -> HTTPRequestParser.Outcome {
    Array(text.utf8).withUnsafeBytes { HTTPRequestParser.parse($0) }
  }

  private static func head(_ text: String) -> HTTPRequestHead? {
    if case .head(let head) = parse(text) { head } else { nil }
  }

  private static func path(_ text: String) -> String? {
    head(text).map { String(decoding: Array(text.utf8)[$0.path], as: UTF8.self) }
  }

  private static let start = "POST /v2 HTTP/1.1\r\nHost: x\r\n"

  /// Header lines are scanned eight bytes at a time: what ends or spoils a line is found at every place of such a word.
  @Test func everyByteIsFoundAtEveryPlaceOfALine() {
    for length in 1...20 {
      for place in 0..<length {
        for byte in UInt8.min...UInt8.max {
          var value = [UInt8](repeating: UInt8(ascii: "v"), count: length)
          value[place] = byte
          let text = Array("GET / HTTP/1.1\r\nx: ".utf8) + value + Array("\r\n\r\n".utf8)
          let outcome = text.withUnsafeBytes { HTTPRequestParser.parse($0) }
          guard byte < 0x20, byte != 0x09 else {
            guard case .head(let head) = outcome, head.length == text.count else {
              Issue.record("byte \(byte) at \(place) of \(length): \(outcome)")
              continue
            }
            continue
          }
          guard case .refused = outcome else {
            Issue.record("control character \(byte) at \(place) of \(length): \(outcome)")
            continue
          }
        }
      }
    }
  }

  @Test(arguments: [
    "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5, 5\r\n",
    "Content-Length: +5\r\n", "Content-Length: -5\r\n", "Content-Length: 0x5\r\n", "Content-Length: \r\n", "Content-Length: 5 5\r\n",
    "Content-Length : 5\r\n", " Content-Length: 5\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: xchunked\r\n", "X: a\r\n b\r\n", "X: a\r\n\tb\r\n",
    "X: a\rb\r\n", "X: a\nContent-Length: 5\r\n", "X: a\u{0}b\r\n", "X: a\u{1}b\r\n", "no colon\r\n", ": no name\r\n", "Host: y\r\n",
  ])
  func aDoubtfulHeaderIsRefused(lines: String) {
    guard case .refused = Self.parse(Self.start + lines + "\r\n") else {
      Issue.record("\(lines.debugDescription): \(Self.parse(Self.start + lines + "\r\n"))")
      return
    }
  }

  @Test(arguments: [
    "POST /v2 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "GET /v2 HTTP/1.1\n\n", "GET /v2 HTTP/1.1\r\nHost: x\n\r\n",
    "GET /v2 HTTP/1.1\rHost: x\r\n\r\n",
  ])
  func lineEndsAreCarriageReturnAndLineFeed(text: String) {
    guard case .refused = Self.parse(text) else {
      Issue.record("\(Self.parse(text))")
      return
    }
  }

  @Test(arguments: ["NONSENSE\r\n\r\n", "get /v2 HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}"])
  func whatIsNoRequestIsMalformed(text: String) {
    guard case .malformed = Self.parse(text) else {
      Issue.record("\(Self.parse(text))")
      return
    }
  }

  /// Somebody speaks HTTP and waits for an answer.
  @Test(arguments: [
    "GET v2 HTTP/1.1\r\n\r\n", "GET /v2\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET http:// HTTP/1.1\r\n\r\n",
    "GET http://user@host/v2 HTTP/1.1\r\n\r\n", "GET ftp://host/v2 HTTP/1.1\r\n\r\n", "GET /v2 HTTP/1.10\r\n\r\n",
    "GET /v2 HTTQ/1.1\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n", "CONNECT host:80 HTTP/1.1\r\n\r\n",
  ])
  func requestLinesThatCannotBeReadAreRefused(text: String) {
    guard case .refused = Self.parse(text) else {
      Issue.record("\(Self.parse(text))")
      return
    }
  }

  /// RFC 9112, 3.2.2.
  @Test(arguments: [
    ("http://host:8000/v2/health/ready", "/v2/health/ready", "host:8000"), ("HTTP://host/v2?a=b", "/v2", "host"),
    ("https://[::1]:8000/v2", "/v2", "[::1]:8000"), ("http://host", "/", "host"), ("http://host?x", "/", "host"),
    ("http://host/", "/", "host"),
  ])
  func absoluteTargetsAreTaken(target: String, path: String, authority: String) throws {
    let text = "GET \(target) HTTP/1.1\r\nHost: other\r\n\r\n"
    #expect(Self.path(text) == path)
    let range = try #require(Self.head(text)?.authority)
    #expect(String(decoding: Array(text.utf8)[range], as: UTF8.self) == authority)
  }

  @Test func anyPrefixOfAHeadIsIncomplete() {
    let text = Self.start + "Content-Length: 5\r\nX: y\r\n\r\n"
    for count in 0..<text.utf8.count {
      #expect(Self.parse(String(decoding: text.utf8.prefix(count), as: UTF8.self)) == .incomplete, "\(count)")
    }
    #expect(Self.head(text)?.contentLength == 5)
  }

  @Test func emptyLinesBeforeARequestAreIgnored() { #expect(Self.path("\r\n\r\nGET /v2 HTTP/1.1\r\n\r\n") == "/v2") }

  @Test func aLengthBeyondAllNumbersIsTooLargeRatherThanNone() {
    #expect(Self.head(Self.start + "Content-Length: 99999999999999999999\r\n\r\n")?.contentLength == .max)
  }

  @Test func fieldsAreFoundByTheirNames() {
    let text = Array((Self.start + "Origin:  http://a \r\nSEC-Fetch-Site:\tcross-site\r\nOriginal: b\r\n\r\n").utf8)
    text.withUnsafeBytes { bytes in
      #expect(HTTPRequestParser.value(of: "origin", in: bytes) == "http://a")
      #expect(HTTPRequestParser.value(of: "sec-fetch-site", in: bytes) == "cross-site")
      #expect(HTTPRequestParser.value(of: "host", in: bytes) == "x")
      #expect(HTTPRequestParser.value(of: "content-type", in: bytes) == nil)
      // The request line is no field.
      #expect(HTTPRequestParser.value(of: "post /v2 http/1.1", in: bytes) == nil)
    }
  }

  // MARK: - Chunks

  private static func body(_ text: String, pieces: Int = 1) -> (bytes: [UInt8], used: Int, body: ChunkedBody) {
    var chunks = ChunkedBody()
    var bytes: [UInt8] = []
    var used = 0
    var rest = Array(text.utf8)[...]
    let size = max(1, rest.count / pieces)
    while !rest.isEmpty, !chunks.hasEnded, !chunks.isMalformed {
      let piece = Array(rest.prefix(size))
      rest = rest.dropFirst(size)
      used += piece.withUnsafeBytes { raw in chunks.read(raw) { bytes += piece[$0] } }
    }
    return (bytes, used, chunks)
  }

  @Test(arguments: [1, 2, 7, 1000]) func chunksAreJoinedHoweverTheyArrive(pieces: Int) {
    let text = "5;name=value\r\nhello\r\n  ".dropLast(2) + "6 ; x\r\n world\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\nGET /"
    let (bytes, used, body) = Self.body(String(text), pieces: pieces)
    #expect(String(decoding: bytes, as: UTF8.self) == "hello world")
    #expect(body.hasEnded)
    #expect(used == text.utf8.count - 5)
  }

  @Test(arguments: [
    "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n", "-5\r\n", "0x5\r\n", "\r\n", ";\r\n", "5\r\nhello\r\n0\r\nX: y\nZ: a\r\n\r\n", "1000000000000000\r\n",
    "5\rhello\r\n",
  ])
  func doubtfulChunksAreMalformed(text: String) { #expect(Self.body(text).body.isMalformed) }

  @Test func manySmallChunksAreLegal() {
    let (bytes, _, body) = Self.body(String(repeating: "1\r\nx\r\n", count: 100_000) + "0\r\n\r\n", pieces: 50)
    #expect(bytes.count == 100_000)
    #expect(body.hasEnded)
  }

  @Test func endlessExtensionsAndTrailersAreNot() {
    #expect(Self.body("5;" + String(repeating: "x", count: 70_000)).body.isMalformed)
    #expect(Self.body("0\r\n" + String(repeating: "X: y\r\n", count: 30_000)).body.isMalformed)
    #expect(Self.body(String(repeating: "1;xxxxxxxx\r\nx\r\n", count: 10_000)).body.isMalformed)
  }
}
