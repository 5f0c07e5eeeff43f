import CheckedNumbers
import CLinux
import Glibc
import TimeBase

/// One end of a socket that carries messages. Used by one thread at a time; its owner says which.
final class EngineChannel {
  let descriptor: Int32
  private var outgoing: [UInt8] = []
  private var incoming: [UInt8] = []

  /// Why no message came or went.
  enum Failure: Error, Sendable, CustomStringConvertible {
    /// The other end is gone.
    case closed
    case timedOut
    case message(EngineMessageError)
    case system(String)

    var description: String {
      switch self {
      case .closed: "the other process is gone"
      case .timedOut: "the other process does not answer"
      case .message(let error): "\(error)"
      case .system(let reason): reason
      }
    }
  }

  init(taking descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Two ends, neither of them inherited by other programs.
  static func pair() throws(DeviceError) -> (ours: EngineChannel, theirs: EngineChannel) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(clamping: SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw DeviceError(.instanceLost, "no socket for an engine's process can be had: \(String(cString: strerror(errno)))")
    }
    return (EngineChannel(taking: ends[0]), EngineChannel(taking: ends[1]))
  }

  /// How long `receive` waits, and `send` where the other end does not read.
  func limit(_ span: TimeSpan) {
    let nanoseconds = max(1_000_000, span.nanoseconds)
    var time = timeval(tv_sec: Int(clamping: nanoseconds / 1_000_000_000), tv_usec: Int(clamping: nanoseconds % 1_000_000_000 / 1000))
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(clamping: MemoryLayout<timeval>.size))
    }
  }

  /// Whether the other end is there still, as far as can be told without waiting.
  var isOpen: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(clamping: POLLIN), revents: 0)
    // Nothing is due to come before something was asked: what can be read now is the end, or a fault.
    return poll(&entry, 1, 0) == 0
  }

  func send(_ message: EngineMessage, _ descriptors: [Int32] = []) throws(Failure) {
    message.encode(into: &outgoing)
    var offset = 0
    while offset < outgoing.count {
      let sent = outgoing.withUnsafeBytes { bytes in
        headroom_send(
          descriptor, bytes.baseAddress.map { $0 + offset }, bytes.count - offset, descriptors,
          offset == 0 ? Int32(clamping: descriptors.count) : 0)
      }
      if sent < 0 {
        if errno == EINTR { continue }
        throw Self.failure("sent")
      }
      offset += sent
    }
  }

  /// The next message, and the descriptors that came with it, which the caller closes.
  func receive() throws(Failure) -> (message: EngineMessage, descriptors: [Int32]) {
    var descriptors: [Int32] = []
    do throws(Failure) {
      try fill(EngineMessage.headerBytes, &descriptors)
      let header = try Self.decoded { () throws(EngineMessageError) in try EngineMessage.header(incoming[...]) }
      try fill(header.payloadBytes, &descriptors)
      let message = try Self.decoded { () throws(EngineMessageError) in try EngineMessage(kind: header.kind, payload: incoming[...]) }
      return (message, descriptors)
    } catch {
      for descriptor in descriptors { close(descriptor) }
      throw error
    }
  }

  private static func decoded<Value>(_ body: () throws(EngineMessageError) -> Value) throws(Failure) -> Value {
    do throws(EngineMessageError) { return try body() } catch { throw .message(error) }
  }

  private func fill(_ count: Int, _ descriptors: inout [Int32]) throws(Failure) {
    incoming.removeAll(keepingCapacity: true)
    while incoming.count < count {
      let start = incoming.count
      // At most 64 KiB more than there is: a length is not believed before its bytes come.
      let part = min(count - start, 1 << 16)
      incoming.append(contentsOf: repeatElement(0, count: part))
      var files: [Int32] = [-1, -1, -1, -1, -1, -1, -1, -1]
      var found: Int32 = 0
      let received = incoming.withUnsafeMutableBytes { bytes in
        headroom_receive(descriptor, bytes.baseAddress.map { $0 + start }, part, &files, &found)
      }
      let reason = errno
      incoming.removeLast(part - max(0, received))
      descriptors += files.prefix(Int(clamping: found))
      if received == 0 { throw .closed }
      if received < 0 {
        if reason == EINTR { continue }
        errno = reason
        throw Self.failure("received")
      }
    }
  }

  private static func failure(_ what: String) -> Failure {
    switch errno {
    case EAGAIN, EWOULDBLOCK: .timedOut
    case EPIPE, ECONNRESET: .closed
    case let reason: .system("a message to an engine's process cannot be \(what): \(String(cString: strerror(reason)))")
    }
  }
}
