import KServe
import LoadModel

/// A connection of the generator: a user of a closed loop, or one of an open loop's pool. Pure: what comes off the socket goes in, and what
/// became of it comes out; what is to be written lies ready.
struct LoadConnection {
  /// From the first packet to the last.
  enum State { case closed, connecting, securing, idle, sending, awaitingHead, readingBody, readingChunks, readingToEnd }

  /// What became of it, for whoever keeps the connections.
  enum Outcome: Equatable {
    /// Nothing that anybody waits for.
    case goesOn
    /// It can carry requests.
    case ready
    /// Its request was answered, well (nil) or not.
    case answered(LoadErrorKind?, keepsAlive: Bool)
    /// Its request will have no answer, and it can carry no other.
    case failed(LoadErrorKind)
    /// It could not be made.
    case unreachable
    /// Nothing was asked of it, and nothing can be any more.
    case dropped
  }

  var state = State.closed
  /// Whether a request waits for the connection to be made.
  var hasRequest = false
  /// Index into the plan.
  var request = 0
  /// Instants in nanoseconds of the run's clock: when the request was due, and when its first byte was given to the socket.
  var due: Int64 = 0
  var sentAt: Int64 = 0
  private var bytesSent = 0
  private var head = AnswerHead()
  private var bodyLeft = 0
  private var chunks = ChunkedBody()
  /// A head in pieces, then a body in pieces where it will be looked at.
  private var stash: [UInt8] = []
  /// What TLS and gRPC have of their own; a plain connection costs none of it.
  private(set) var layers: ConnectionLayers?

  /// Whether a request is on its way, in either direction.
  var carriesRequest: Bool {
    switch state {
    case .sending, .awaitingHead, .readingBody, .readingChunks, .readingToEnd: true
    case .closed, .connecting, .securing, .idle: false
    }
  }

  // MARK: - Its life

  /// A socket is being connected for it.
  mutating func opens() { state = .connecting }

  /// The socket is connected. `layers`: what lies between requests and the socket, nil for plain HTTP.
  mutating func connected(_ layers: ConnectionLayers?) -> Outcome {
    self.layers = layers
    if layers?.tls != nil {
      state = .securing
      return .goesOn
    }
    state = .idle
    return .ready
  }

  /// The socket is gone. What is left of its request is the next connection's.
  mutating func closes() {
    state = .closed
    layers = nil
    stash.removeAll(keepingCapacity: true)
  }

  /// The answer is read, and it waits for the next request.
  mutating func rests() { state = .idle }

  /// The socket failed, or the peer reset it.
  var broken: Outcome {
    switch state {
    case .closed: .goesOn
    case .connecting, .securing: .unreachable
    case .idle: .dropped
    case .sending, .awaitingHead, .readingBody, .readingChunks, .readingToEnd: .failed(.connection)
    }
  }

  /// The peer sends no more.
  mutating func peerClosed(_ plan: SharedPlan, _ samples: inout ErrorSamples) -> Outcome {
    guard case .readingToEnd = state else { return broken }
    return finish(UnsafeRawBufferPointer(start: nil, count: 0), isStashed: true, plan, &samples)
  }

  /// What a timeout means at that instant; `goesOn` where nothing is over.
  func timedOut(at now: Int64, after timeout: Int64) -> Outcome {
    switch state {
    case .closed, .idle: .goesOn
    case .connecting, .securing: hasRequest && now - due > timeout ? .unreachable : .goesOn
    case .sending, .awaitingHead, .readingBody, .readingChunks, .readingToEnd: now - sentAt > timeout ? .failed(.timeout) : .goesOn
    }
  }

  // MARK: - Sending

  /// Begins a request of the plan; its bytes are the connection's output now.
  mutating func begin(_ request: Int, at now: Int64, _ plan: SharedPlan) {
    self.request = request
    bytesSent = 0
    sentAt = now
    hasRequest = false
    guard let layers else {
      state = .sending
      return
    }
    state = .awaitingHead
    plan.withBytes(of: request) { headers, data in layers.begin(headers: headers, data: data) }
  }

