import KServe
import NIOCore
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
      guard let live else {
        answer(page([]))
        return nil
      }
      // The diagnosis takes longer than an event loop may wait.
      let (loop, bound) = (exchange.loop, NIOLoopBound(answer, eventLoop: exchange.loop))
      live.metrics { metrics in loop.execute { bound.value(page(metrics)) } }
    } else {
      answer(.empty(.metrics))
    }
    return nil
  }

  private func page(_ live: [LiveMetrics]) -> HTTPAnswer {
    HTTPAnswer(contentType: .metrics, body: [.init(string: server.metricsPage(live: live))])
  }
}
