import CheckedNumbers
import Glibc

/// GET over plain HTTP/1.1 with deadlines, for a handful of pages: statistics, metrics, configuration. Blocks its thread.
enum PlainHTTP {
  /// Why there is no answer.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Where a page is.
  struct Address: Equatable {
    let host: String
    let port: String
    let path: String

    init?(_ url: String) {
      var rest = Substring(url)
      if rest.hasPrefix("http://") {
        rest = rest.dropFirst("http://".count)
      } else if rest.contains("://") {
        return nil
      }
      let slash = rest.firstIndex(of: "/") ?? rest.endIndex
      let authority = rest[..<slash]
      path = slash < rest.endIndex ? String(rest[slash...]) : "/"
      if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
        host = String(authority[authority.index(after: authority.startIndex)..<end])
        let tail = authority[authority.index(after: end)...]
        port = tail.hasPrefix(":") ? String(tail.dropFirst()) : "80"
      } else {
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard let first = parts.first, !first.isEmpty, parts.count <= 2 else { return nil }
        host = String(first)
        port = parts.count == 2 ? String(parts[1]) : "80"
      }
      guard let number = Int(port), (1...65_535).contains(number), !path.utf8.contains(where: { $0 <= 0x20 }) else { return nil }
    }
  }

  /// A page is no larger than this.
  static let largestAnswer = 64 << 20
  /// A server that does not answer within this time does not answer, seconds.
  static let timeoutSeconds = 10

  /// The page's bytes.
  static func get(_ url: String) throws(Failure) -> [UInt8] {
    guard let address = Address(url) else { throw Failure(description: "\(url): write http://HOST:PORT/PATH") }
    let socket = try connect(address, url)
    defer { close(socket) }
    let request =
      "GET \(address.path) HTTP/1.1\r\nHost: \(address.host):\(address.port)\r\nAccept: */*\r\nConnection: close\r\nUser-Agent: headroom\r\n\r\n"
    var sent = 0
    let bytes = Array(request.utf8)
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(clamping: MSG_NOSIGNAL)) }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { throw Failure(description: "\(url): \(String(cString: strerror(errno)))") }
      sent += count
    }
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = chunk.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
      if count < 0 && errno == EINTR { continue }
      if count < 0 {
        throw Failure(description: "\(url): \(errno == EAGAIN ? "no answer within \(timeoutSeconds) s" : String(cString: strerror(errno)))")
      }
      if count == 0 { break }
      answer += chunk[..<count]
      if answer.count > largestAnswer { throw Failure(description: "\(url): the answer is larger than 64 MB") }
    }
    return try body(of: answer, url)
  }

  private static func connect(_ address: Address, _ url: String) throws(Failure) -> Int32 {
    var hints = addrinfo()
    hints.ai_socktype = Int32(clamping: SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(address.host, address.port, &hints, &list)
    guard status == 0, let first = list else {
      throw Failure(description: "\(url): \(address.host) is no known host (\(String(cString: gai_strerror(status))))")
    }
    defer { freeaddrinfo(first) }
    var reason = "cannot connect"
    var next: UnsafeMutablePointer<addrinfo>? = first
    while let info = next?.pointee {
      let handle = socket(info.ai_family, info.ai_socktype, info.ai_protocol)
      if handle >= 0 {
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(clamping: MemoryLayout<timeval>.size))
        setsockopt(handle, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(clamping: MemoryLayout<timeval>.size))
        if Glibc.connect(handle, info.ai_addr, info.ai_addrlen) == 0 { return handle }
        reason = String(cString: strerror(errno))
        close(handle)
      }
      next = info.ai_next
    }
    throw Failure(description: "\(url): \(reason): is the server running there?")
  }

  /// The body of an answer whose connection was closed behind it; chunks are joined.
  static func body(of answer: [UInt8], _ url: String) throws(Failure) -> [UInt8] {
    let gap = Array("\r\n\r\n".utf8)
    guard let head = answer.firstRange(of: gap) else { throw Failure(description: "\(url): the answer is no HTTP") }
    let text = String(decoding: answer[..<head.lowerBound], as: UTF8.self)
    let lines = text.split(separator: "\r\n")
    let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    guard status == 200 else { throw Failure(description: "\(url): answered \(status == 0 ? "no HTTP" : "status \(status)")") }
    let rest = answer[head.upperBound...]
    let isChunked = lines.contains { $0.lowercased().hasPrefix("transfer-encoding:") && $0.lowercased().contains("chunked") }
    if !isChunked { return Array(rest) }
    var joined: [UInt8] = []
    var position = rest.startIndex
    while position < rest.endIndex {
      guard let end = rest[position...].firstIndex(of: UInt8(ascii: "\n")) else { break }
      let size = String(decoding: rest[position..<end], as: UTF8.self).prefix { $0.isHexDigit }
      guard let length = Int(size, radix: 16), length >= 0 else { throw Failure(description: "\(url): a chunk's size cannot be read") }
      let from = end + 1
      guard length <= rest.endIndex - from else { throw Failure(description: "\(url): the answer ends inside a chunk") }
      if length == 0 { break }
      joined += rest[from..<from + length]
      position = min(rest.endIndex, from + length + 2)
    }
    return joined
  }

  /// Lets time pass.
  static func pause(seconds: Double) { usleep(UInt32(saturating: seconds * 1e6)) }
}
