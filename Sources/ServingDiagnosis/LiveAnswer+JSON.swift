import Diagnosis
import Explanation
import Glibc
import JSONText
import Reporting

extension LiveAnswer {
  /// Version of the JSON output.
  static let schema = "headroom.live/4"

  /// Everything that is said, for machines.
  var json: JSONValue {
    let slices = self.slices.map { slice -> JSONValue in
      [
        "endSecondsAgo": JSONValue(slice.endSecondsAgo), "seconds": JSONValue(slice.seconds), "answeredRequests": JSONValue(slice.answered),
        "failedRequests": JSONValue(slice.failed), "medianLatencyMilliseconds": JSONValue(slice.medianMilliseconds),
        "p99LatencyMilliseconds": JSONValue(slice.p99Milliseconds),
      ]
    }
    let kind: Figure.Kind = isSimulated ? .simulated : .measured
    func sum(_ path: KeyPath<LiveFigures, Figure>, _ unit: Figure.Unit) -> JSONValue {
      Figure(models.reduce(0) { $0 + $1.figures[keyPath: path].value }, unit, kind, source: "sum over the models").json
    }
    return [
      "schema": .string(Self.schema), "headroom": .string(version), "mode": .string(isSimulated ? "simulated" : "measured"),
      "answers": .array(
        models.map { model in
          ["model": .string(model.state.name), "headroom": headrooms[model.state.number]?.json ?? .null, "answer": answer(of: model).json]
        }),
      "windowSeconds": JSONValue(windowSeconds), "uptimeSeconds": JSONValue(uptime.seconds), "model": JSONValue(filter),
      "summary": .string(summary), "busiestModel": JSONValue(focus?.state.name), "regime": focus?.regime ?? .null,
      "requestsPerSecond": sum(\.requestsPerSecond, .requestsPerSecond), "rowsPerSecond": sum(\.rowsPerSecond, .rowsPerSecond),
      "queuedRequests": sum(\.queuedRequests, .count), "frontEnd": frontEndJSON, "client": .null, "slices": .array(slices),
      "models": .array(models.map { $0.json }), "notes": .array(notes.map { .string($0) }),
    ]
  }

  private var frontEndJSON: JSONValue {
    guard let frontEnd else { return .null }
    let over = "over \(LiveDiagnosis.rounded(frontEnd.seconds)) s"
    func share(_ value: Double, _ source: String) -> JSONValue { Figure(value, .share, .measured, source: "\(source) \(over)").json }
    return [
      "eventLoops": JSONValue(frontEnd.loops), "sampleSeconds": JSONValue(frontEnd.seconds),
      "busyShare": share(frontEnd.busyShare, "CPU time of the event loops"),
      "busiestLoopShare": share(frontEnd.busiestShare, "CPU time of the busiest event loop"),
      "waitingForCoreShare": share(frontEnd.waitShare, "event loops ready to run without a core"),
      "processCoresUsed": Figure(frontEnd.coresUsed, .count, .measured, source: "CPU time of the process \(over)").json,
      "processCoresAvailable": JSONValue(sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))),
    ]
  }
}

extension LiveDiagnosis {
  /// What limits; null where nothing ran.
  var regime: JSONValue {
    guard let verdict = assessment?.verdict else { return .null }
    let device = state.device.deviceClass
    return .object(
      [.init("model", .string(state.name)), .init("sentence", .string(sentence))] + verdict.members { $0.regime.text(on: device) } + [
        .init("toConfirm", JSONValue(toConfirm))
      ])
  }

