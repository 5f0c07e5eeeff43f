import Diagnosis
import JSONText
import Reporting
import Vocabulary

extension Verdict {
  /// What limits, in which stage, how sure: the same members wherever a verdict is said to machines. `regime` says a claim's regime.
  package func members(regime: (RegimeClaim) -> String) -> [JSONValue.Member] {
    let claims = self.claims.map { claim -> JSONValue in
      [
        "regime": .string(regime(claim)), "stage": JSONValue(claim.stage?.rawValue), "confidence": .string(claim.confidence.text),
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
      .init("side", JSONValue(side)), .init("sideConfidence", .string(sideConfidence.text)), .init("claims", .array(claims)),
      .init("isCoLimited", .bool(isCoLimited)),
    ]
  }

  /// With its sentence and what would confirm it.
  package var json: JSONValue {
    .object(
      [.init("sentence", .string(sentence.text))] + members { $0.regime.rawValue } + [
        .init("toConfirm", JSONValue(missing?.cheapestMeasurement))
      ])
  }
}

extension StageLoad? {
  /// Service time, utilization and capacity; null where they are not known.
  package var members: [JSONValue.Member] {
    [
      .init("serviceTime", self?.serviceTime?.json ?? .null), .init("utilization", self?.utilization?.json ?? .null),
      .init("capacity", self?.capacity?.json ?? .null),
    ]
  }
}

extension Waterfall {
  /// Every bar, of the wall time and of the busy time.
  package var json: JSONValue {
    .array(
      bars.map { bar in
        [
          "step": .string(bar.step.rawValue), "ofWall": bar.ofWall.json, "ofBusy": bar.ofBusy?.json ?? .null,
          "isEstimated": .bool(bar.isEstimated),
        ]
      })
  }
}

extension BatchingEvidence {
  /// Why batches left the queue: counts by reason.
  package var dispatchReasonsJSON: JSONValue {
    .object(DispatchReason.allCases.compactMap { reason in dispatchReasons[reason].map { .init(reason.rawValue, JSONValue($0)) } })
  }
}

extension RankedFinding {
  /// `withGains`: what each fix buys; else only why it is not quantified (`RunAnswer` says what the quantified ones buy).
  package func json(withGains: Bool) -> JSONValue {
    let observation = finding.observation
    let fixes = self.fixes.map { fix -> JSONValue in
      var members: [JSONValue.Member] = [.init("title", .string(fix.fix.title))]
      var refusal: String?
      if case .failure(let unknown) = fix.gains { refusal = unknown.text.text }
      if withGains { members.append(.init("gains", (try? fix.gains.get())?.json ?? .null)) }
      return .object(members + [.init("notQuantifiedBecause", JSONValue(refusal))])
    }
    return [
      "code": .string(finding.code.rawValue), "name": .string(finding.name), "confidence": .string(observation.confidence.text),
      "seen": .array(observation.seen.map { .string($0.text) }), "why": .string(observation.whyBad.text), "fixes": .array(fixes),
      "toConfirm": JSONValue(observation.missing?.cheapestMeasurement), "page": .string(finding.page),
    ]
  }
}

extension Assessment {
  /// Verdict, findings and improvement plan: the same members for every run, simulated or measured.
  package var members: [JSONValue.Member] {
    [
      .init("verdict", verdict.json), .init("goal", .string(goal.rawValue)),
      .init("findings", .array(ranked.map { $0.json(withGains: true) })), .init("undecided", .array(undecided.map(\.json))),
      .init("improvementPlan", .array(improvementPlan.map(\.json))),
    ]
  }
}

extension Gain {
  package var json: JSONValue { ["before": before.json, "after": after.json, "change": change.json] }
}

extension GainEstimate {
  package var json: JSONValue {
    [
      "throughput": throughput?.json ?? .null, "medianLatency": medianLatency?.json ?? .null, "p99Latency": p99Latency?.json ?? .null,
      "maximumRequestsPerSecondAtGoal": maximumRateAtGoal?.json ?? .null,
      "gpuSecondsPerMillionInferences": gpuSecondsPerMillionInferences?.json ?? .null,
    ]
  }
}

extension Findings.Undecided {
  package var json: JSONValue {
    ["code": .string(code.rawValue), "name": .string(name), "toConfirm": .string(missing.cheapestMeasurement)]
  }
}

extension ImprovementStep {
  package var json: JSONValue {
    [
      "codes": .array(codes.map { .string($0.rawValue) }), "fixes": .array(fixes.map { .string($0.title) }), "total": total.json,
      "thenLimits": JSONValue(total.verdict?.sentence.text), "stepRatio": stepRatio?.json ?? .null,
      "costs": .array(costs.map { ["quantity": .string($0.quantity.rawValue), "change": $0.change.json] }),
    ]
  }
}
