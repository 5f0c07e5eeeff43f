import Diagnosis
import Reporting

/// Sections on requests and shapes.
extension TraceExplanation {
  func requestsSection(_ requests: RequestUse, _ device: DeviceExplanation) -> Report.Section {
    let rows = RequestUse.Place.allCases.compactMap { place -> FigureTable.Row? in
      let (idle, busy) = (requests.idle[place] ?? 0, requests.busy[place] ?? 0)
      return idle + busy > 0 ? FigureTable.Row(place.text, [device.share(idle), device.share(busy)]) : nil
    }
    let join =
      requestClock.map {
        " Clocks joined by \($0.matched) of \($0.candidates) batches, to +-\(NumberText.time(nanoseconds: Double($0.residual)))."
      } ?? ""
    let counts = "\(NumberText.grouped(requests.requests)) requests in \(NumberText.grouped(requests.batches)) batches"
    return Report.Section(
      id: "requests", heading: "Requests",
      explanation:
        "Where requests were while the GPU idled and worked: \(counts), \(NumberText.time(nanoseconds: requests.busyPerBatch)) of GPU work a batch.\(join)",
      blocks: [.table(FigureTable(columns: ["GPU idle", "GPU busy"], rows: rows))])
  }

  func productsSection(_ products: ProductUse, _ device: DeviceExplanation) -> Report.Section {
    let source = "the larger of FLOPs over peak and bytes over bandwidth, over kernel time"
    let rows = products.rows.prefix(25).map { row in
      FigureTable.Row(
        row.text,
        cells: [
          .text(row.type.rawValue), .text(NumberText.grouped(row.count)), .text(NumberText.time(nanoseconds: row.mean)),
          row.predicted.map { .text(NumberText.time(nanoseconds: $0)) } ?? .unknown,
          row.limit > 0 ? .figure(Figure(row.limitShare, .share, .estimated, source: source)) : .unknown,
          .text(row.limit > 0 ? (row.isMathBound ? "compute" : "memory") : "unknown"),
        ], explanation: row.kernel)
    }
    let mfu = products.mfu(span: device.wall).map { " MFU of the known products over the span: \(NumberText.percent($0))." } ?? ""
    return Report.Section(
      id: "products", heading: "Matrix products",
      explanation:
        "By time, m x n x k; shapes are known for \(NumberText.percent(products.coverage)) of the products' kernel time.\(mfu)",
      blocks: [
        .table(
          FigureTable(columns: ["type", "calls", "kernel time", "model predicts", "of the limit", "limit"], rows: Array(rows)))
      ])
  }
}
