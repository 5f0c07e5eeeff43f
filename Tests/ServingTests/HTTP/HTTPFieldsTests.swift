import KServe
import Testing

@testable import HTTPFrontEnd
@testable import Serving

/// Fields that are looked at rarely, found in the head's bytes when they are asked for.
@Suite struct HTTPFieldsTests {
  private static func fields<Value>(_ text: String, _ read: (HTTPFields) -> Value) throws -> Value {
    try Array(text.utf8).withUnsafeBytes { bytes in
      guard case .head(let head) = HTTPRequestParser.parse(bytes) else { throw Unread() }
      return read(HTTPFields(head: head, bytes: bytes))
    }
  }

  private struct Unread: Error {}

  /// RFC 9112, 3.2.2: a target that names a host goes before the field.
  @Test(
    arguments: [
      ("/v2", "Host: a:8000\r\n", "a:8000"), ("http://b:1/v2", "Host: a\r\n", "b:1"), ("http://b/v2", "", "b"), ("/v2", "", nil),
    ] as [(String, String, String?)])
  func theHostIsTheTargetsOrTheFields(target: String, lines: String, host: String?) throws {
    #expect(try Self.fields("GET \(target) HTTP/1.1\r\n\(lines)\r\n") { $0.host } == host)
  }

  @Test func tokensAndOtherFieldsAreTextsOfTheHead() throws {
    let text = "GET /v2 HTTP/1.1\r\nAuthorization: Bearer s3cret\r\nX-Key:  a b \r\n\r\n"
    #expect(try Self.fields(text) { $0.bearerToken } == "s3cret")
    #expect(try Self.fields(text) { $0.value("x-key") } == "a b")
    #expect(try Self.fields("GET /v2 HTTP/1.1\r\nAuthorization: Basic x\r\n\r\n") { $0.bearerToken } == nil)
  }
}
