import KServe
import NIOCore
import Serving
import TimeBase

/// One request on its way to an answer.
struct HTTPExchange {
  /// nil: there is no such path.
  var route: HTTPRoute?
  var path: [UInt8]
  var query: String
  var head: HTTPRequestHead
  var body: HTTPBody
  var bearerToken: String?
  var received: Instant
  var loop: any EventLoop
}

/// What requests mean. Called on the connection's event loop; `answer` is to be called once, there.
protocol HTTPApplication: Sendable {
  /// The answer to a request that is refused by its head, whatever its body holds; nil for one that is to be handled.
  func refusal(of route: HTTPRoute?, _ fields: HTTPFields, _ channel: any Channel) -> HTTPAnswer?
  func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle?
}

extension HTTPApplication {
  func refusal(of route: HTTPRoute?, _ fields: HTTPFields, _ channel: any Channel) -> HTTPAnswer? { nil }
}
