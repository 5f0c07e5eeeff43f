import Diagnosis
public import JSONText
import Reporting
import Explanation
import Simulation
import Vocabulary

extension ExperimentResult {
  /// Version of the JSON output.
  public static let schema = "headroom.bench/4"

  /// Everything that is said, for machines. Every number that was computed is a figure with unit, kind and source.
  public func json(version: String) -> JSONValue {
    [
      "schema": .string(Self.schema), "headroom": .string(version), "mode": "simulated", "experiment": .string(experiment.name),
      "question": .string(experiment.question), "seed": JSONValue(Int64(truncatingIfNeeded: experiment.seed)),
      "repetitions": JSONValue(experiment.repetitions), "p99GoalMilliseconds": JSONValue(experiment.latencyGoal.p99Milliseconds),
      "notes": .array(experiment.notes.map { .string($0) }), "variants": .array(variants.map { $0.json }),
    ]
  }
}

extension VariantResult {
  var json: JSONValue {
    var figures: [JSONValue.Member] = []
    func add(_ name: String, _ figure: Figure?) { figures.append(.init(name, figure?.json ?? .null)) }
    func latency(_ percentile: Double) -> Figure? {
      run.latencyMilliseconds(percentile: percentile).map { Figure($0, .milliseconds, .simulated, source: "client-side latency") }
    }
    func count(_ value: Int, _ source: String) -> Figure { Figure(Double(value), .count, .simulated, source: source) }
    add("gpuBusyShare", evidence.device.gpuBusy)
    add("dominantKernelActiveShare", dominant?.active)
    add("nonOverlappedMemcpyShare", evidence.copies.nonOverlappedMemcpy)
    add("residentSMShare", evidence.kernels.residentSMShareOfAll)
    add("smActiveShare", smActive)
    add("tensorThroughputShare", tensorThroughput)
    add("usefulTensorThroughputShare", usefulThroughput)
    add("rooflineShare", roofShare)
    add("throughputRequestsPerSecond", throughputFigure)
    add("medianLatencyMilliseconds", latency(50))
    add("p95LatencyMilliseconds", latency(95))
    add("p99LatencyMilliseconds", latency(99))
    add("meanLatencyMilliseconds", evidence.load.meanLatency)
    add("answeredRequests", count(run.answered, "answers in the window"))
    add("refusedRequests", count(run.refused.values.reduce(0, +), "errors in the window"))
    add("usersInFlight", evidence.load.meanInFlight)
    add("thinkAndClientQueueMilliseconds", evidence.load.thinkAndClientQueueTime)
    add("batches", count(run.batches, "batches started in the window"))
    add("requestsPerBatch", evidence.batching.meanRequests)
    add("rowsPerBatch", evidence.batching.meanRows)
    add("kernelsPerBatch", evidence.launches.launchesPerBatch)
    add("dominantKernelInstances", dominant?.instances)
    add("dominantKernelMeanMicroseconds", dominant?.mean)
    add("redundantShare", evidence.kernels.redundantShare)
    let dispatchReasons = DispatchReason.allCases.compactMap { departure -> JSONValue.Member? in
      evidence.batching.dispatchReasons[departure].map { .init(departure.rawValue, JSONValue($0)) }
    }
    let summaries = analysis.summaries.map { summary in
      JSONValue.Member(summary.report.rawValue, .array(summary.rows.map { $0.json }))
    }
    let waterfall = analysis.waterfall.bars.map { bar -> JSONValue in
      [
        "step": .string(bar.step.rawValue), "ofWall": bar.ofWall.json, "ofBusy": bar.ofBusy?.json ?? .null,
        "isEstimated": .bool(bar.isEstimated),
      ]
    }
    let stages = evidence.stages.loads.map { load -> JSONValue in
      [
        "stage": .string(load.stage.rawValue), "serviceTime": load.serviceTime?.json ?? .null,
        "utilization": load.utilization?.json ?? .null,
        "capacity": load.capacity?.json ?? .null,
      ]
    }
    var elasticities: JSONValue = .null
    if let known = evidence.elasticities {
      let terms = TimeTerm.allCases.compactMap { term in known.values[term].map { JSONValue.Member(term.rawValue, $0.json) } }
      elasticities = ["terms": .object(terms), "sum": JSONValue(known.sum), "isConsistent": .bool(known.isConsistent)]
    }
    return [
      "name": .string(variant.name), "headroom": headroom.json, "answer": compared.answer.json,
      "model": .string(variant.model.text), "device": .string("sim:" + variant.gpu.name),
      "hostProfile": .string(variant.host.name), "verdict": assessment.verdict.json, "figures": .object(figures),
      "dispatchReasons": .object(dispatchReasons), "summaries": .object(summaries), "waterfall": .array(waterfall),
      "stages": .array(stages),
      "throughputSensitivities": elasticities, "goal": .string(assessment.goal.rawValue),
      "findings": .array(assessment.ranked.map { $0.json }),
      "undecided": .array(assessment.undecided.map { $0.json }), "improvementPlan": .array(assessment.improvementPlan.map { $0.json }),
      "throughputsOfRepetitionsPerSecond": .array(throughputs.map { JSONValue($0) }),
    ]
  }
}

