import CheckedNumbers
import Glibc

/// Why a run could not be started, or not be prepared.
public struct LoadError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was wrong, and what to do.
  public let description: String

  /// An error with that text.
  public init(_ description: String) { self.description = description }

  static func system(_ action: String, _ code: Int32 = errno) -> LoadError { LoadError("\(action): \(String(cString: strerror(code)))") }
}

/// Where requests go: a host's address, looked up once.
public struct Endpoint: Sendable {
  /// As it was given.
  public let host: String
  /// TCP port.
  public let port: Int
  /// How connections are secured; nil: not at all.
  public let tls: TLSSettings?
  private let address: Address

  /// One of a name's addresses.
  struct Address: Sendable, Hashable {
    var family: Int32
    /// A sockaddr with its port.
    var bytes: [UInt8]
  }

  /// What a Host header says.
  public var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (tls == nil ? 80 : 443) ? name : "\(name):\(port)"
  }

  /// Looks the host up.
  public init(host: String, port: Int, tls: TLSSettings? = nil) throws(LoadError) {
    guard (1...65_535).contains(port) else { throw LoadError("port \(port): a port is from 1 to 65535") }
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(clamping: SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    var addresses: [Address] = []
    var next = code == 0 ? list : nil
    while let entry = next?.pointee {
      if let pointer = entry.ai_addr {
        addresses.append(
          Address(family: entry.ai_family, bytes: Array(UnsafeRawBufferPointer(start: pointer, count: Int(clamping: entry.ai_addrlen)))))
      }
      next = entry.ai_next
    }
    guard let address = Self.chosen(addresses) else { throw LoadError("\(host): \(String(cString: gai_strerror(code)))") }
    self.host = host
    self.port = port
    self.tls = tls
    self.address = address
  }

  /// The first address behind which somebody listens. "localhost" is ::1 and then 127.0.0.1 in many a system's hosts file, and a server listens on
  /// one of them. The first where none answers: its error is then the one that is told.
  static func chosen(_ addresses: [Address]) -> Address? {
    addresses.count < 2 ? addresses.first : addresses.first(where: isListening) ?? addresses.first
  }

  private static let probeMilliseconds: Int32 = 1000

  private static func isListening(_ address: Address) -> Bool {
    let descriptor = socket(to: address, isBlocking: false)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var entry = pollfd(fd: descriptor, events: Int16(clamping: POLLOUT), revents: 0)
    guard poll(&entry, 1, probeMilliseconds) == 1 else { return false }
    var failure: Int32 = 0
    var length = socklen_t(clamping: MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 && failure == 0
  }

  /// A socket that is connecting, or connected already.
  func socket(isBlocking: Bool) -> Int32 { Self.socket(to: address, isBlocking: isBlocking) }

  private static func socket(to address: Address, isBlocking: Bool) -> Int32 {
    let flags =
      Int32(clamping: SOCK_STREAM.rawValue) | Int32(clamping: SOCK_CLOEXEC.rawValue)
      | (isBlocking ? 0 : Int32(clamping: SOCK_NONBLOCK.rawValue))
    let descriptor = Glibc.socket(address.family, flags, 0)
    guard descriptor >= 0 else { return -1 }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(clamping: IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(clamping: MemoryLayout<Int32>.size))
    let status = address.bytes.withUnsafeBytes { raw -> Int32 in
      guard let base = raw.baseAddress else { return -1 }
      return connect(descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(clamping: raw.count))
    }
    if status != 0 && errno != EINPROGRESS {
      let code = errno
      close(descriptor)
      errno = code
      return -1
    }
    return descriptor
  }

  /// As many descriptors as the system lets us have; returns how many that is.
  public static func raiseDescriptorLimit() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(clamping: RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(clamping: RLIMIT_NOFILE.rawValue), &limit)
    getrlimit(__rlimit_resource_t(clamping: RLIMIT_NOFILE.rawValue), &limit)
    return Int(clamping: limit.rlim_cur)
  }
}
