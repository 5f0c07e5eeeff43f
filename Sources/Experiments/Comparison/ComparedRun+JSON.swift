import Diagnosis
import Explanation
import JSONText
import Reporting

/// What `bench` says of a run to machines, simulated or measured: each of the two adds what only it knows.
extension ComparedRun {
  /// Name, headroom, answer, verdict, findings, summaries, time breakdown and stages.
  var members: [JSONValue.Member] {
    let summaries = analysis.summaries.map { JSONValue.Member($0.report.rawValue, .array($0.rows.map(\.json))) }
    let stages = evidence.stages.loads.map { load -> JSONValue in
      .object([.init("stage", .string(load.stage.rawValue))] + StageLoad?.some(load).members)
    }
    return [
      .init("name", .string(name)), .init("headroom", headroom.json), .init("answer", answer.json),
      .init("summaries", .object(summaries)), .init("waterfall", analysis.waterfall.json), .init("stages", .array(stages)),
    ] + assessment.members
  }

  /// Figures by their keys, with those that only one kind of run has.
  func figures(own: [(String, Figure?)]) -> JSONValue {
    let kind = analysis.kind
    func percentile(_ percentile: Double) -> Figure? {
      run.latencyMilliseconds(percentile: percentile).map { Figure($0, .milliseconds, kind, source: "client-side latency") }
    }
    func count(_ value: Int, _ source: String) -> Figure { Figure(Double(value), .count, kind, source: source) }
    let shared: [(String, Figure?)] = [
      ("gpuBusyShare", evidence.device.gpuBusy), ("throughputRequestsPerSecond", throughputFigure),
      ("medianLatencyMilliseconds", percentile(50)), ("p95LatencyMilliseconds", percentile(95)),
      ("p99LatencyMilliseconds", percentile(99)), ("meanLatencyMilliseconds", evidence.load.meanLatency),
      ("answeredRequests", count(run.answered, "answers in the window")), ("refusedRequests", count(run.refused, "errors in the window")),
      ("usersInFlight", evidence.load.meanInFlight), ("thinkAndClientQueueMilliseconds", evidence.load.thinkAndClientQueueTime),
      ("batches", count(run.batches, "batches in the window")), ("requestsPerBatch", evidence.batching.meanRequests),
      ("rowsPerBatch", evidence.batching.meanRows),
    ]
    return .object((shared + own).map { .init($0.0, $0.1?.json ?? .null) })
  }
}
