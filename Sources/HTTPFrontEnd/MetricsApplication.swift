import KServe
import Serving

/// The metrics port: `/metrics`, and nothing on every other path, as the reference server answers.
struct MetricsApplication: HTTPApplication {
  let server: InferenceServer
  /// What the live diagnosis adds; nil: nothing.
  var live: (any LivePages)?

  func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle? {
    if exchange.head.method != .get {
      answer(.error(405, "Method Not Allowed", .plain))
    } else if exchange.path.elementsEqual("/metrics".utf8) {
      answer(page(live?.metrics() ?? []))
    } else {
      answer(.empty(.metrics))
    }
    return nil
  }

  private func page(_ live: [LiveMetrics]) -> HTTPAnswer {
    HTTPAnswer(contentType: .metrics, body: [.init(string: server.metricsPage(live: live))])
  }
}
