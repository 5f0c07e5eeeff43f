import CheckedNumbers
import NIOCore
import NIOHPACK

/// A client's end of an HTTP/2 connection that carries one gRPC call at a time (RFC 9113; grpc/grpc `doc/PROTOCOL-HTTP2.md`). Bytes go in and
/// come out; no socket, no clock. Our own header blocks need no compression state, the peer's are read by NIOHPACK.
struct HTTP2Session {
  /// What the peer's bytes came to.
  enum Outcome: Equatable {
    /// The call is not over, or there is none.
    case pending
    /// The call has its answer: `status`, `message`.
    case answered
    /// The peer took the call back.
    case reset
    /// What came is no HTTP/2.
    case broken
  }

  private enum FrameType: UInt8 {
    case data = 0, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate, continuation
  }

  private enum Flag {
    static let endStream: UInt8 = 0x1
    static let acknowledge: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
    static let priority: UInt8 = 0x20
  }

  /// RFC 9113, 6.5.2: what both sides start from.
  private static let defaultWindow = 65_535
  private static let defaultFrameSize = 16_384
  private static let largestWindow = 0x7FFF_FFFF
  /// A header block longer than this is no answer's.
  private static let blockLimit = 1 << 18
  /// An answer longer than this is none.
  private static let messageLimit = 1 << 30

  /// To be sent to the peer; the caller takes it out.
  var output: [UInt8] = []
  /// gRPC's status of the answered call; 2 (UNKNOWN) where the peer named none.
  private(set) var status = 0
  /// What the peer said to it.
  private(set) var statusMessage = ""
  /// HTTP's status of the answered call.
  private(set) var httpStatus = 0
  /// The answered call's length-prefixed message.
  private(set) var message: [UInt8] = []
  /// Whether another call may follow.
  private(set) var takesCalls = true

  private var stream: UInt32 = 0
  private var nextStream: UInt32 = 1
  private var isOpen = false
  private var grpcStatus: Int?
  private var dataSent = 0
  private var dataCount = 0
  private var peerFrameSize = HTTP2Session.defaultFrameSize
  private var peerWindow = HTTP2Session.defaultWindow
  private var connectionWindow = HTTP2Session.defaultWindow
  private var streamWindow = 0
  private var unacknowledged = 0
  private var stash: [UInt8] = []
  private var block: [UInt8] = []
  private var blockStream: UInt32 = 0
  private var blockEndsStream = false
  private var decoder = HPACKDecoder(allocator: ByteBufferAllocator())

  /// Begins with the preface: no push, windows as large as they may be.
  init() {
    output = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    frame(.settings, 0, stream: 0, length: 12)
    // ENABLE_PUSH 0, INITIAL_WINDOW_SIZE.
    output += [0, 2, 0, 0, 0, 0, 0, 4]
    append(UInt32(clamping: Self.largestWindow))
    frame(.windowUpdate, 0, stream: 0, length: 4)
    append(UInt32(clamping: Self.largestWindow - Self.defaultWindow))
  }

  // MARK: Sending

  /// Begins a call. `headers` is a header block, `data` the length-prefixed message, which is needed again in `receive` until the call is over.
  mutating func begin(headers: UnsafeRawBufferPointer, data: UnsafeRawBufferPointer) {
    stream = nextStream
    nextStream += 2
    // Stream numbers do not come again (RFC 9113, 5.1.1).
    if nextStream > 0x7FFF_FFF0 { takesCalls = false }
    (isOpen, grpcStatus, httpStatus, statusMessage) = (true, nil, 0, "")
    (dataSent, dataCount, streamWindow) = (0, data.count, peerWindow)
    message.removeAll(keepingCapacity: true)
    frame(.headers, Flag.endHeaders, stream: stream, length: headers.count)
    output.append(contentsOf: headers)
    sendData(data)
  }

