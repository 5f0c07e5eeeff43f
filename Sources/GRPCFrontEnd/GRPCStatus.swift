import CheckedNumbers
import KServe

/// How a call ended: a gRPC status code and what the client is told. Codes: grpc/grpc `doc/statuscodes.md`.
struct GRPCStatus: Error, Sendable, Hashable {
  var code: Int
  var message: String

  init(code: Int, _ message: String = "") {
    self.code = code
    self.message = message
  }

  init(_ error: KServeError) { self.init(code: error.status.grpcCode, error.message) }

  static let ok = GRPCStatus(code: 0)
  static let deadlineExceeded = GRPCStatus(code: 4, "Deadline Exceeded")
  static func invalidArgument(_ message: String) -> GRPCStatus { GRPCStatus(code: 3, message) }
  static func permissionDenied(_ message: String) -> GRPCStatus { GRPCStatus(code: 7, message) }
  static func resourceExhausted(_ message: String) -> GRPCStatus { GRPCStatus(code: 8, message) }
  static func unimplemented(_ message: String) -> GRPCStatus { GRPCStatus(code: 12, message) }
  static func internalError(_ message: String) -> GRPCStatus { GRPCStatus(code: 13, message) }

  /// The message as the `grpc-message` header carries it: what is not printable ASCII, and '%', percent-encoded byte by byte
  /// (grpc/grpc `doc/PROTOCOL-HTTP2.md`, Percent-Encoded).
  var encodedMessage: String {
    func isPlain(_ byte: UInt8) -> Bool { (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "%") }
    if message.utf8.allSatisfy(isPlain) { return message }
    let digits = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    for byte in message.utf8 {
      if isPlain(byte) {
        encoded.append(byte)
      } else {
        encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }
}
