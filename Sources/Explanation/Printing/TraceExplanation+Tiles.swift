import Diagnosis
import JSONText
import Reporting

/// Products whose size only name and grid bound.
extension TraceExplanation {
  func tilesSection(_ device: DeviceExplanation) -> Report.Section {
    let total = Double(max(1, device.kernels.total))
    func side(_ range: ClosedRange<Int>) -> String {
      "\(NumberText.grouped(range.lowerBound)) to \(NumberText.grouped(range.upperBound))"
    }
    let rows = device.tiledProducts.prefix(15).map { product in
      FigureTable.Row(
        product.kernel,
        cells: [
          .figure(Figure(Double(product.total) / total, .share, device.kind, source: "trace: share of kernel time")),
          .text("\(product.tile.m) x \(product.tile.n)"), .text(product.grid.map { String($0) }.joined(separator: "x")),
          product.sides.map { .text(side($0.larger)) } ?? .unknown, product.sides.map { .text(side($0.smaller)) } ?? .unknown,
          product.largestResult.map { .figure(Figure($0, .count, .estimated, source: "tile and grid: at most")) } ?? .unknown,
          product.largestDepth.map { .figure(Figure($0, .count, .estimated, source: "duration at the dense peak: at most")) } ?? .unknown,
          product.residentSMShare.map { .figure(Figure($0, .share, .estimated, source: "grid and SM count")) } ?? .unknown,
        ])
    }
    return Report.Section(
      id: "tiles", heading: "Products by tile and grid",
      explanation:
        "Derived bounds, no exact shapes: neither operators nor ranges of the trace tell them. Sides are of one matrix of a batch; results of all; the depth is what the duration leaves time for at the dense peak.",
      blocks: [
        .table(
          FigureTable(
            columns: [
              "of kernel time", "tile", "grid", "larger side", "smaller side", "results at most", "depth at most",
              "SMs with a resident block",
            ],
            rows: Array(rows)))
      ])
  }

  static func tileJSON(_ product: TiledProduct) -> JSONValue {
    func range(_ value: ClosedRange<Int>?) -> JSONValue {
      value.map { .array([JSONValue($0.lowerBound), JSONValue($0.upperBound)]) } ?? .null
    }
    return [
      "kernel": .string(product.kernel), "derivedFrom": "kernel name, grid and duration", "count": JSONValue(product.count),
      "totalNanoseconds": JSONValue(product.total), "tile": .array([JSONValue(product.tile.m), JSONValue(product.tile.n)]),
      "grid": .array(product.grid.map { JSONValue($0) }), "largerSideRange": range(product.sides?.larger),
      "smallerSideRange": range(product.sides?.smaller), "resultsAtMost": JSONValue(product.largestResult),
      "depthAtMost": JSONValue(product.largestDepth), "residentSMShare": JSONValue(product.residentSMShare),
    ]
  }
}
