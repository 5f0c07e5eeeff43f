import CheckedNumbers
import KServe
import NIOCore
import Serving

extension KServeApplication {
  /// The answer for `/`, `/headroom` and `/v2/headroom`; nil for "there is none".
  func livePage(_ route: HTTPRoute, _ exchange: HTTPExchange) -> HTTPAnswer? {
    guard let live else { return nil }
    let isGet = exchange.head.method == .get
    switch route {
    case .root:
      // The reference server has nothing here; a browser is shown the way.
      guard isGet, exchange.head.acceptsHTML else { return nil }
      return HTTPAnswer(status: 302, contentType: .plain, fields: [("Location", "/headroom")])
    case .headroomPage: return isGet ? Self.answer(live.page()) : .error(405, "Method Not Allowed", .plain)
    default: return nil
    }
  }

  private static func answer(_ page: LivePageText) -> HTTPAnswer {
    HTTPAnswer(
      contentType: .html, body: [ByteBuffer(string: page.html)],
      fields: [("Content-Security-Policy", page.contentSecurityPolicy)] + closed + [("Referrer-Policy", "no-referrer")])
  }

  /// The answer for `/v2/headroom`, worked out on another thread.
  func liveAnswer(_ exchange: HTTPExchange, _ answer: @escaping (HTTPAnswer) -> Void) {
    guard let live else { return answer(.error(404, "Not Found", .plain)) }
    guard exchange.head.method == .get else { return answer(.error(405, "Method Not Allowed")) }
    let asked = Self.value(of: "format", in: exchange.query) ?? LiveFormat.json.rawValue
    guard let format = LiveFormat(rawValue: asked) else {
      return answer(.error(KServeError(.invalidArgument, "format '\(asked)': expected json or text")))
    }
    let (loop, bound) = (exchange.loop, NIOLoopBound(answer, eventLoop: exchange.loop))
    live.answer(ofModel: Self.value(of: "model", in: exchange.query), as: format) { result in
      loop.execute {
        switch result {
        case .success(let text):
          bound.value(HTTPAnswer(contentType: format == .text ? .plain : .json, body: [ByteBuffer(string: text)], fields: Self.closed))
        case .failure(let error): bound.value(.error(error))
        }
      }
    }
  }

  /// Neither kept nor taken for something else.
  private static let closed = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]

  /// A field of a query, percent escapes resolved; nil where it is missing or empty.
  static func value(of name: String, in query: String) -> String? {
    for field in query.split(separator: "&") {
      let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0] == name, !parts[1].isEmpty else { continue }
      var bytes: [UInt8] = []
      var rest = Array(parts[1].utf8)[...]
      while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
          bytes.append(value)
          rest = rest.dropFirst(2)
        } else {
          bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
        }
      }
      return String(decoding: bytes, as: UTF8.self)
    }
    return nil
  }
}
