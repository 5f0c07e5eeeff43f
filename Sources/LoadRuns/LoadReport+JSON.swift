import ProcessContract
import JSONText
import LoadModel
import Reporting
import Workload

extension LoadReport {
  package var json: JSONValue {
    let health = result.health
    let report: JSONValue = [
      "schema": "headroom.load/2", "headroom": .string(ProgramVersion.current), "mode": "measured", "name": .string(result.name),
      "load": loadJSON, "share": .string(result.share.text), "seed": JSONValue(result.seed),
      "warmUpSeconds": JSONValue(result.warmUpSeconds),
      "windowSeconds": JSONValue(result.windowSeconds), "interrupted": .bool(result.wasInterrupted),
      "requestsPerSecond": JSONValue(result.answersPerSecond),
      "requestsPerSecondHalfWidth": JSONValue(result.throughputInterval?.halfWidth), "rowsPerSecond": JSONValue(result.rowsPerSecond),
      "bytesReceivedPerSecond": JSONValue(result.windowSeconds > 0 ? Double(result.bytesReceived) / result.windowSeconds : nil),
      "responses": JSONValue(result.answers), "responsesInWindow": JSONValue(result.completed), "errors": JSONValue(result.errorCount),
      "errorsByKind": .object(
        result.errors.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init($0.key.rawValue, JSONValue($0.value)) }),
      "errorSamples": .object(
        result.errorSamples.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init($0.key.rawValue, .string($0.value)) }),
      "stability": .string(result.stability.words), "latency": Self.latency(result.latency),
      "meanLatencyHalfWidthMicroseconds": JSONValue(result.latencyInterval.map { $0.halfWidth * 1e6 }),
      "latencySinceSend": Self.latency(result.uncorrected),
      "requests": .array(
        result.groups.map { ["name": .string($0.name), "errors": JSONValue($0.errors), "latency": Self.latency($0.latency)] }),
      "parts": .array(
        parts.map {
          [
            "share": .string($0.share.text), "startSeconds": JSONValue($0.startEpochSeconds), "lateSeconds": JSONValue($0.lateSeconds),
            "responsesInWindow": JSONValue($0.result.completed), "errors": JSONValue($0.result.errorCount),
            "lateCount": JSONValue($0.result.health.lateCount), "busiestThreadShare": JSONValue($0.result.health.busiestThreadShare),
            "verdict": .string($0.verdict.rawValue),
          ]
        }),
      "server": serverJSON,
      "generator": [
        "verdict": .string(result.verdict.kind.rawValue), "words": .string(result.verdict.words), "threads": JSONValue(health.threads),
        "cpuSeconds": JSONValue(health.cpuSeconds), "busiestThreadShare": JSONValue(health.busiestThreadShare),
        "schedulingLag": Self.latency(health.schedulingLag), "sendLag": Self.latency(health.sendLag),
        "lateAfterMicroseconds": JSONValue(health.lateAfter.microseconds),
        "lateCount": JSONValue(health.lateCount), "lateShare": JSONValue(result.lateShare),
        "connectionsOpened": JSONValue(health.connectionsOpened), "connectionErrors": JSONValue(health.connectionErrors),
        "reachedConnectionLimit": .bool(health.reachedConnectionLimit), "unsentAtEnd": JSONValue(health.unsentAtEnd),
        "inFlight": JSONValue(result.inFlight), "usersThinking": JSONValue(result.balance?.thinking),
        "usersOutside": JSONValue(result.balance?.outside),
        "outsideMicroseconds": JSONValue(result.balance.map { $0.outsideSeconds * 1e6 }),
      ],
      "failOn": .array(conditions.map { ["condition": .string($0.text), "met": .bool($0.isMet(by: result))] }),
      "search": searchJSON,
      "intervals": .array(
        result.intervals.map {
          [
            "startSeconds": JSONValue($0.startSeconds), "lengthSeconds": JSONValue($0.lengthSeconds), "responses": JSONValue($0.answers),
            "errors": JSONValue($0.errors),
            "meanLatencyMicroseconds": JSONValue($0.answers > 0 ? $0.latencySeconds / Double($0.answers) * 1e6 : nil),
            "connections": JSONValue($0.users),
          ]
        }),
    ]
    // What a program that started this one reads; the rest is for people and their scripts.
    return .object((report.objectValue ?? []) + [JSONValue.Member(LoadResult.reportMember, result.document())])
  }

  private var loadJSON: JSONValue {
    switch result.load {
    case .closed(let users, let spawnRate, let think):
      ["kind": "closed", "users": JSONValue(users), "spawnRatePerSecond": JSONValue(spawnRate), "think": .string(think.text)]
    case .open(let profile, let isPoisson): ["kind": "open", "rate": .string(profile.text), "poisson": .bool(isPoisson)]
    case .replay(let times): ["kind": "replay", "arrivals": JSONValue(times.count)]
    }
  }

  private var serverJSON: JSONValue {
    guard let server = result.server else { return .null }
    return [
      "requests": JSONValue(server.requests), "rows": JSONValue(server.rows), "batches": JSONValue(server.batches),
      "meanBatchRows": JSONValue(server.meanBatch), "totalMicroseconds": JSONValue(server.totalSeconds * 1e6),
      "queueMicroseconds": JSONValue(server.queueSeconds * 1e6), "computeInputMicroseconds": JSONValue(server.inputSeconds * 1e6),
      "computeInferMicroseconds": JSONValue(server.inferSeconds * 1e6), "computeOutputMicroseconds": JSONValue(server.outputSeconds * 1e6),
      "remainderMicroseconds": JSONValue(result.remainderSeconds.map { $0 * 1e6 }),
    ]
  }

  private var searchJSON: JSONValue {
    guard let search else { return .null }
    return [
      "goal": .string(search.goal), "bestRequestsPerSecond": JSONValue(search.best), "clientBound": .bool(search.endedClientBound),
      "trials": .array(
        search.trials.map {
          ["rate": JSONValue($0.rate), "holds": .bool($0.holds), "value": JSONValue($0.value), "verdict": .string($0.verdict.rawValue)]
        }),
    ]
  }

  /// Microseconds; percentiles by name.
  package static func latency(_ histogram: Histogram) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("count", JSONValue(histogram.count)), .init("meanMicroseconds", JSONValue(histogram.mean.map { $0 / 1e3 })),
      .init("deviationMicroseconds", JSONValue(histogram.standardDeviation.map { $0 / 1e3 })),
      .init("minMicroseconds", JSONValue(histogram.minimum.map { Double($0) / 1e3 })),
    ]
    for percentile in LoadResult.percentiles {
      let key = "p" + name(of: percentile).replacing(".", with: "_") + "Microseconds"
      members.append(.init(key, JSONValue(histogram.value(atPercentile: percentile).map { Double($0) / 1e3 })))
    }
    members.append(.init("maxMicroseconds", JSONValue(histogram.maximum.map { Double($0) / 1e3 })))
    return .object(members)
  }
}