  /// Gives what is to be written to `body`, which answers how many bytes of it were taken, or less than none. Gives that on; nil where nothing
  /// is to be written.
  mutating func write(_ plan: SharedPlan, _ body: (UnsafeRawBufferPointer) -> Int) -> Int? {
    if let layers { return layers.write(body) }
    guard state == .sending else { return nil }
    let taken = plan.withBytes(of: request, from: bytesSent, body)
    if taken > 0 {
      bytesSent += taken
      if bytesSent == plan.requests[request].count { state = .awaitingHead }
    }
    return taken
  }

  // MARK: - Receiving

  /// Bytes off the socket.
  mutating func receive(_ bytes: UnsafeRawBufferPointer, _ plan: SharedPlan, _ samples: inout ErrorSamples) -> Outcome {
    guard let layers else { return consume(bytes, plan, &samples) }
    guard let tls = layers.tls else { return receive(plaintext: bytes, layers, plan, &samples) }
    var plaintext: [UInt8] = []
    if !tls.receive(bytes, { plaintext += $0 }) {
      if state == .securing { samples.note(.connect, "TLS: \(tls.failure ?? "")") }
      return broken
    }
    if state == .securing {
      guard tls.isEstablished else { return .goesOn }
      state = .idle
      // A server's first words come with the end of the handshake: before a request, so that they are not taken for its answer.
      let said = plaintext.withUnsafeBytes { receive(plaintext: $0, layers, plan, &samples) }
      return said == .goesOn ? .ready : .unreachable
    }
    return plaintext.withUnsafeBytes { receive(plaintext: $0, layers, plan, &samples) }
  }

  private mutating func receive(
    plaintext bytes: UnsafeRawBufferPointer, _ layers: ConnectionLayers, _ plan: SharedPlan, _ samples: inout ErrorSamples
  ) -> Outcome {
    if bytes.isEmpty { return .goesOn }
    if layers.http2 == nil { return consume(bytes, plan, &samples) }
    let outcome = plan.withBytes(of: request) { _, data in layers.receive(bytes, data: data) }
    guard let session = layers.http2 else { return .goesOn }
    guard state == .awaitingHead else {
      // The peer breaks the protocol or is going away, and nobody waits for it.
      return outcome == .broken || !session.takesCalls ? .dropped : .goesOn
    }
    switch outcome {
    case .answered: return finish(session, plan, &samples)
    case .reset: return .failed(.connection)
    case .broken: return .failed(.protocolBroken)
    default: return .goesOn
    }
  }

  /// A gRPC call's answer.
  private func finish(_ session: HTTP2Session, _ plan: SharedPlan, _ samples: inout ErrorSamples) -> Outcome {
    var kind = Self.fault(ofStatus: session.httpStatus)
    if kind == nil {
      if session.status != 0 {
        kind = .grpcStatus
      } else if let expectation = plan.expectations[request] {
        kind = LoadErrorKind(session.message.withUnsafeBytes { expectation.fault(inCall: $0) })
      }
    }
    if let kind { samples.note(kind, "\(session.status) \(session.statusMessage)") }
    return .answered(kind, keepsAlive: session.takesCalls)
  }

  /// Bytes of an answer, whatever piece of it.
  private mutating func consume(_ bytes: UnsafeRawBufferPointer, _ plan: SharedPlan, _ samples: inout ErrorSamples) -> Outcome {
    switch state {
    case .awaitingHead, .sending:
      if stash.isEmpty { return readHead(bytes, plan, &samples) }
      stash.append(contentsOf: bytes)
      // Out of the connection while it is read: the body's pieces go back in.
      let whole = stash
      stash = []
      return whole.withUnsafeBytes { readHead($0, plan, &samples) }
    case .readingBody, .readingChunks, .readingToEnd: return readBody(bytes, plan, &samples)
    case .closed, .connecting, .securing: return .goesOn
    // Bytes nobody asked for.
    case .idle: return .dropped
    }
  }

  private mutating func readHead(_ bytes: UnsafeRawBufferPointer, _ plan: SharedPlan, _ samples: inout ErrorSamples) -> Outcome {
    switch AnswerHead.read(bytes) {
    case .incomplete:
      stash = Array(bytes)
      return .goesOn
    case .malformed: return .failed(.protocolBroken)
    case .complete(let head):
      let rest = UnsafeRawBufferPointer(rebasing: bytes[head.byteCount...])
      if (100..<200).contains(head.status) { return rest.isEmpty ? .goesOn : readHead(rest, plan, &samples) }
      self.head = head
      if head.hasNoBody {
        bodyLeft = 0
        state = .readingBody
      } else if head.isChunked {
        chunks = ChunkedBody()
        state = .readingChunks
      } else if head.contentLength >= 0 {
        bodyLeft = head.contentLength
        state = .readingBody
      } else {
        self.head.keepsAlive = false
        state = .readingToEnd
      }
      return readBody(rest, plan, &samples)
    }
  }

