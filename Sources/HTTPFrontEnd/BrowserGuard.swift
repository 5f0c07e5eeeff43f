import CheckedNumbers
import KServe

/// Keeps web pages from using a visitor's browser to change this server.
///
/// A server on loopback trusts who can reach it, and every page open in a browser of the same machine can send it a POST without asking
/// (Fetch standard, "CORS-safelisted request-header": a form or `text/plain` body needs no preflight). Browsers say where a request comes from,
/// in `Origin` and `Sec-Fetch-Site`; a page that had its own name resolved to this address (DNS rebinding) shows it in `Host`. Programs send
/// neither of the first two and name the address they connect to, so nothing changes for them.
struct BrowserGuard: Sendable, Hashable {
  /// Further names under which this server may be called (`--control-host`), in lower case.
  var names: Set<String> = []

  /// Why a call that changes the server is refused; nil: it is not. `localAddress`: the address that the client connected to. `isVouchedFor`: it
  /// came with the control token, which no page knows; then it does not matter by which name.
  func refusal(
    origin: String?, fetchSite: String?, host: String?, contentType: String?, localAddress: String?, isVouchedFor: Bool
  ) -> String? {
    switch fetchSite?.lowercased() {
    case nil, "same-origin", "none": break
    // A page of another port of this host is "same-site": a different program all the same.
    case let site?: return "control calls from web pages of other origins are refused (Sec-Fetch-Site: \(site))"
    }
    if let host, !isVouchedFor, !isOurs(host, localAddress) {
      return
        "control calls under the name '\(host)' are refused: it is not this server's; --control-host allows a name, and so does the token of --control-token"
    }
    guard let origin else { return nil }
    guard let host, Self.authority(ofOrigin: origin) == host.lowercased() else {
      return "control calls from web pages of other origins are refused (Origin: \(origin))"
    }
    guard Self.isJSON(contentType) else {
      return "control calls from web pages need Content-Type: application/json"
    }
    return nil
  }

  /// "http://host:port" -> "host:port", in lower case; nil for "null" and for anything else.
  static func authority(ofOrigin origin: String) -> String? {
    let origin = origin.lowercased()
    for scheme in ["http://", "https://"] where origin.hasPrefix(scheme) { return String(origin.dropFirst(scheme.count)) }
    return nil
  }

  static func isJSON(_ contentType: String?) -> Bool {
    guard let contentType else { return false }
    let type = contentType.lowercased().prefix { $0 != ";" }
    return type.filter { $0 != " " && $0 != "\t" } == "application/json"
  }

  func isOurs(_ host: String, _ localAddress: String?) -> Bool {
    guard let name = Self.name(of: host) else { return false }
    if name == "localhost" || name.hasSuffix(".localhost") || name == "::1" || Self.isIPv4Loopback(name) { return true }
    return name == localAddress?.lowercased() || names.contains(name)
  }

  /// Without its port and brackets, in lower case; nil for what is no host with or without a port (RFC 9110, 7.2).
  static func name(of host: String) -> String? {
    let host = host.lowercased()
    let name: Substring
    let rest: Substring
    if host.hasPrefix("[") {
      guard let end = host.firstIndex(of: "]") else { return nil }
      (name, rest) = (host[host.index(after: host.startIndex)..<end], host[host.index(after: end)...])
    } else {
      let end = host.firstIndex(of: ":") ?? host.endIndex
      (name, rest) = (host[..<end], host[end...])
    }
    let port = rest.utf8.dropFirst()
    guard
      rest.isEmpty
        || rest.first == ":" && port.allSatisfy({ (0x30...0x39).contains($0) }) && (port.isEmpty || UInt16(rest.dropFirst()) != nil)
    else { return nil }
    return String(name.hasSuffix(".") ? name.dropLast() : name)
  }

  /// 127.0.0.0/8, four whole numbers: "127.evil.example" is a name.
  static func isIPv4Loopback(_ name: String) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }
}
