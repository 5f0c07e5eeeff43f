/// What lies between a request's bytes and the socket: TLS, HTTP/2, or both.
final class ConnectionLayers {
  let tls: TLSSession?
  private(set) var http2: HTTP2Session?
  /// For the socket.
  private var output: [UInt8] = []
  private var sent = 0

  init(tls: TLSSession?, isGRPC: Bool) {
    self.tls = tls
    http2 = isGRPC ? HTTP2Session() : nil
  }

  /// A request's bytes: a gRPC call's header block and its message, or plain HTTP's text in `headers` and `data` together.
  func begin(headers: UnsafeRawBufferPointer, data: UnsafeRawBufferPointer) {
    if http2 != nil {
      http2?.begin(headers: headers, data: data)
      return
    }
    if !headers.isEmpty { tls?.send(headers) }
    if !data.isEmpty { tls?.send(data) }
  }

  /// Takes what the peer said on HTTP/2; see `HTTP2Session.receive`. Only where there is such a session.
  func receive(_ bytes: UnsafeRawBufferPointer, data: UnsafeRawBufferPointer) -> HTTP2Session.Outcome {
    http2?.receive(bytes, data: data) ?? .broken
  }

  /// Gives everything the layers have for the socket to `body`; see `LoadConnection.write`.
  func write(_ body: (UnsafeRawBufferPointer) -> Int) -> Int? {
    collect()
    guard sent < output.count else { return nil }
    let taken = output.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
    if taken > 0 { sent += taken }
    if sent == output.count {
      output.removeAll(keepingCapacity: true)
      sent = 0
    }
    return taken
  }

  private func collect() {
    if let frames = http2?.output, !frames.isEmpty, tls?.isEstablished != false {
      http2?.output.removeAll(keepingCapacity: true)
      if let tls { frames.withUnsafeBytes { tls.send($0) } } else { output += frames }
    }
    tls?.takeOutput(into: &output)
  }
}