  private mutating func readBody(_ bytes: UnsafeRawBufferPointer, _ plan: SharedPlan, _ samples: inout ErrorSamples) -> Outcome {
    let keeps = plan.hasExpectations && head.status == 200
    switch state {
    case .readingBody:
      guard bytes.count >= bodyLeft else {
        if keeps { stash.append(contentsOf: bytes) }
        bodyLeft -= bytes.count
        return .goesOn
      }
      // Most answers come in one piece and are looked at where they lie.
      let isStashed = keeps && !stash.isEmpty
      let body = UnsafeRawBufferPointer(rebasing: bytes[0..<bodyLeft])
      if isStashed { stash.append(contentsOf: body) }
      // More than was asked for: such a connection cannot be trusted with another request.
      if bytes.count > bodyLeft { head.keepsAlive = false }
      return finish(body, isStashed: isStashed, plan, &samples)
    case .readingChunks:
      var kept: [UInt8] = []
      swap(&kept, &stash)
      _ = chunks.read(bytes) { if keeps { kept.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[$0])) } }
      swap(&kept, &stash)
      if chunks.isMalformed { return .failed(.protocolBroken) }
      return chunks.hasEnded ? finish(UnsafeRawBufferPointer(start: nil, count: 0), isStashed: true, plan, &samples) : .goesOn
    case .readingToEnd:
      if keeps { stash.append(contentsOf: bytes) }
      return .goesOn
    case .closed, .connecting, .securing, .idle, .sending, .awaitingHead: return .goesOn
    }
  }

  private mutating func finish(
    _ body: UnsafeRawBufferPointer, isStashed: Bool, _ plan: SharedPlan, _ samples: inout ErrorSamples
  ) -> Outcome {
    var kind = Self.fault(ofStatus: head.status)
    if kind == nil, plan.hasExpectations, let expectation = plan.expectations[request] {
      let length = head.inferenceHeaderLength
      kind = LoadErrorKind(
        isStashed
          ? stash.withUnsafeBytes { expectation.fault(in: $0, headerLength: length) } : expectation.fault(in: body, headerLength: length))
    }
    if let kind {
      samples.note(
        kind,
        "\(head.status) \(String(decoding: (isStashed ? UnsafeRawBufferPointer(start: nil, count: 0) : body).prefix(300), as: UTF8.self))")
    }
    if !stash.isEmpty { stash.removeAll(keepingCapacity: true) }
    return .answered(kind, keepsAlive: head.keepsAlive)
  }

  private static func fault(ofStatus status: Int) -> LoadErrorKind? {
    switch status {
    case 200..<300: nil
    case 400..<500: .clientStatus
    case 500..<600: .serverStatus
    default: .otherStatus
    }
  }
}

extension LoadErrorKind {
  fileprivate init?(_ fault: AnswerExpectation.Fault?) {
    switch fault {
    case .shape: self = .shape
    case .values: self = .values
    case nil: return nil
    }
  }
}

/// What the first answer of each kind of fault said.
struct ErrorSamples {
  private var seen: Set<LoadErrorKind> = []
  /// Those that nobody has taken yet, each as one line.
  private(set) var fresh: [(kind: LoadErrorKind, text: String)] = []

  /// Keeps the text where it is the first of its kind.
  mutating func note(_ kind: LoadErrorKind, _ text: @autoclosure () -> String) {
    guard seen.insert(kind).inserted else { return }
    let line = text().split(whereSeparator: \.isWhitespace).joined(separator: " ").filter { $0.isASCII && $0 >= " " }
    fresh.append((kind, String(line.prefix(160))))
  }

  /// Takes what is new.
  mutating func take() -> [(kind: LoadErrorKind, text: String)] {
    defer { fresh = [] }
    return fresh
  }
}
