import CheckedNumbers
import Glibc
import Threads
import TimeBase

/// The client of a calibration: blocking sockets of one thread, every request made of the same bytes.
package final class CalibrationClient {
  private var sockets: [Int32] = []
  private var buffer = [UInt8](repeating: 0, count: 1 << 18)
  /// Bytes of a whole answer; known after the first one.
  private var answerBytes = 0

  /// Connections to a port of this machine.
  package init(port: Int, connections: Int) throws(CalibrationError) {
    for _ in 0..<connections {
      let file = socket(AF_INET, Int32(clamping: SOCK_STREAM.rawValue) | Int32(clamping: SOCK_CLOEXEC.rawValue), 0)
      guard file >= 0 else { throw CalibrationError("no socket: \(String(cString: strerror(errno)))") }
      sockets.append(file)
      var one: Int32 = 1
      setsockopt(file, Int32(clamping: IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(clamping: MemoryLayout<Int32>.size))
      // An answer that never comes must not hang the calibration.
      var limit = timeval(tv_sec: 10, tv_usec: 0)
      setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(clamping: MemoryLayout<timeval>.size))
      var address = sockaddr_in()
      address.sin_family = sa_family_t(clamping: AF_INET)
      address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
      address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
      let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(file, $0, socklen_t(clamping: MemoryLayout<sockaddr_in>.size)) }
      }
      guard status == 0 else { throw CalibrationError("port \(port) of this machine: \(String(cString: strerror(errno)))") }
    }
  }

  deinit { for file in sockets { close(file) } }

  package var connections: Int { sockets.count }

  /// A request on every connection, then every answer.
  package func round(_ request: [UInt8]) throws(CalibrationError) {
    for file in sockets { try send(request, to: file) }
    for file in sockets { try receive(from: file) }
  }

  private func send(_ bytes: [UInt8], to file: Int32) throws(CalibrationError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { raw in raw.baseAddress.map { write(file, $0 + sent, raw.count - sent) } ?? -1 }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw CalibrationError("a request could not be sent: \(String(cString: strerror(errno)))") }
      sent += count
    }
  }

  private func receive(from file: Int32) throws(CalibrationError) {
    var received = 0
    while answerBytes == 0 || received < answerBytes {
      let count = buffer.withUnsafeMutableBytes { raw in raw.baseAddress.map { read(file, $0 + received, raw.count - received) } ?? -1 }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw CalibrationError("no answer came: \(count == 0 ? "the server hung up" : String(cString: strerror(errno)))")
      }
      received += count
      if answerBytes == 0 { answerBytes = try wholeAnswer(received) ?? 0 }
    }
  }

  /// Bytes of the answer that begins here, once its head is there.
  private func wholeAnswer(_ received: Int) throws(CalibrationError) -> Int? {
    let text = String(decoding: buffer[0..<received], as: UTF8.self)
    guard let end = text.utf8.firstRange(of: "\r\n\r\n".utf8) else { return nil }
    guard text.hasPrefix("HTTP/1.1 200") else { throw CalibrationError("the server refused: \(text.prefix(200))") }
    for line in text[..<end.lowerBound].split(separator: "\r\n") where line.lowercased().hasPrefix("content-length:") {
      if let length = Int(line.dropFirst(15).filter { $0 != " " }) {
        return text.utf8.distance(from: text.startIndex, to: end.upperBound) + length
      }
    }
    throw CalibrationError("an answer without its length")
  }
}

extension Collection where Element: Equatable {
  fileprivate func firstRange(of other: some Collection<Element>) -> Range<Index>? {
    var start = startIndex
    while start != endIndex {
      var (mine, its) = (start, other.startIndex)
      while mine != endIndex, its != other.endIndex, self[mine] == other[its] {
        formIndex(after: &mine)
        other.formIndex(after: &its)
      }
      if its == other.endIndex { return start..<mine }
      formIndex(after: &start)
    }
    return nil
  }
}

/// Why a calibration could not be made.
package struct CalibrationError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
