import KServe
import NIOCore
import Scheduling
import TimeBase

/// How far a request came on its way through a model, whatever its end.
struct RequestPassage: Sendable, Hashable {
  /// The model took it and began to check it.
  var accepted: Instant
  /// It entered the queue; `distantFuture`: it never did.
  var enqueued = Instant.distantFuture
  /// It left the queue for its batch; `distantFuture`: it never did.
  var departed = Instant.distantFuture
  /// The batch that carried it, in the scheduler's count; -1 for none.
  var batch: Int64 = -1
}

/// An inference from its acceptance to its answer.
///
/// `@unchecked Sendable`: everything that varies is written and read under the queue's lock until the request is taken out of the queue, and
/// after that by its event loop alone; everything else is constant.
final class PendingInference: @unchecked Sendable {
  let request: InferenceRequest
  let checked: CheckedRequest
  let loop: any EventLoop
  private let reply: @Sendable (Result<InferenceResponse, KServeError>, RequestPassage) -> Void

  /// Of the scheduler, while it waits.
  var handle: RequestHandle?
  /// Of its shape among those in the queue's use, where shapes are compared.
  var shapeNumber = -1
  /// Its batch has begun to execute.
  var isExecuting = false
  /// What it will be told.
  var result: Result<InferenceResponse, KServeError>?
  /// How far it came.
  var passage: RequestPassage

  init(
    request: InferenceRequest, checked: CheckedRequest, loop: any EventLoop, accepted: Instant,
    reply: @escaping @Sendable (Result<InferenceResponse, KServeError>, RequestPassage) -> Void
  ) {
    self.request = request
    self.checked = checked
    self.loop = loop
    passage = RequestPassage(accepted: accepted)
    self.reply = reply
  }

  /// The model took it and began to check it.
  var accepted: Instant { passage.accepted }

  /// Answers; on the event loop, once.
  func deliver() {
    reply(result ?? .failure(KServeError(.internalError, "\(checked.logTag)the request ended without a result")), passage)
  }

  /// One hop to each event loop, whatever the number of answers.
  static func deliver(_ requests: [PendingInference]) {
    guard let first = requests.first else { return }
    if requests.allSatisfy({ $0.loop === first.loop }) {
      first.loop.execute { for request in requests { request.deliver() } }
      return
    }
    var groups: [ObjectIdentifier: [PendingInference]] = [:]
    for request in requests { groups[ObjectIdentifier(request.loop), default: []].append(request) }
    for group in groups.values {
      group.first?.loop.execute { for request in group { request.deliver() } }
    }
  }
}

extension KServeError {
  /// What a request is told that never entered the queue: triton-inference-server/core `src/scheduler_utils.cc` and
  /// `src/dynamic_batch_scheduler.cc`.
  init(_ refusal: Admission.Refusal, _ tag: String, _ model: String) {
    switch refusal {
    case .queueFull: self.init(.unavailable, "\(tag)Exceeds maximum queue size")
    case .stopping:
      self.init(.unavailable, "\(tag)Server is stopping, scheduler for model has stopped accepting new inference requests")
    case .tooManyRows: self.init(.invalidArgument, "\(tag)inference request batch-size is too large for '\(model)'")
    }
  }
}
