import Glibc
import Synchronization
import Threads

/// A server of our own on loopback, a thread a connection, that answers as a test wants: in pieces, late, wrong, or not at all.
final class StandInServer: Sendable {
  /// What happens to a request.
  enum Reply: Sendable {
    /// These bytes, a write each.
    case pieces([String])
    /// Nothing, and the connection stays.
    case silence
    /// These bytes, then the connection is closed.
    case close(String)
  }

  static let ok = Reply.pieces(["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])

  let port: Int
  private let listener: Int32
  private let received = Mutex<[String]>([])
  private let reply: @Sendable (_ number: Int, _ request: String) -> Reply

  init(_ reply: @escaping @Sendable (_ number: Int, _ request: String) -> Reply) {
    self.reply = reply
    listener = socket(AF_INET, Int32(clamping: SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(clamping: AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(clamping: MemoryLayout<sockaddr_in>.size)
    let descriptor = listener
    port = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(descriptor, pointer, length)
        listen(descriptor, 1024)
        getsockname(descriptor, pointer, &length)
      }
      return Int(UInt16(bigEndian: pointer.pointee.sin_port))
    }
    DetachedThread.start(named: "stand-in") { [self] in
      while true {
        let connection = accept(descriptor, nil, nil)
        if connection < 0 {
          // What else goes wrong with one connection ends no listening.
          if errno != EINVAL { continue }
          // By whoever may accept on it: closed by another, its number could be the next server's before this looks again.
          close(descriptor)
          return
        }
        DetachedThread.start(named: "connection") { [self] in serve(connection) }
      }
    }
  }

  /// Ends listening; connections end when their clients go.
  func stop() {
    shutdown(listener, Int32(clamping: SHUT_RDWR))
  }

  /// Requests so far, whole.
  var requests: [String] { received.withLock { $0 } }

  private func serve(_ connection: Int32) {
    defer { close(connection) }
    var text = ""
    var chunk = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      while let request = Self.takeRequest(&text) {
        let number = received.withLock { received in
          received.append(request)
          return received.count - 1
        }
        switch reply(number, request) {
        case .silence: break
        case .pieces(let pieces): for piece in pieces { write(piece, to: connection) }
        case .close(let piece):
          write(piece, to: connection)
          return
        }
      }
      let count = recv(connection, &chunk, chunk.count, 0)
      if count <= 0 { return }
      // Latin-1: bodies may hold any bytes.
      text += String(String.UnicodeScalarView(chunk[0..<count].map { Unicode.Scalar($0) }))
    }
  }

  /// Latin-1 back into bytes.
  private func write(_ text: String, to connection: Int32) {
    let bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    _ = send(connection, bytes, bytes.count, Int32(clamping: MSG_NOSIGNAL))
  }

  private static func takeRequest(_ text: inout String) -> String? {
    let scalars = Array(text.unicodeScalars)
    let blank: [Unicode.Scalar] = ["\r", "\n", "\r", "\n"]
    guard scalars.count >= 4, let end = (0...(scalars.count - 4)).first(where: { Array(scalars[$0..<$0 + 4]) == blank }) else { return nil }
    let head = String(String.UnicodeScalarView(scalars[..<end]))
    let field = head.split(whereSeparator: \.isNewline).first { $0.lowercased().hasPrefix("content-length:") }
    let length = field.flatMap { Int($0.dropFirst("content-length:".count).filter { $0 != " " }) } ?? 0
    guard scalars.count >= end + 4 + length else { return nil }
    text = String(String.UnicodeScalarView(scalars[(end + 4 + length)...]))
    return String(String.UnicodeScalarView(scalars[..<(end + 4 + length)]))
  }
}
