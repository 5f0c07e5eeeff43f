import KServe
import Testing

/// What is read of a request's head that can be trusted: each field and what it changes.
@Suite struct HTTPRequestHeadTests {
  private static func head(_ lines: String, start: String = "POST /v2 HTTP/1.1") throws -> HTTPRequestHead {
    let outcome = Array("\(start)\r\n\(lines)\r\n".utf8).withUnsafeBytes { HTTPRequestParser.parse($0) }
    guard case .head(let head) = outcome else { throw Unread(outcome: outcome) }
    return head
  }

  private struct Unread: Error { var outcome: HTTPRequestParser.Outcome }

  @Test(arguments: HTTPMethod.allCases) func everyMethodIsTold(method: HTTPMethod) throws {
    #expect(try Self.head("", start: "\(method.rawValue) / HTTP/1.1").method == method)
  }

  /// RFC 9112, 9.3: 1.1 stays open unless it says otherwise, what is older closes unless it says otherwise.
  @Test(arguments: [
    ("HTTP/1.1", "", true, false), ("HTTP/1.1", "Connection: close\r\n", false, true), ("HTTP/1.0", "", false, false),
    ("HTTP/1.0", "Connection: Keep-Alive\r\n", true, false), ("HTTP/2.0", "", true, false), ("HTTP/0.9", "", false, false),
    ("HTTP/1.1", "connection: upgrade, CLOSE\r\n", false, true), ("HTTP/1.1", "Connection: keep-alive, close\r\n", false, true),
  ])
  func connectionsStayOpenByVersionAndField(version: String, lines: String, keepsAlive: Bool, saysClose: Bool) throws {
    let head = try Self.head(lines, start: "GET / \(version)")
    #expect(head.keepsAlive == keepsAlive)
    #expect(head.saysClose == saysClose)
  }

  @Test(arguments: [
    ("", "/v2", ""), ("?", "/v2", ""), ("?a=b", "/v2", "a=b"), ("?a=b?c", "/v2", "a=b?c"), ("/%20?x#y", "/v2/%20", "x#y"),
  ])
  func theQueryIsBehindTheFirstQuestionMark(more: String, path: String, query: String) throws {
    let text = Array("GET /v2\(more) HTTP/1.1\r\n\r\nBODY".utf8)
    guard case .head(let head) = text.withUnsafeBytes({ HTTPRequestParser.parse($0) }) else { throw Unread(outcome: .incomplete) }
    #expect(String(decoding: text[head.path], as: UTF8.self) == path)
    #expect(String(decoding: text[head.query], as: UTF8.self) == query)
    #expect(head.length == text.count - 4)
    #expect(head.authority == nil)
  }

  @Test(
    arguments: [
      ("gzip", .gzip), ("deflate", .deflate), ("gzip, deflate", .gzip), ("deflate, gzip", .deflate), ("deflate;q=0.5, gzip;q=0.6", .gzip),
      ("deflate;q=0.7, gzip;q=0.6", .deflate), ("gzip;q=0", .identity), ("*", .gzip), ("br, identity", .identity), ("", .identity),
      ("GZIP ; q=1.0", .gzip), ("gzip;q=x", .identity),
    ] as [(String, ContentCoding)])
  func theCodingOfTheAnswerIsTheOneWithMostWeight(value: String, coding: ContentCoding) throws {
    #expect(try Self.head("Accept-Encoding: \(value)\r\n").acceptedCoding == coding)
  }

  @Test(
    arguments: [
      ("gzip", .gzip), ("Deflate", .deflate), ("identity", .identity), ("", .identity), ("br", nil), ("gzip, gzip", nil),
    ] as [(String, ContentCoding?)])
  func theCodingOfTheBodyIsOneThatIsKnown(value: String, coding: ContentCoding?) throws {
    #expect(try Self.head("Content-Encoding: \(value)\r\n").contentCoding == coding)
  }

  @Test(arguments: [("17", 17), ("0", 0), ("-3", -3), ("x", nil), ("", nil), ("1 2", nil)] as [(String, Int64?)])
  func theLengthOfTheJSONIsANumberOrSaidToBeNone(value: String, length: Int64?) throws {
    let head = try Self.head("Inference-Header-Content-Length: \(value)\r\n")
    #expect(head.inferenceHeaderLength == .some(length))
    #expect(try Self.head("").inferenceHeaderLength == .none)
  }

  @Test(
    arguments: [("Bearer abc", "abc"), ("bearer  x y", " x y"), ("Basic abc", nil), ("Bearer", nil), ("Bearerabc", nil)]
      as [(String, String?)])
  func onlyABearerTokenIsTaken(value: String, token: String?) throws {
    let text = Array("GET / HTTP/1.1\r\nAuthorization: \(value)\r\n\r\n".utf8)
    guard case .head(let head) = text.withUnsafeBytes({ HTTPRequestParser.parse($0) }) else { throw Unread(outcome: .incomplete) }
    #expect(head.bearerToken.map { String(decoding: text[$0], as: UTF8.self) } == token)
  }

  @Test func otherFieldsAreFlags() throws {
    let plain = try Self.head("X: y\r\n")
    #expect(!plain.expectsContinue && !plain.isChunked && !plain.acceptsHTML && !plain.requiresReal && plain.contentLength == nil)
    #expect(try Self.head("EXPECT: 100-Continue\r\n").expectsContinue)
    #expect(try !Self.head("Expect: 200-ok\r\n").expectsContinue)
    #expect(try Self.head("Transfer-Encoding: Chunked\r\n").isChunked)
    #expect(try Self.head("Accept: text/plain, Text/HTML;q=0.1\r\n").acceptsHTML)
    #expect(try !Self.head("Accept: */*\r\n").acceptsHTML)
    #expect(try Self.head("Headroom-Require-Real: 1\r\n").requiresReal)
    #expect(try !Self.head("Headroom-Require-Real: 10\r\n").requiresReal)
    #expect(try Self.head("Content-Length: 007\r\n").contentLength == 7)
  }

  /// A field that comes twice is all its values: no part of it may pass for the whole.
  @Test func valuesOfARepeatedFieldAreJoined() {
    Array("GET / HTTP/1.1\r\nOrigin: a\r\norigin: b\r\nX: c\r\n\r\n".utf8).withUnsafeBytes { bytes in
      #expect(HTTPRequestParser.value(of: "origin", in: bytes) == "a, b")
      #expect(HTTPRequestParser.value(of: "x", in: bytes) == "c")
      #expect(HTTPRequestParser.value(of: "", in: bytes) == nil)
    }
  }
}