extension Verdict {
  var json: JSONValue {
    let claims = self.claims.map { claim -> JSONValue in
      [
        "regime": .string(claim.regime.rawValue), "stage": JSONValue(claim.stage?.rawValue), "confidence": .string(claim.confidence.text),
        "weight": claim.weight?.json ?? .null,
      ]
    }
    let side: String? =
      switch self.side {
      case .upstream: "upstream"
      case .device: "device"
      case .both: "both"
      case nil: nil
      }
    return [
      "sentence": .string(sentence.text), "side": JSONValue(side), "sideConfidence": .string(sideConfidence.text), "claims": .array(claims),
      "isCoLimited": .bool(isCoLimited), "toConfirm": JSONValue(missing?.cheapestMeasurement),
    ]
  }
}

extension Gain {
  var json: JSONValue { ["before": before.json, "after": after.json, "change": change.json] }
}

extension GainEstimate {
  var json: JSONValue {
    [
      "throughput": throughput?.json ?? .null, "medianLatency": medianLatency?.json ?? .null, "p99Latency": p99Latency?.json ?? .null,
      "maximumRequestsPerSecondAtGoal": maximumRateAtGoal?.json ?? .null,
      "gpuSecondsPerMillionInferences": gpuSecondsPerMillionInferences?.json ?? .null,
    ]
  }
}

extension RankedFinding {
  var json: JSONValue {
    let fixes = self.fixes.map { fix -> JSONValue in
      switch fix.gains {
      case .success(let estimate): ["title": .string(fix.fix.title), "gains": estimate.json, "notQuantifiedBecause": .null]
      case .failure(let refusal): ["title": .string(fix.fix.title), "gains": .null, "notQuantifiedBecause": .string(refusal.text.text)]
      }
    }
    return [
      "code": .string(finding.code.rawValue), "name": .string(finding.name), "confidence": .string(finding.observation.confidence.text),
      "seen": .array(finding.observation.seen.map { .string($0.text) }), "why": .string(finding.observation.whyBad.text),
      "fixes": .array(fixes), "toConfirm": JSONValue(finding.observation.missing?.cheapestMeasurement), "page": .string(finding.page),
    ]
  }
}

extension Findings.Undecided {
  var json: JSONValue { ["code": .string(code.rawValue), "name": .string(name), "toConfirm": .string(missing.cheapestMeasurement)] }
}

extension ImprovementStep {
  var json: JSONValue {
    [
      "codes": .array(codes.map { .string($0.rawValue) }), "fixes": .array(fixes.map { .string($0.title) }), "total": total.json,
      "thenLimits": JSONValue(total.verdict?.sentence.text), "stepRatio": stepRatio?.json ?? .null,
      "costs": .array(costs.map { ["quantity": .string($0.quantity.rawValue), "change": $0.change.json] }),
    ]
  }
}
