import Diagnosis
import JSONText

/// What files beside a trace and its shapes add to `headroom.explain/3`.
extension TraceExplanation {
  static func loadJSON(_ load: KnownLoad) -> JSONValue {
    [
      "tool": .string(load.tool), "requestsPerSecond": JSONValue(load.requestsPerSecond),
      "meanMilliseconds": JSONValue(load.meanMilliseconds), "isClientBound": load.isClientBound.map { .bool($0) } ?? .null,
      "isOpenLoop": load.isOpen.map { .bool($0) } ?? .null,
    ]
  }

  func requestsJSON(_ requests: RequestUse) -> JSONValue {
    func places(_ sums: [RequestUse.Place: Int64]) -> JSONValue {
      .array(
        RequestUse.Place.allCases.compactMap { place in
          sums[place].map { ["place": .string("\(place)"), "text": .string(place.text), "nanoseconds": JSONValue($0)] }
        })
    }
    return [
      "requests": JSONValue(requests.requests), "batches": JSONValue(requests.batches),
      "requestsPerBatch": JSONValue(requests.requestsPerBatch), "requestsPerSecond": JSONValue(requests.requestsPerSecond),
      "meanFrontEndNanoseconds": JSONValue(requests.frontEnd), "meanQueueNanoseconds": JSONValue(requests.queue),
      "meanBatchNanoseconds": JSONValue(requests.compute), "meanAnswerNanoseconds": JSONValue(requests.response),
      "batchesThatLeftRequestsBehindShare": JSONValue(requests.leftBehindShare),
      "batchesFilledByAnArrivalShare": JSONValue(requests.filledByArrivalShare), "gpuIdle": places(requests.idle),
      "gpuBusy": places(requests.busy),
      "clock": requestClock.map { clock in
        [
          "offsetNanoseconds": JSONValue(clock.offset), "residualNanoseconds": JSONValue(clock.residual),
          "matchedBatches": JSONValue(clock.matched), "batchesInTheTrace": JSONValue(clock.candidates),
          "isAmbiguous": .bool(clock.isAmbiguous),
        ]
      } ?? .null,
    ]
  }

  static func metricsJSON(_ metrics: GPUMetrics) -> JSONValue {
    [
      "source": .string(metrics.source), "smClockMegahertz": JSONValue(metrics.clockMegahertz),
      "largestSMClockMegahertz": JSONValue(metrics.largestClockMegahertz), "wattsDrawn": JSONValue(metrics.watts?.drawn),
      "wattsAllowed": JSONValue(metrics.watts?.limit), "throttleReasons": .array(metrics.throttles.map { .string($0.text) }),
      "processes": metrics.processes.map { JSONValue($0) } ?? .null,
      "measured": .array(
        metrics.shares.sorted { $0.key.rawValue < $1.key.rawValue }.map {
          ["counter": .string($0.key.rawValue), "figure": Figure($0.value, .share, .measured, source: metrics.source).json]
        }),
    ]
  }

  func modelJSON(_ model: ModelUse) -> JSONValue {
    [
      "model": .string(model.name), "rows": JSONValue(model.rows), "floatingPointOperations": JSONValue(model.operations),
      "redundantShare": JSONValue(model.redundantShare), "plannedKernelNanoseconds": JSONValue(model.plannedNanoseconds),
      "plannedWithoutCopiesNanoseconds": JSONValue(model.plannedWithoutCopies), "errorBandShare": JSONValue(model.band),
      "mfu": stepsPerSecond.flatMap { model.mfu(stepsPerSecond: $0)?.json } ?? .null,
    ]
  }

  static func productsJSON(_ products: ProductUse, _ device: DeviceExplanation) -> JSONValue {
    [
      "coverageShare": JSONValue(products.coverage), "floatingPointOperations": JSONValue(products.operations),
      "mfuShare": JSONValue(products.mfu(span: device.wall)),
      "shapes": .array(
        products.rows.prefix(200).map { row in
          [
            "batch": JSONValue(row.batch), "m": JSONValue(row.m), "n": JSONValue(row.n), "k": JSONValue(row.k),
            "dataType": .string(row.type.rawValue), "calls": JSONValue(row.count), "totalNanoseconds": JSONValue(row.total),
            "meanNanoseconds": JSONValue(row.mean), "predictedNanoseconds": JSONValue(row.predicted),
            "errorBandShare": JSONValue(row.band), "limitNanoseconds": JSONValue(row.limit),
            "limit": .string(row.isMathBound ? "compute" : "memory"), "limitShare": JSONValue(row.limitShare),
            "kernel": .string(row.kernel),
          ]
        }),
    ]
  }
}
