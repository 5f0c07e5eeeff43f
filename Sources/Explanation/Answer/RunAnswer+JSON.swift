public import Diagnosis
public import JSONText
import Reporting

extension Headroom {
  /// {"goal", "maximumRequestsPerSecond", "timesToday", "isLowerBound", "unknownBecause", "text"}.
  public var json: JSONValue {
    [
      "text": .string(text), "maximumRequestsPerSecond": maximumRate?.json ?? .null, "timesToday": times?.json ?? .null,
      "requestsPerSecondToday": today?.json ?? .null, "isLowerBound": .bool(isLowerBound),
      "goal": ["percentile": 99, "milliseconds": JSONValue(goal.p99Milliseconds), "isAssumed": .bool(goal.isAssumed)],
      "condition": condition.isEmpty ? .null : .string(condition), "unknownBecause": JSONValue(unknownBecause),
    ]
  }
}

extension RunAnswer {
  /// The answer for machines: the lines, and what they were made of.
  public var json: JSONValue {
    [
      "lines": .array(lines.map { .string($0) }), "bottleneck": .string(bottleneck), "now": .string(now), "batches": JSONValue(batches),
      "deviceTime": .array(timeParts.map { ["name": .string($0.name), "share": $0.share.json] }),
      "changes": .array(
        changes.map { change in
          [
            "code": .string(change.code.rawValue), "effect": .string(change.effect.rawValue), "setting": .string(change.setting),
            "configurationDiff": .array(change.diff.map { .string($0) }), "gain": .string(change.gain),
            "change": change.change?.json ?? .null,
            "costs": .array(change.costs.map { .string($0) }), "kind": .string(change.kind),
          ]
        }), "noEffect": .array(noEffect.map { .string($0) }), "confirm": .string(confirm),
    ]
  }
}
