import CheckedNumbers
import JSONText
import KServe
import NIOCore
import Serving

extension KServeApplication {
  /// `POST /v2/headroom/profile`, `{"seconds": 5}` or nothing: a window is recorded, written by the server, and answered when it is over.
  func recordWindow(_ exchange: HTTPExchange, _ answer: @escaping (HTTPAnswer) -> Void) throws(KServeError) {
    let seconds = try HTTPDocument(exchange.body).number("seconds")
    guard let profiles else {
      throw KServeError(.unsupported, "profile windows are off: start the server with --profile-window 5s")
    }
    let (loop, bound) = (exchange.loop, NIOLoopBound(answer, eventLoop: exchange.loop))
    profiles.record(seconds: seconds) { result in
      loop.execute {
        switch result {
        case .success(let window): bound.value(.json(Self.json(window)))
        case .failure(let error): bound.value(.error(error))
        }
      }
    }
  }

  private static func json(_ window: ProfileWindow) -> JSONValue {
    [
      "files": .array(window.files.map { .string($0) }), "seconds": JSONValue(window.seconds), "requests": JSONValue(window.requests),
      "batches": JSONValue(window.batches), "kernels": JSONValue(window.kernels),
      "remarks": .array(window.remarks.map { .string($0) }),
    ]
  }
}
