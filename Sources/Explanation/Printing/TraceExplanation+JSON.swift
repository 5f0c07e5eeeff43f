import Diagnosis
public import JSONText
import Reporting
import Trace

extension TraceExplanation {
  /// One file's part of `headroom.explain/3`.
  public var json: JSONValue {
    [
      "file": .string(name), "mode": .string(isSimulated ? "simulated" : "measured"), "noVerdictBecause": JSONValue(refusal),
      "window": JSONValue(windowText),
      "mainDevice": devices.indices.contains(main) ? JSONValue(devices[main].name) : .null,
      "contents": [
        "apiCalls": JSONValue(contents.apiCalls), "launches": JSONValue(contents.launches), "osCalls": JSONValue(contents.osCalls),
        "operators": JSONValue(contents.operators), "ranges": JSONValue(contents.ranges), "requests": JSONValue(contents.requests),
        "threads": JSONValue(contents.threads),
        "processes": JSONValue(contents.processes),
      ],
      "devices": .array(devices.indices.map { deviceJSON($0) }),
      "requests": requests.map(requestsJSON) ?? .null, "metrics": metrics.map(Self.metricsJSON) ?? .null,
      "model": model.map(modelJSON) ?? .null, "load": load.map(Self.loadJSON) ?? .null,
      "mismatches": .array(
        mismatches.map {
          ["counter": .string($0.counter.rawValue), "observedShare": JSONValue($0.observed), "predicted": $0.predicted.json]
        }),
      "notes": .array(notes.map { .string($0) }),
    ]
  }

  private func deviceJSON(_ index: Int) -> JSONValue {
    let device = devices[index]
    let verdict = verdicts[index]
    let found = findings[index]
    return [
      "device": .string(device.name), "spanNanoseconds": JSONValue(device.wall), "kernels": JSONValue(device.busy.kernels),
      "copies": JSONValue(device.busy.copies), "withoutLaunch": JSONValue(device.unlinked), "discardedRows": JSONValue(device.discarded),
      "gpuBusy": device.share(device.busy.kernel).json, "copyBusy": device.share(device.busy.copy).json,
      "deviceBusy": device.share(device.busy.device).json, "gpuBusyNanoseconds": JSONValue(device.busy.kernel),
      "deviceBusyNanoseconds": JSONValue(device.busy.device), "kernelsOverlap": .bool(device.busy.kernelsOverlap),
      "verdict": [
        "bottleneck": .string(verdict.title), "regime": JSONValue(verdict.regime?.rawValue),
        "secondRegime": JSONValue(verdict.second?.rawValue),
        "finding": JSONValue(verdict.named?.rawValue), "upstream": .bool(verdict.isUpstream),
        "confidence": .string(verdict.confidence.text),
        "evidence": .array(verdict.evidence.map { .string($0.text) }), "confirm": .string(verdict.confirm),
      ],
      "idle": .array(
        GapCause.allCases.compactMap { cause in
          guard let nanoseconds = device.idle.byCause[cause] else { return nil }
          return [
            "cause": .string(cause.rawValue), "share": device.share(nanoseconds).json, "nanoseconds": JSONValue(nanoseconds),
            "gaps": JSONValue(device.idle.counts[cause] ?? 0),
          ]
        }),
      "gaps": [
        "count": JSONValue(device.idle.count), "medianNanoseconds": JSONValue(device.idle.medianLength),
        "longest": .array(
          device.idle.longest.prefix(20).map { gap in
            [
              "startNanoseconds": JSONValue(gap.range.lowerBound), "nanoseconds": JSONValue(gap.length),
              "cause": .string(gap.cause.rawValue),
            ]
          }),
        "commonest": .array(
          device.idle.patterns.prefix(20).map { pattern in
            [
              "before": .string(pattern.before), "after": .string(pattern.after), "cause": .string(pattern.cause.rawValue),
              "count": JSONValue(pattern.count), "totalNanoseconds": JSONValue(pattern.total),
            ]
          }),
      ],
      "hiddenByGraphsShare": JSONValue(device.hiddenShare),
      "communicationAloneNanoseconds": JSONValue(device.shares.communicationAlone),
      "processes": Self.processesJSON(device.shares),
      "productsByTile": .array(device.tiledProducts.prefix(50).map(Self.tileJSON)),
      "products": device.products.map { Self.productsJSON($0, device) } ?? .null,
      "kernelTable": .array(device.kernels.rows.prefix(200).map(Self.kernelJSON)),
      "residentSMShare": device.kernels.fill.map { Figure($0, .share, .estimated, source: "grids and SM count, weighted by time").json }
        ?? .null,
      "counters": [
        "basis": .string(device.counters.basis),
        "stepsInTrace": JSONValue(device.counters.rate?.stepsInTrace),
        "stepsPerSecond": JSONValue(device.counters.rate?.unprofiledPerSecond),
        "gpuBusy": device.counters.gpuBusy.json, "gpuBusyAtMostShare": JSONValue(device.counters.upperBound),
        "predicted": .array(
          device.counters.counters.map {
            [
              "counter": .string($0.counter.rawValue), "name": .string($0.counter.text), "figure": $0.figure?.json ?? .null,
              "note": .string($0.note),
            ]
          }),
      ],
      "findings": .array(
        found.found.map { finding in
          [
            "code": .string(finding.code.rawValue), "name": .string(finding.code.title), "confidence": .string(finding.confidence.text),
            "seen": .array(finding.seen.map { .string($0.text) }), "fix": .string(finding.fix), "effect": .string(finding.effect.rawValue),
            "gain": .string(finding.gain.kind), "change": Self.change(finding.gain), "because": Self.reason(finding.gain),
            "page": .string(finding.page),
          ]
        }),
      "replayErrorShare": JSONValue(found.replayError), "replayRefusedBecause": JSONValue(found.refusal),
    ]
  }

  private static func processesJSON(_ shares: DeviceShares) -> JSONValue {
    let sorted = shares.byProcess.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    return .array(
      sorted.map { process, nanoseconds in
        ["process": JSONValue(GlobalID.processNumber(process)), "kernelNanoseconds": JSONValue(nanoseconds)]
      })
  }

  private static func kernelJSON(_ row: KernelRow) -> JSONValue {
    [
      "name": .string(row.fullName), "role": .string(row.parsed.role.rawValue), "count": JSONValue(row.count),
      "totalNanoseconds": JSONValue(row.total), "medianNanoseconds": JSONValue(row.median), "grid": .array(row.grid.map { JSONValue($0) }),
      "block": .array(row.block.map { JSONValue($0) }), "registersPerThread": JSONValue(row.registers),
      "sharedMemoryBytes": JSONValue(row.sharedBytes), "waves": JSONValue(row.fit?.waves),
      "residentSMShare": JSONValue(row.fit?.residentSMShare),
      "slotEfficiencyShare": JSONValue(row.fit?.slotEfficiency), "blocksPerSM": row.occupancy.map { JSONValue($0.blocksPerSM) } ?? .null,
      "tile": row.parsed.tile.map { .array([JSONValue($0.m), JSONValue($0.n)]) } ?? .null,
    ]
  }

  private static func change(_ gain: TraceFinding.Gain) -> JSONValue {
    switch gain {
    case .replayed(let figure), .atMost(let figure), .ifBacklogged(let figure): figure.json
    case .notQuantified: .null
    }
  }

  private static func reason(_ gain: TraceFinding.Gain) -> JSONValue {
    if case .notQuantified(let reason) = gain { return .string(reason) }
    return .null
  }
}