  /// As much of the call's message as the peer has room for.
  private mutating func sendData(_ data: UnsafeRawBufferPointer) {
    while isOpen, dataSent < dataCount {
      let count = min(dataCount - dataSent, peerFrameSize, streamWindow, connectionWindow)
      if count <= 0 { return }
      let end = dataSent + count
      frame(.data, end == dataCount ? Flag.endStream : 0, stream: stream, length: count)
      output.append(contentsOf: UnsafeRawBufferPointer(rebasing: data[dataSent..<end]))
      dataSent = end
      streamWindow -= count
      connectionWindow -= count
    }
  }

  private mutating func frame(_ type: FrameType, _ flags: UInt8, stream: UInt32, length: Int) {
    output += [
      UInt8(truncatingIfNeeded: length >> 16), UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length), type.rawValue,
      flags,
    ]
    append(stream)
  }

  private mutating func append(_ value: UInt32) {
    for shift in [24, 16, 8, 0] as [UInt32] { output.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  // MARK: Receiving

  /// Takes what the peer sent, in any pieces. `data` is the open call's message.
  mutating func receive(_ bytes: UnsafeRawBufferPointer, data: UnsafeRawBufferPointer) -> Outcome {
    if stash.isEmpty {
      let (used, outcome) = frames(bytes, data)
      if used < bytes.count { stash.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[used...])) }
      return outcome
    }
    stash.append(contentsOf: bytes)
    // Out while it is read, so that nothing is copied.
    var whole: [UInt8] = []
    swap(&whole, &stash)
    let (used, outcome) = whole.withUnsafeBytes { frames($0, data) }
    whole.removeFirst(used)
    swap(&whole, &stash)
    return outcome
  }

  private mutating func frames(_ bytes: UnsafeRawBufferPointer, _ data: UnsafeRawBufferPointer) -> (used: Int, Outcome) {
    var position = 0
    var result = Outcome.pending
    while bytes.count - position >= 9 {
      let length = Int(bytes[position]) << 16 | Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
      guard length <= Self.defaultFrameSize else { return (position, .broken) }
      guard bytes.count - position - 9 >= length else { break }
      let payload = UnsafeRawBufferPointer(rebasing: bytes[(position + 9)..<(position + 9 + length)])
      let stream = Self.integer(bytes, position + 5) & 0x7FFF_FFFF
      let outcome = take(bytes[position + 3], flags: bytes[position + 4], stream: stream, payload, data)
      position += 9 + length
      if outcome == .broken { return (position, .broken) }
      if outcome != .pending { result = outcome }
    }
    return (position, result)
  }

  private static func integer(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
    (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[offset + $1]) }
  }

  private mutating func take(
    _ type: UInt8, flags: UInt8, stream: UInt32, _ payload: UnsafeRawBufferPointer, _ data: UnsafeRawBufferPointer
  ) -> Outcome {
    // Types nobody knows are to be ignored (RFC 9113, 4.1).
    guard let type = FrameType(rawValue: type) else { return .pending }
    // Between the parts of a header block nothing else may come.
    if blockStream != 0, type != .continuation || stream != blockStream { return .broken }
    switch type {
    case .data: return takeData(flags, stream, payload)
    case .headers: return takeHeaders(flags, stream, payload)
    case .continuation:
      guard blockStream != 0, block.count + payload.count <= Self.blockLimit else { return .broken }
      block.append(contentsOf: payload)
      return flags & Flag.endHeaders != 0 ? endBlock() : .pending
    case .reset:
      guard payload.count == 4 else { return .broken }
      guard isOpen, stream == self.stream else { return .pending }
      isOpen = false
      return .reset
    case .settings: return takeSettings(flags, payload, data)
    case .ping:
      guard payload.count == 8 else { return .broken }
      if flags & Flag.acknowledge == 0 {
        frame(.ping, Flag.acknowledge, stream: 0, length: 8)
        output.append(contentsOf: payload)
      }
      return .pending
    case .goAway:
      guard payload.count >= 8 else { return .broken }
      takesCalls = false
      guard isOpen, Self.integer(payload, 0) & 0x7FFF_FFFF < self.stream else { return .pending }
      isOpen = false
      return .reset
    case .windowUpdate:
      guard payload.count == 4 else { return .broken }
      let added = Int(Self.integer(payload, 0) & 0x7FFF_FFFF)
      if stream == 0 { connectionWindow += added } else if stream == self.stream { streamWindow += added }
      guard max(connectionWindow, streamWindow) <= Self.largestWindow else { return .broken }
      sendData(data)
      return .pending
    case .priority: return .pending
    case .pushPromise: return .broken
    }
  }

  private mutating func takeSettings(_ flags: UInt8, _ payload: UnsafeRawBufferPointer, _ data: UnsafeRawBufferPointer) -> Outcome {
    if flags & Flag.acknowledge != 0 { return payload.isEmpty ? .pending : .broken }
    guard payload.count % 6 == 0 else { return .broken }
    for offset in stride(from: 0, to: payload.count, by: 6) {
      let value = Int(Self.integer(payload, offset + 2))
      switch UInt16(payload[offset]) << 8 | UInt16(payload[offset + 1]) {
      case 4:
        guard value <= Self.largestWindow else { return .broken }
        streamWindow += value - peerWindow
        peerWindow = value
      case 5:
        guard (Self.defaultFrameSize...0xFF_FFFF).contains(value) else { return .broken }
        peerFrameSize = value
      default: break
      }
    }
    frame(.settings, Flag.acknowledge, stream: 0, length: 0)
    sendData(data)
    return .pending
  }

  private static func unpadded(_ flags: UInt8, _ payload: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    guard flags & Flag.padded != 0 else { return payload }
    guard let padding = payload.first, Int(padding) < payload.count else { return nil }
    return UnsafeRawBufferPointer(rebasing: payload[1..<(payload.count - Int(padding))])
  }

  private mutating func takeData(_ flags: UInt8, _ stream: UInt32, _ payload: UnsafeRawBufferPointer) -> Outcome {
    guard let content = Self.unpadded(flags, payload), stream != 0 else { return .broken }
    unacknowledged += payload.count
    // Half of the connection's window; a stream's own is never used up.
    if unacknowledged > Self.largestWindow / 2 {
      frame(.windowUpdate, 0, stream: 0, length: 4)
      append(UInt32(clamping: unacknowledged))
      unacknowledged = 0
    }
    guard isOpen, stream == self.stream else { return .pending }
    guard message.count + content.count <= Self.messageLimit else { return .broken }
    message.append(contentsOf: content)
    return flags & Flag.endStream != 0 ? endCall() : .pending
  }

  private mutating func takeHeaders(_ flags: UInt8, _ stream: UInt32, _ payload: UnsafeRawBufferPointer) -> Outcome {
    guard var content = Self.unpadded(flags, payload), stream != 0 else { return .broken }
    if flags & Flag.priority != 0 {
      guard content.count >= 5 else { return .broken }
      content = UnsafeRawBufferPointer(rebasing: content[5...])
    }
    block.removeAll(keepingCapacity: true)
    block.append(contentsOf: content)
    (blockStream, blockEndsStream) = (stream, flags & Flag.endStream != 0)
    return flags & Flag.endHeaders != 0 ? endBlock() : .pending
  }

  private mutating func endBlock() -> Outcome {
    let stream = blockStream
    blockStream = 0
    var buffer = ByteBuffer(bytes: block)
    // Decoded whosever it is: the table that later blocks refer to is the connection's.
    guard let headers = try? decoder.decodeHeaders(from: &buffer) else { return .broken }
    guard isOpen, stream == self.stream else { return .pending }
    for header in headers {
      switch header.name {
      case ":status": httpStatus = Int(header.value) ?? 0
      case "grpc-status": grpcStatus = Int(header.value) ?? 2
      case "grpc-message": statusMessage = String(header.value.prefix(300))
      default: break
      }
    }
    return blockEndsStream ? endCall() : .pending
  }

  private mutating func endCall() -> Outcome {
    isOpen = false
    status = grpcStatus ?? 2
    if dataSent < dataCount {
      // Answered before all was asked: the rest is not wanted. CANCEL.
      frame(.reset, 0, stream: stream, length: 4)
      append(8)
    }
    return .answered
  }
}