  var json: JSONValue {
    [
      "name": .string(state.name), "version": .string(state.version), "mode": .string(state.device.isSimulated ? "simulated" : "measured"),
      "device": [
        "name": .string(state.device.name), "hardware": .string(state.deviceText), "isSimulated": .bool(state.device.isSimulated),
      ],
      "instances": JSONValue(state.instances), "maximumBatchRows": JSONValue(state.scheduling.maximumBatchRows),
      "windowSeconds": JSONValue(Double(window.upperBound - window.lowerBound) / 1e9), "regime": regime, "figures": figuresJSON,
      "dispatchReasons": evidence.batching.dispatchReasonsJSON,
      "batchSizes": .array(
        figures.batchSizes.map {
          ["fromRows": JSONValue($0.rows.lowerBound), "toRows": JSONValue($0.rows.upperBound), "batches": JSONValue($0.batches)]
        }), "stages": .array(assessment == nil ? [] : PipelineStage.allCases.map(stage)), "waterfall": .array(waterfall),
      // What a quantified change buys stands in `answer.changes`.
      "findings": .array((assessment?.ranked ?? []).map { $0.json(withGains: false) }),
      "undecided": .array((assessment?.undecided ?? []).map(\.json)), "notes": .array(notes.map { .string($0) }),
    ]
  }

  private var figuresJSON: JSONValue {
    func figure(_ name: String, _ figure: Figure?) -> JSONValue.Member { .init(name, figure?.json ?? .null) }
    return .object([
      figure("requestsPerSecond", figures.requestsPerSecond), figure("rowsPerSecond", figures.rowsPerSecond),
      figure("arrivalsPerSecond", figures.arrivalsPerSecond), figure("answeredRequests", figures.answeredRequests),
      figure("failedRequests", figures.failedRequests), figure("rowsPerRequest", figures.rowsPerRequest),
      figure("batches", figures.batches), figure("requestsPerBatch", figures.requestsPerBatch),
      figure("rowsPerBatch", figures.rowsPerBatch), figure("meanLatencyMilliseconds", figures.meanLatency),
      figure("medianLatencyMilliseconds", figures.medianLatency), figure("p95LatencyMilliseconds", figures.p95Latency),
      figure("p99LatencyMilliseconds", figures.p99Latency), figure("meanQueuedRequests", evidence.batching.meanQueuedRequests),
      figure("meanQueueMilliseconds", meanWait),
      figure("queuedRequests", figures.queuedRequests), figure("queuedRows", figures.queuedRows),
      figure("instancesAtWork", figures.instancesAtWork), figure("instanceBusyShare", figures.instanceBusyShare),
      figure("gpuBusyShare", analysis == nil ? nil : evidence.device.gpuBusy),
    ])
  }

  private func stage(_ stage: PipelineStage) -> JSONValue {
    let load = evidence.stages[stage]
    let why: String? =
      switch stage {
      case .client, .network: "lies outside this server"
      case .batcher: "a wait and no work: see idle: batching delay"
      case .frontEnd: load == nil ? "not sampled twice yet" : nil
      default: nil
      }
    let text = stage == .gpu && state.isProcessor ? "kernels" : stage.text(on: state.device.deviceClass)
    return .object(
      [.init("stage", .string(stage.rawValue)), .init("text", .string(text))] + load.members + [.init("unknownBecause", JSONValue(why))])
  }

  /// The diagnosis' bars where SMs with a resident block and roof are known; else one bar for kernels, because what they did with the device is not.
  private var waterfall: [JSONValue] {
    guard let analysis, assessment != nil else { return [] }
    func bar(_ step: String, _ text: String, _ explanation: String, _ figure: Figure, _ isEstimated: Bool) -> JSONValue {
      [
        "step": .string(step), "text": .string(text), "explanation": .string(explanation), "ofWall": figure.json,
        "isEstimated": .bool(isEstimated),
      ]
    }
    let idle: [Waterfall.Step] = [.noRequestsIdle, .batchingDelayIdle, .hostOverheadIdle, .unattributedIdle]
    var bars = idle.compactMap { step in
      analysis.waterfall[step].map { bar(step.rawValue, step.text, step.explanation, $0.ofWall, $0.isEstimated) }
    }
    if let busy = evidence.device.gpuBusy {
      bars.append(
        bar(
          "gpuBusy", "busy: kernels ran",
          "At least one kernel ran. How full the device was and how much of the work was useful is not known from here.", busy, false))
    }
    return bars
  }
}
