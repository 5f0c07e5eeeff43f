import CheckedNumbers
import CLinux
import Glibc
import Synchronization
import Threads

/// An HTTP server that reads requests to their end and answers every one with the same bytes: what a generator can do when nothing
/// behind it takes time. One thread, loopback, no feature beyond Content-Length.
final class NullServer: Sendable {
  let port: Int
  private let listener: Int32
  private let poller: Int32
  private let isClosing = Atomic<Bool>(false)

  init() throws(ExperimentError) {
    func failed(_ what: String) -> ExperimentError { ExperimentError("the null server: \(what): \(String(cString: strerror(errno)))") }
    listener = socket(
      AF_INET, Int32(clamping: SOCK_STREAM.rawValue) | Int32(clamping: SOCK_NONBLOCK.rawValue) | Int32(clamping: SOCK_CLOEXEC.rawValue), 0)
    guard listener >= 0 else { throw failed("socket") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(clamping: AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(clamping: MemoryLayout<sockaddr_in>.size)
    let listener = self.listener
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, length) == 0 && listen(listener, 1024) == 0 && getsockname(listener, address, &length) == 0
      }
    }
    guard bound else { throw failed("bind") }
    port = Int(UInt16(bigEndian: address.sin_port))
    poller = epoll_create1(0)
    guard poller >= 0 else { throw failed("epoll_create1") }
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    event.data.fd = listener
    guard epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) == 0 else { throw failed("epoll_ctl") }
    DetachedThread.start(named: "null server", hasShortSlice: true) { [self] in serve() }
  }

  func close() { isClosing.store(true, ordering: .relaxed) }

  private static let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok".utf8)

  private func serve() {
    var events = [epoll_event](repeating: epoll_event(), count: 256)
    /// Bytes of a connection's request that are still to come, and what has come of its head.
    var pending: [Int32: (head: [UInt8], body: Int)] = [:]
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while !isClosing.load(ordering: .relaxed) {
      // Half a second at most until it notices that it is to end.
      let count = epoll_wait(poller, &events, Int32(clamping: events.count), 500)
      for index in 0..<Int(max(0, count)) {
        let descriptor = events[index].data.fd
        if descriptor == listener {
          accept(&pending)
          continue
        }
        let read = recv(descriptor, &buffer, buffer.count, 0)
        if read < 0, errno == EAGAIN || errno == EINTR { continue }
        guard read > 0, var state = pending[descriptor] else {
          pending[descriptor] = nil
          Glibc.close(descriptor)
          continue
        }
        let answers = Self.take(buffer[..<read], &state)
        pending[descriptor] = state
        for _ in 0..<answers {
          _ = Self.answer.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(clamping: MSG_NOSIGNAL)) }
        }
      }
    }
    for descriptor in pending.keys { Glibc.close(descriptor) }
    Glibc.close(listener)
    Glibc.close(poller)
  }

  private func accept(_ pending: inout [Int32: (head: [UInt8], body: Int)]) {
    while true {
      let connection = Glibc.accept(listener, nil, nil)
      if connection < 0 { return }
      _ = fcntl(connection, F_SETFL, O_NONBLOCK)
      var on: Int32 = 1
      setsockopt(connection, Int32(clamping: IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(clamping: MemoryLayout<Int32>.size))
      var event = epoll_event()
      event.events = EPOLLIN.rawValue
      event.data.fd = connection
      if epoll_ctl(poller, EPOLL_CTL_ADD, connection, &event) == 0 { pending[connection] = ([], 0) } else { Glibc.close(connection) }
    }
  }

  /// How many requests ended with these bytes.
  static func take(_ bytes: ArraySlice<UInt8>, _ state: inout (head: [UInt8], body: Int)) -> Int {
    var (rest, answers) = (bytes, 0)
    while !rest.isEmpty {
      if state.body > 0 {
        let taken = min(state.body, rest.count)
        state.body -= taken
        rest = rest.dropFirst(taken)
        if state.body == 0 { answers += 1 }
        continue
      }
      guard let byte = rest.popFirst() else { break }
      state.head.append(byte)
      guard byte == UInt8(ascii: "\n"), state.head.suffix(4) == [13, 10, 13, 10] else {
        // No generator of ours writes such a head.
        if state.head.count > 1 << 16 { state.head.removeAll() }
        continue
      }
      state.body = contentLength(state.head)
      state.head.removeAll(keepingCapacity: true)
      if state.body == 0 { answers += 1 }
    }
    return answers
  }

  private static func contentLength(_ head: [UInt8]) -> Int {
    for line in String(decoding: head, as: UTF8.self).split(separator: "\r\n") where line.lowercased().hasPrefix("content-length:") {
      return max(0, Int(line.dropFirst("content-length:".count).filter { $0 != " " }) ?? 0)
    }
    return 0
  }
}
