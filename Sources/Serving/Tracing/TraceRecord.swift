import CheckedNumbers
import JSONText
import TimeBase

/// A request's way through the server, in the form of the reference server's trace files: who it was, then its timestamps (server
/// `docs/user_guide/trace.md`). Nanoseconds of CLOCK_MONOTONIC.
struct TraceRecord: Sendable {
  var model: String
  var version: Int
  var requestID: String
  var frontEnd: InferenceRequest.FrontEnd
  var received: Instant
  var parsed: Instant
  var accepted: Instant
  /// `distantFuture` for a request that never entered the queue.
  var enqueued: Instant
  /// nil for a request that never ran.
  var execution: InferenceResponse.Execution?
  var answerReady: Instant
  var answerWritten: Instant

  func json(_ identifier: Int) -> String {
    var who: [JSONValue.Member] = [
      .init("id", .integer(Int64(identifier))), .init("model_name", .string(model)), .init("model_version", .integer(Int64(version))),
    ]
    if !requestID.isEmpty { who.append(.init("request_id", .string(requestID))) }
    let (receive, send) = frontEnd == .http ? ("HTTP_RECV", "HTTP_SEND") : ("GRPC_WAITREAD", "GRPC_SEND")
    var stamps: [(String, Instant)] = [("\(receive)_START", received), ("\(receive)_END", parsed), ("REQUEST_START", accepted)]
    if enqueued != .distantFuture { stamps.append(("QUEUE_START", enqueued)) }
    if let execution {
      stamps += [
        ("COMPUTE_START", execution.computeStart), ("COMPUTE_INPUT_END", execution.inputsReady),
        ("COMPUTE_OUTPUT_START", execution.computeEnd), ("COMPUTE_END", execution.outputsReady),
      ]
    }
    stamps += [
      ("INFER_RESPONSE_COMPLETE", answerReady), ("REQUEST_END", answerReady), ("\(send)_START", answerReady),
      ("\(send)_END", answerWritten),
    ]
    let times = JSONValue.array(
      stamps.map { .object([.init("name", .string($0.0)), .init("ns", .integer($0.1.nanoseconds))]) })
    return JSONValue.object(who).serialized(pretty: false) + ",\n"
      + JSONValue.object([.init("id", .integer(Int64(identifier))), .init("timestamps", times)]).serialized(pretty: false)
  }
}
