import KServe
import NIOCore
import Scheduling
import TimeBase

/// An inference from its acceptance to its answer.
///
/// `@unchecked Sendable`: `result` and `handle` are written and read under the queue's lock until the request is taken out of the queue, and
/// after that by its event loop alone; everything else is constant.
final class PendingInference: @unchecked Sendable {
  let request: InferenceRequest
  let checked: CheckedRequest
  let loop: any EventLoop
  let accepted: Instant
  private let reply: @Sendable (Result<InferenceResponse, KServeError>) -> Void

  /// Of the scheduler, while it waits.
  var handle: RequestHandle?
  /// What it will be told.
  var result: Result<InferenceResponse, KServeError>?
  /// The batch that carried it; -1 for none.
  var batch: Int64 = -1

  init(
    request: InferenceRequest, checked: CheckedRequest, loop: any EventLoop, accepted: Instant,
    reply: @escaping @Sendable (Result<InferenceResponse, KServeError>) -> Void
  ) {
    self.request = request
    self.checked = checked
    self.loop = loop
    self.accepted = accepted
    self.reply = reply
  }

  /// Answers; on the event loop, once.
  func deliver() {
    reply(result ?? .failure(KServeError(.internalError, "\(checked.logTag)the request ended without a result")))
  }
}
