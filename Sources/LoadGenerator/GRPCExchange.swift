/// One gRPC call at a time, waiting for its answer: metadata, statistics and the answers others are compared with.
public struct GRPCExchange: Sendable {
  /// Where to.
  public let endpoint: Endpoint
  /// Metadata of every call, as "Name: value".
  public let headers: [String]
  private let timeoutSeconds: Int

  /// An exchange with that endpoint.
  public init(_ endpoint: Endpoint, headers: [String] = [], timeoutSeconds: Int = 60) {
    self.endpoint = endpoint
    self.headers = headers
    self.timeoutSeconds = timeoutSeconds
  }

  /// The header block of a call of that method.
  func headerBlock(_ method: String) throws(LoadError) -> [UInt8] {
    try GRPCRequest.headers(method, authority: endpoint.authority, isSecure: endpoint.tls != nil, metadata: headers)
  }

  /// The message a method answers with.
  func call(_ method: String, _ message: [UInt8]) throws(LoadError) -> [UInt8] {
    let headers = try headerBlock(method)
    return try call(method, headers: headers, data: GRPCRequest.prefixed(message))
  }

  /// The same of a call that lies ready.
  func call(_ method: String, headers: [UInt8], data: [UInt8]) throws(LoadError) -> [UInt8] {
    let connection = try BlockingConnection(endpoint, timeoutSeconds: timeoutSeconds)
    var session = HTTP2Session()
    headers.withUnsafeBytes { headers in data.withUnsafeBytes { session.begin(headers: headers, data: $0) } }
    var bytes: [UInt8] = []
    while true {
      let output = session.output
      session.output = []
      try connection.send(output)
      bytes.removeAll(keepingCapacity: true)
      guard try connection.receive(into: &bytes) else {
        throw LoadError(
          "\(connection.place) closed the connection without an answer\(endpoint.tls == nil ? "; if it speaks TLS, write https://" : "")")
      }
      switch bytes.withUnsafeBytes({ bytes in data.withUnsafeBytes { session.receive(bytes, data: $0) } }) {
      case .pending: continue
      case .broken: throw LoadError("\(connection.place) does not speak gRPC; for HTTP leave out --protocol grpc")
      case .reset: throw LoadError("\(connection.place) took the call \(method) back")
      case .answered:
        guard session.httpStatus == 200, session.status == 0 else {
          throw LoadError("\(method): gRPC status \(session.status) (HTTP \(session.httpStatus)): \(session.statusMessage)")
        }
        guard let message = session.message.withUnsafeBytes({ GRPCRequest.message(in: $0).map(Array.init) }) else {
          throw LoadError("\(method): the answer is no gRPC message")
        }
        return message
      }
    }
  }
}
