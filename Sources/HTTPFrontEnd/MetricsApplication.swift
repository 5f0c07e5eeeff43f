import KServe
import Serving

/// The metrics port: `/metrics`, and nothing on every other path, as the reference server answers.
struct MetricsApplication: HTTPApplication {
  let server: InferenceServer

  func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle? {
    if exchange.head.method != .get {
      answer(.error(405, "Method Not Allowed", .plain))
    } else if exchange.path.elementsEqual("/metrics".utf8) {
      answer(HTTPAnswer(contentType: .metrics, body: [.init(string: server.metricsPage)]))
    } else {
      answer(.empty(.metrics))
    }
    return nil
  }
}
