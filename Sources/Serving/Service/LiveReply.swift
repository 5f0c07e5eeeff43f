import CheckedNumbers
import KServe
import Threads
import TimeBase

/// Stamps an answer's beginning and end around the front end's writing, for the trace files and the live diagnosis.
struct LiveReply: Sendable {
  let live: LiveRecorder
  let tracer: RequestTracer
  let sample: RequestTracer.Sample?
  let frontEnd: InferenceRequest.FrontEnd
  let requestID: String
  let model: ServedModel
  let rows: Int
  let bytesIn: Int
  let received: Instant
  let parsed: Instant
  let reply: @Sendable (Result<InferenceResponse, KServeError>) -> Void

  init(
    live: LiveRecorder, tracer: RequestTracer, model: ServedModel, request: InferenceRequest,
    reply: @escaping @Sendable (Result<InferenceResponse, KServeError>) -> Void
  ) {
    self.live = live
    self.tracer = tracer
    self.model = model
    sample = tracer.sample(model.name)
    frontEnd = request.frontEnd
    requestID = request.id
    rows = model.takesRows ? request.inputs.first?.shape.first ?? 1 : 1
    bytesIn = request.bytesIn
    received = request.received
    parsed = request.parsed
    self.reply = reply
  }

  func deliver(_ result: Result<InferenceResponse, KServeError>, _ passage: RequestPassage) {
    let start = MonotonicClock.now
    reply(result)
    var bytesOut = 0
    var failed = true
    var execution: InferenceResponse.Execution?
    if case .success(let response) = result {
      failed = false
      execution = response.execution
      for output in response.outputs { bytesOut += output.data.readableBytes }
    }
    let end = MonotonicClock.now
    if let sample {
      tracer.write(
        TraceRecord(
          model: model.name, version: model.version, requestID: requestID, frontEnd: frontEnd, received: received, parsed: parsed,
          accepted: passage.accepted, enqueued: passage.enqueued, execution: execution, answerReady: start, answerWritten: end), sample)
    }
    live.record(
      LiveRecorder.Request(
        model: model.number, rows: Int32(clamping: rows), batch: passage.batch, bytesIn: Int64(bytesIn), bytesOut: Int64(bytesOut),
        received: received,
        parsed: parsed, enqueued: passage.enqueued, responseStart: start, responseEnd: end, failed: failed))
  }
}
