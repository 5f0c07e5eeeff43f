import Glibc

/// A connection that waits: for what happens once before or beside a run.
final class BlockingConnection {
  /// Where to, for messages.
  let place: String
  private let descriptor: Int32
  private var tls: TLSSession?
  private var chunk = [UInt8](repeating: 0, count: 1 << 16)

  /// Connects, and agrees on TLS where the endpoint wants it.
  init(_ endpoint: Endpoint, timeoutSeconds: Int) throws(LoadError) {
    place = "\(endpoint.host):\(endpoint.port)"
    descriptor = endpoint.socket(isBlocking: true)
    guard descriptor >= 0 else { throw LoadError.system("cannot connect to \(place)") }
    var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(clamping: MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(clamping: MemoryLayout<timeval>.size))
    guard let settings = endpoint.tls else { return }
    do { tls = try TLSSession(settings, host: endpoint.host, port: endpoint.port) } catch {
      throw LoadError("\(place): TLS: \(TLSSession.words(error))")
    }
    var nothing: [UInt8] = []
    while let tls, !tls.isEstablished {
      try flush(tls)
      guard try receive(into: &nothing) else { throw LoadError("\(place) closed the connection before TLS was agreed on") }
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func send(_ bytes: [UInt8]) throws(LoadError) {
    guard let tls else { return try write(bytes) }
    bytes.withUnsafeBytes { tls.send($0) }
    try flush(tls)
  }

  private func flush(_ tls: TLSSession) throws(LoadError) {
    var output: [UInt8] = []
    tls.takeOutput(into: &output)
    try write(output)
  }

  private func write(_ bytes: [UInt8]) throws(LoadError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(clamping: MSG_NOSIGNAL)) }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { throw LoadError.system("\(place) took no request") }
      sent += count
    }
  }

  /// Appends what came; false when the peer has closed.
  func receive(into bytes: inout [UInt8]) throws(LoadError) -> Bool {
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count < 0 && errno == EINTR { continue }
      if count < 0 { throw LoadError.system("\(place) sent no answer") }
      if count == 0 { return false }
      guard let tls else {
        bytes.append(contentsOf: chunk[0..<count])
        return true
      }
      var plaintext: [UInt8] = []
      let isFine = chunk.withUnsafeBytes { tls.receive(UnsafeRawBufferPointer(rebasing: $0[0..<count])) { plaintext += $0 } }
      if !isFine { throw LoadError("\(place): TLS: \(tls.failure ?? "broken")") }
      bytes += plaintext
      try flush(tls)
      return true
    }
  }
}
