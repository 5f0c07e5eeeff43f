import JSONReading
import JSONText
import KServe
import NIOCore

/// One answer, before it is written.
struct HTTPAnswer: Sendable {
  enum ContentType: String, Sendable {
    case json = "application/json"
    case plain = "text/plain"
    case metrics = "text/plain; charset=utf-8"
    case octets = "application/octet-stream"
    case html = "text/html; charset=utf-8"
    case events = "text/event-stream; charset=utf-8"
  }

  var status = 200
  /// nil: no such field. The reference server sends some errors before it knows what it will send.
  var contentType: ContentType = .json
  /// Written one behind the other, not copied together.
  var body: [ByteBuffer] = []
  /// Bytes of JSON at the body's start, where tensors follow.
  var inferenceHeaderLength: Int?
  var coding = ContentCoding.identity
  /// The connection ends with it.
  var closes = false
  /// In one chunk: what the generate extension sends.
  var isChunked = false
  /// Further fields.
  var fields: [(String, String)] = []

  static func json(_ value: JSONValue, status: Int = 200) -> HTTPAnswer {
    HTTPAnswer(status: status, body: [ByteBuffer(string: value.serialized(pretty: false))])
  }

  static func empty(_ type: ContentType = .json) -> HTTPAnswer { HTTPAnswer(contentType: type) }

  /// `{"error": text}`.
  static func error(_ status: Int, _ text: String, _ type: ContentType = .json, closes: Bool = false) -> HTTPAnswer {
    var bytes = Array("{\"error\":".utf8)
    JSONString.write(text, into: &bytes)
    bytes.append(UInt8(ascii: "}"))
    return HTTPAnswer(status: status, contentType: type, body: [ByteBuffer(bytes: bytes)], closes: closes)
  }

  static func error(_ error: KServeError, _ type: ContentType = .json) -> HTTPAnswer {
    .error(error.status.httpStatus, error.message, type)
  }

  var byteCount: Int { body.reduce(0) { $0 + $1.readableBytes } }

  /// Reason phrases; 405's is the reference server's own.
  private static func reason(_ status: Int) -> StaticString {
    switch status {
    case 200: "OK"
    case 302: "Found"
    case 400: "Bad Request"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Not Allowed"
    case 408: "Request Timeout"
    case 413: "Content Too Large"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    default: "Unknown"
    }
  }

  /// Status line and fields.
  func writeHead(into buffer: inout ByteBuffer, version: (UInt8, UInt8), keepsAlive: Bool, saidClose: Bool) {
    if version == (1, 1), status == 200 {
      buffer.writeStaticString("HTTP/1.1 200 OK\r\nContent-Type: ")
    } else {
      buffer.writeStaticString("HTTP/")
      buffer.writeInteger(version.0 &+ 0x30)
      buffer.writeStaticString(".")
      buffer.writeInteger(version.1 &+ 0x30)
      buffer.writeStaticString(" ")
      buffer.writeDecimal(status)
      buffer.writeStaticString(" ")
      buffer.writeStaticString(Self.reason(status))
      buffer.writeStaticString("\r\nContent-Type: ")
    }
    buffer.writeString(contentType.rawValue)
    if let inferenceHeaderLength {
      buffer.writeStaticString("\r\nInference-Header-Content-Length: ")
      buffer.writeDecimal(inferenceHeaderLength)
    }
    if coding != .identity {
      buffer.writeStaticString("\r\nContent-Encoding: ")
      buffer.writeString(coding.rawValue)
    }
    if isChunked {
      buffer.writeStaticString("\r\nTransfer-Encoding: chunked")
    } else {
      buffer.writeStaticString("\r\nContent-Length: ")
      buffer.writeDecimal(byteCount)
    }
    for (name, value) in fields {
      buffer.writeStaticString("\r\n")
      buffer.writeString(name)
      buffer.writeStaticString(": ")
      buffer.writeString(value)
    }
    if !keepsAlive && (saidClose || closes || version == (1, 1)) {
      buffer.writeStaticString("\r\nConnection: close")
    } else if keepsAlive && version == (1, 0) {
      buffer.writeStaticString("\r\nConnection: keep-alive")
    }
    buffer.writeStaticString("\r\n\r\n")
  }
}

extension ByteBuffer {
  /// A whole number in decimal, without a String on the way.
  mutating func writeDecimal(_ value: Int) {
    if value < 0 {
      writeString(String(value))
      return
    }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var rest = value
      var first = 20
      repeat {
        first &-= 1
        digits[first] = UInt8(truncatingIfNeeded: rest % 10) &+ 0x30
        rest /= 10
      } while rest > 0
      writeBytes(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digits)[first...]))
    }
  }
}
