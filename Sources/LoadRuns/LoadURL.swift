import CheckedNumbers
public import ProcessContract

/// http://HOST:PORT/PATH, or HOST:PORT.
public struct LoadURL: Sendable, Hashable {
  /// A name or an address; IPv6 without its brackets.
  public var host: String
  /// Stated, or the scheme's.
  public var port: Int
  /// With the query; "/" where none is given.
  public var path: String
  /// https.
  public var isSecure = false

  /// `defaultPort` is that of a text without a scheme.
  ///
  /// - Throws: what to write instead.
  public init(_ text: String, defaultPort: Int = 80) throws(UsageError) {
    var rest = text[...]
    var portWithout = defaultPort
    for (scheme, isSecure, port) in [("https://", true, 443), ("http://", false, 80), ("grpcs://", true, 443), ("grpc://", false, 80)]
    where rest.hasPrefix(scheme) {
      rest = rest.dropFirst(scheme.count)
      (self.isSecure, portWithout) = (isSecure, port)
      break
    }
    let slash = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) ?? rest.endIndex
    let authority = rest[..<slash]
    let tail = rest[slash...].prefix { $0 != "#" }
    path = tail.hasPrefix("/") ? String(tail) : "/" + tail
    var portText: Substring?
    if authority.hasPrefix("["), let close = authority.firstIndex(of: "]") {
      host = String(authority[authority.index(after: authority.startIndex)..<close])
      let behind = authority[authority.index(after: close)...]
      portText = behind.hasPrefix(":") ? behind.dropFirst() : nil
    } else if let colon = authority.lastIndex(of: ":") {
      host = String(authority[..<colon])
      portText = authority[authority.index(after: colon)...]
    } else {
      host = String(authority)
    }
    let number = portText.map { Int($0) } ?? portWithout
    guard !host.isEmpty, let number, (1...65_535).contains(number), !path.contains(where: { $0.isWhitespace || $0.isNewline }) else {
      throw UsageError("\(text): write http://HOST:PORT/PATH or https://HOST:PORT/PATH")
    }
    port = number
  }
}
