import CheckedNumbers
import Console
import FileAccess
import Planning
import ProcessContract
import Reporting

/// `plan --sweep-batch`: time and SMs with a resident block against the rows of a batch.
package struct Sweep {
  package let sizes: [Int]
  package let plans: [PlannedGPU]

  package init(text: String, plans: [PlannedGPU]) throws {
    let parts = text.split(separator: ":").compactMap { Int($0) }
    guard parts.count == 2, parts[0] >= 1, parts[1] > parts[0], parts[1] <= 1 << 20 else {
      throw UsageError("--sweep-batch \(text): write FROM:TO, as in 1:1024")
    }
    // At most 512 points: every size where there is room, so that the steps at wave edges show.
    let step = max(1, (parts[1] - parts[0] + 511) / 512)
    sizes = Array(stride(from: parts[0], through: parts[1], by: step))
    self.plans = plans
  }

  package func charts() throws -> [LineChart] {
    var times: [LineChart.Series] = []
    var fills: [LineChart.Series] = []
    for planned in plans {
      let batches = try sizes.map { try planned.plan.at(rows: $0) }
      let name = planned.plan.gpu.name
      times.append(.init(name: name, points: batches.map { (Double($0.rows), $0.predictedNanoseconds / 1e3) }))
      fills.append(.init(name: name, points: batches.map { (Double($0.rows), $0.residentSMShare * 100) }))
    }
    let model = plans.first?.plan.graph.name ?? ""
    return [
      LineChart(
        title: "\(model): PREDICTED device time of a batch",
        explanation: "Flat stretches are free rows; a step is another wave of blocks or another kernel.",
        xLabel: "rows", yLabel: "us", series: times),
      LineChart(
        title: "\(model): PREDICTED SMs with a resident block, averaged over the batch's kernels",
        explanation: "Share of SMs that hold at least one block, tail included; saw teeth are waves that do not come out even.",
        xLabel: "rows",
        yLabel: "%", series: fills, top: 100),
    ]
  }

  package func print(svg: String?) throws {
    let charts = try charts()
    if let svg {
      try Files.write(svg, LineChart.svg(charts))
      return
    }
    for (index, planned) in plans.enumerated() {
      for chart in charts {
        var one = chart
        one.series = [chart.series[index]]
        one.title = "\(planned.plan.gpu.name), \(chart.title)"
        for line in one.terminalLines() { Terminal.print(line) }
        Terminal.print("")
      }
    }
  }
}
