import ProcessContract
import GPUModel
import HostModel
import JSONText
import ModelGraph
import Planning
import Reporting

/// What `headroom plan` says, as text, JSON and CSV.
package struct PlanReport {
  package let plans: [(planned: PlannedGPU, batches: [BatchPlan])]
  package let notes: [String]
  package let type: ComputeType
  package let allLayers: Bool
  /// Every column and lines as long as they come, in place of 80 columns.
  package let isWide: Bool

  package init(plans: [PlannedGPU], batches: [Int], notes: [String], type: ComputeType, allLayers: Bool, isWide: Bool = false) throws {
    var list: [(PlannedGPU, [BatchPlan])] = []
    for planned in plans {
      var made: [BatchPlan] = []
      for rows in batches { made.append(try planned.plan.at(rows: rows)) }
      list.append((planned, made))
    }
    self.plans = list
    self.notes = notes
    self.type = type
    self.allLayers = allLayers
    self.isWide = isWide
  }

  /// Other tiles within 5 %, the two nearest, and the classes that libraries' kernel names carry (64x64, 128x64, 128x128, in the orientation that
  /// suits them better) with their time, near or not: a reader with a profile in hand finds the tile that ran.
  package static func nearTies(_ launch: Launch, _ model: KernelModel) -> [GEMMAlternative] {
    guard let gemm = launch.gemm, case .gpu(let shape) = launch.shape, let all = try? model.alternatives(gemm) else { return [] }
    let others = all.filter { !($0.tile.m == shape.tileM && $0.tile.n == shape.tileN) }
    var listed = others.filter { $0.microseconds * 1e3 <= launch.predictedNanoseconds * 1.05 }.prefix(2).map { $0 }
    for size in [[64, 64], [64, 128], [128, 128]] {
      func isOfClass(_ alternative: GEMMAlternative) -> Bool { [alternative.tile.m, alternative.tile.n].sorted() == size }
      if [shape.tileM ?? 0, shape.tileN ?? 0].sorted() == size || listed.contains(where: isOfClass) { continue }
      if let best = others.first(where: isOfClass) { listed.append(best) }
    }
    return listed.sorted { $0.microseconds < $1.microseconds }
  }

  /// Whose launch calls and gaps between kernels totals are made of: the one host and GPU where they were measured from a compiled program.
  package static let gaps = HostProfile.h200Native

  // MARK: text

  /// Columns of a table that is not wide.
  private static let width = 80

  private func lines(_ text: String, indent: String = "") -> [String] {
    isWide ? [indent + text] : Report.wrap(text, width: Self.width, indent: indent + "  ", first: indent)
  }

  package var text: String {
    var lines: [String] = []
    guard let first = plans.first?.planned.plan else { return "" }
    let count = first.parameterCount
    lines += self.lines(
      "\(first.graph.name): \(NumberText.grouped(count)) parameters, \(sizes(count)); \(largeGEMMs(first))runs in \(type.rawValue)")
    for note in notes { lines += self.lines("note: " + note) }
    // The answer first; what it is made of below.
    if plans.count > 1 || (plans.first?.batches.count ?? 0) > 1 {
      lines.append("")
      lines += isWide ? summary.lines : summary.lines(width: Self.width, clippingColumn: 0)
      lines.append("")
      lines += self.lines("time: kernels; eager, graph: with the gaps between them, launched one by one or as a CUDA graph")
    }
    lines += self.lines("SMs: share that holds a block, over a kernel's time; n: equal kernels, each taking the time that stands there")
    for (planned, batches) in plans {
      let plan = planned.plan
      lines.append("")
      lines += self.lines(
        "PREDICTED for \(plan.gpu.name) (\(plan.gpu.smCount) SMs)\(plan.model.calibration.isMeasured ? "" : ", not calibrated on this GPU")"
      )
      lines += self.lines("constants: \(source(plan))")
      lines += self.lines(
        plan.fusion == .none
          ? "fusion: none; LayerNorm, softmax, activations and batched biases are kernels of their own, as a framework's library has them"
          : "fusion: standard; bias and activation in the GEMM's epilogue, LayerNorm and softmax with what follows in generated kernels")
      if let choice = planned.statedChoice { lines += self.lines("note: " + choice) }
      for batch in batches {
        lines.append("")
        lines += self.lines("batch size \(NumberText.grouped(batch.rows))" + runs(batch, plan))
        lines += (isWide ? table(batch, plan).lines : narrowTable(batch)).map { "  " + $0 }
        for total in totals(batch, plan) { lines += self.lines(total, indent: "  ") }
      }
    }
    return lines.joined(separator: "\n")
  }

  /// What a reader looks at first, in 80 columns: the layer's name gives way. `--wide`, CSV and JSON have the rest.
  private func narrowTable(_ batch: BatchPlan) -> [String] {
    var table = TextTable([
      .init("layer", .left), .init("n"), .init("M x N x K"), .init("tile"), .init("waves"), .init("SMs"), .init("us each"), .init("+-"),
      .init("bound", .left),
    ])
    for group in grouped(batch) {
      let launch = group.launch
      guard case .gpu(let shape) = launch.shape else { continue }
      let gemm = launch.gemm.map { ($0.batch > 1 ? "\($0.batch)*" : "") + "\($0.m)x\($0.n)x\($0.k)" } ?? "-"
      let tile = shape.tileM.flatMap { m in shape.tileN.map { "\(m)x\($0)" } } ?? "-"
      table.add([
        launch.layer, "\(group.count)", gemm, tile, NumberText.significant(shape.waves), NumberText.percent(shape.residentSMShare),
        NumberText.significant(launch.predictedNanoseconds / 1e3), NumberText.percent(launch.relativeErrorBand),
        launch.bound?.rawValue ?? "undecided",
      ])
    }
    return table.lines(width: Self.width - 2, clippingColumn: 0)
  }

  /// A line for each GPU and batch size.
  private var summary: TextTable {
    var table = TextTable([
      .init("GPU", .left), .init("batch"), .init("time"), .init("+-"), .init("rows/s"), .init("eager"), .init("graph"),
      .init("SMs"), .init("roofline"),
    ])
    for (planned, batches) in plans {
      for batch in batches {
        let isEmpty = batch.launches.isEmpty
        table.add([
          planned.plan.gpu.name, NumberText.grouped(batch.rows),
          isEmpty ? "no kernels" : NumberText.time(nanoseconds: batch.predictedNanoseconds),
          isEmpty ? "" : NumberText.percent(batch.relativeErrorBand),
          isEmpty ? "" : NumberText.rate(Double(batch.computedRows) / (batch.predictedNanoseconds / 1e9)),
          isEmpty ? "" : NumberText.time(nanoseconds: batch.elapsedNanoseconds(.eager, host: Self.gaps)),
          isEmpty ? "" : NumberText.time(nanoseconds: batch.elapsedNanoseconds(.graph, host: Self.gaps)),
          isEmpty ? "" : NumberText.percent(batch.residentSMShare), isEmpty ? "" : NumberText.percent(batch.rooflineShare),
        ])
      }
    }
    return table
  }

  /// Where the constants of the plan's own arithmetic come from.
  private func source(_ plan: Plan) -> String {
    plan.model.fit(for: GEMM(m: 64, n: 64, k: 64, type: plan.type)).source
  }

  /// Left out where there are none: a convolutional network has no layers of one width.
  private func largeGEMMs(_ plan: Plan) -> String {
    let count = plan.largeGEMMCount
    return count == 0 ? "" : "\(count) large GEMM\(count == 1 ? "" : "s"); "
  }

  private func sizes(_ count: Int) -> String {
    [("fp32", 4.0), ("fp16/bf16", 2.0)].map { "\(NumberText.scaled(Double(count) * $0.1, unit: "B")) in \($0.0)" }.joined(separator: ", ")
  }

  private func table(_ batch: BatchPlan, _ plan: Plan) -> TextTable {
    var table = TextTable([
      .init("layer", .left), .init("kernel", .left), .init("batch x M x N x K"), .init("tile"), .init("split"), .init("blocks"),
      .init("waves"),
      .init("SMs"), .init("slots"), .init("work"), .init("bytes"), .init("us"), .init("+-"), .init("bound", .left),
      .init("other tiles (us)", .left),
    ])
    for group in grouped(batch) {
      let launch = group.launch
      guard case .gpu(let shape) = launch.shape else { continue }
      let gemm = launch.gemm.map { "\($0.batch) x \($0.m) x \($0.n) x \($0.k)" } ?? "-"
      let tile = shape.tileM.flatMap { m in shape.tileN.map { "\(m)x\($0)" } } ?? "-"
      let ties = Self.nearTies(launch, plan.model).map { "\($0.tile.m)x\($0.tile.n) \(NumberText.significant($0.microseconds))" }
      table.add([
        group.label, operation(launch), gemm, tile, shape.tileM == nil ? "-" : String(shape.splitK), NumberText.grouped(shape.blockCount),
        NumberText.significant(shape.waves), NumberText.percent(shape.residentSMShare), NumberText.percent(shape.slotEfficiency),
        NumberText.scaled(launch.floatingPointOperations, unit: "FLOP"), NumberText.scaled(launch.bytes, unit: "B"),
        NumberText.significant(launch.predictedNanoseconds / 1e3), NumberText.percent(launch.relativeErrorBand),
        launch.bound?.rawValue ?? "undecided",
        ties.joined(separator: ", "),
      ])
    }
    return table
  }

  private func operation(_ launch: Launch) -> String {
    let parts = launch.kernelName.split(separator: "_")
    return launch.gemm == nil ? String(parts[0]) : parts.count > 2 ? String(parts[2]) : launch.kernelName
  }

  private func grouped(_ batch: BatchPlan) -> [LaunchGroup] {
    allLayers ? batch.launches.map { LaunchGroup(launch: $0, lastLayer: $0.layer, count: 1) } : LaunchGroup.groups(batch.launches)
  }

  /// ": 32 runs of the model's 8".
  private func runs(_ batch: BatchPlan, _ plan: Plan) -> String {
    guard let rows = plan.fixedRows, batch.runs > 1 || rows != batch.rows else { return "" }
    return
      ": \(NumberText.grouped(batch.runs)) run\(batch.runs == 1 ? "" : "s") of the model's \(NumberText.grouped(rows)); the table is one run"
  }

  private func totals(_ batch: BatchPlan, _ plan: Plan) -> [String] {
    if batch.launches.isEmpty {
      return ["no kernels: the graph only passes its inputs on, or changes how they are read; it takes no device time"]
    }
    let seconds = batch.predictedNanoseconds / 1e9
    let gemmWork = Double(batch.runs) * batch.launches.filter { $0.gemm != nil }.reduce(0) { $0 + $1.floatingPointOperations }
    var lines = [
      "kernel time: \(NumberText.time(nanoseconds: batch.predictedNanoseconds)) per batch (+- \(NumberText.percent(batch.relativeErrorBand))), "
        + "\(NumberText.rate(Double(batch.computedRows) / seconds)) rows/s, \(batch.launches.count * batch.runs) kernel\(batch.launches.count * batch.runs == 1 ? "" : "s"); copies and host not counted",
      "with gaps: \(NumberText.time(nanoseconds: batch.elapsedNanoseconds(.eager, host: Self.gaps))) launched one by one, "
        + "\(NumberText.time(nanoseconds: batch.elapsedNanoseconds(.graph, host: Self.gaps))) as a CUDA graph (\(Self.gaps[.launch].value) us per call, "
        + "\(Self.gaps[.kernelGap].value) and \(Self.gaps[.graphKernelGap].value) us between kernels, as measured on an H200)",
      "tensor throughput \(NumberText.scaled(gemmWork / seconds, unit: "FLOP/s")) of \(NumberText.scaled(plan.gpu.peakFLOPs(type) ?? .nan, unit: "FLOP/s")) "
        + "dense \(type.rawValue) peak; \(NumberText.percent(batch.rooflineShare)) of roofline; \(NumberText.percent(batch.residentSMShare)) of SMs hold a block",
    ]
    let redundant = batch.redundantShare
    if redundant > 0 {
      let parts = redundant < 1 ? 1 / (1 - redundant) : .infinity
      lines.append(
        "useful: \(NumberText.percent(1 - redundant)) of the work; \(NumberText.percent(redundant)) computes copies of rows "
          + "(about \(NumberText.significant(parts - 1))/\(NumberText.significant(parts))): --rewrite sink-broadcast removes it")
    } else {
      lines.append("useful: no row is computed twice in this graph (padding not counted)")
    }
    return lines + batch.notes.map { "note: " + $0 } + coverage(batch, plan)
  }

  /// What is not planned, and how much of the work that is.
  private func coverage(_ batch: BatchPlan, _ plan: Plan) -> [String] {
    let coverage = plan.coverage(batch)
    guard !coverage.unplanned.isEmpty else { return [] }
    let measure = coverage.measure.rawValue
    // All that is counted, where only what has no known size is missing.
    let planned = coverage.share < 1 ? "\(Self.precise(coverage.share)) of \(measure)" : "all \(measure) of known size"
    var lines = [
      "PARTIAL PLAN: \(planned), \(Self.precise(coverage.timeShare)) of the predicted time planned. Not planned, counted as the bytes they move:"
    ]
    var listed: [(PlanCoverage.Unplanned, Int)] = []
    for operation in coverage.unplanned {
      // The same reason once, with the first layer's name.
      if let place = listed.firstIndex(where: { $0.0.operation == operation.operation && $0.0.reason == operation.reason }) {
        listed[place].0.share += operation.share
        listed[place].0.timeShare += operation.timeShare
        listed[place].1 += 1
      } else {
        listed.append((operation, 1))
      }
    }
    for (operation, count) in listed {
      let more = count > 1 ? " and \(count - 1) more" : ""
      let size =
        operation.isUnsized
        ? "of unknown size"
        : "\(Self.precise(operation.share)) of \(measure), \(Self.precise(operation.timeShare)) of the time"
      lines.append("  \(operation.operation.dropFirst("unplanned-".count)) \"\(operation.layer)\"\(more), \(size): \(operation.reason)")
    }
    return lines
  }

  /// Never "100 %" for less than all, nor "0.0 %" for more than nothing.
  private static func precise(_ share: Double) -> String {
    guard share > 0, share < 1 else { return NumberText.percent(share) }
    if share > 0.9999 { return "more than 99.99 %" }
    if share < 0.0001 { return "less than 0.01 %" }
    return share >= 0.995 || share < 0.001 ? NumberText.fixed(share * 100, decimals: 2) + " %" : NumberText.percent(share)
  }

  // MARK: JSON

  package var json: JSONValue {
    guard let first = plans.first?.planned.plan else { return .null }
    let count = first.parameterCount
    return [
      "schema": "headroom.plan/3", "headroom": JSONValue(ProgramVersion.current), "mode": "simulated",
      "model": [
        "name": JSONValue(first.graph.name), "parameterCount": JSONValue(count),
        "parameterBytes": .object(ComputeType.allCases.map { JSONValue.Member($0.rawValue, JSONValue(count * $0.bytesPerElement)) }),
        "largeGEMMCount": JSONValue(first.largeGEMMCount), "notes": .array(notes.map { JSONValue($0) }),
      ],
      "dataType": JSONValue(type.rawValue), "rewrites": .array(first.rewrites.map { JSONValue($0) }),
      "plans": .array(
        plans.map { entry in
          let plan = entry.planned.plan
          return [
            "gpu": JSONValue(plan.gpu.name), "statedChoice": JSONValue(entry.planned.statedChoice),
            "calibrated": .bool(plan.model.calibration.isMeasured), "constantsSource": JSONValue(source(plan)),
            "fusion": JSONValue(plan.fusion.rawValue),
            "batches": .array(entry.batches.map { json($0, plan) }),
          ]
        }),
    ]
  }

  private func json(_ batch: BatchPlan, _ plan: Plan) -> JSONValue {
    let nanoseconds = batch.predictedNanoseconds
    let gemmWork = Double(batch.runs) * batch.launches.filter { $0.gemm != nil }.reduce(0) { $0 + $1.floatingPointOperations }
    let coverage = plan.coverage(batch)
    return [
      "rows": JSONValue(batch.rows), "runs": JSONValue(batch.runs), "computedRows": JSONValue(batch.computedRows),
      "notes": .array(batch.notes.map { JSONValue($0) }),
      "coverage": [
        "measure": JSONValue(coverage.measure.rawValue), "plannedShare": JSONValue(coverage.share),
        "plannedTimeShare": JSONValue(coverage.timeShare), "isSufficient": .bool(coverage.isSufficient),
        "unplanned": .array(
          coverage.unplanned.map {
            [
              "layer": JSONValue($0.layer), "operator": JSONValue(String($0.operation.dropFirst("unplanned-".count))),
              "share": $0.isUnsized ? .null : JSONValue($0.share), "timeShare": JSONValue($0.timeShare),
              "reason": JSONValue($0.reason),
            ]
          }),
      ],
      "launches": .array(batch.launches.map { json($0, plan) }),
      "totals": [
        "predictedMicroseconds": JSONValue(nanoseconds / 1e3),
        "eagerMicroseconds": JSONValue(batch.elapsedNanoseconds(.eager, host: Self.gaps) / 1e3),
        "graphMicroseconds": JSONValue(batch.elapsedNanoseconds(.graph, host: Self.gaps) / 1e3), "gapsSource": JSONValue(Self.gaps.name),
        "predictedLowMicroseconds": JSONValue(nanoseconds / 1e3 * (1 - batch.relativeErrorBand)),
        "predictedHighMicroseconds": JSONValue(nanoseconds / 1e3 * (1 + batch.relativeErrorBand)),
        "rowsPerSecond": JSONValue(nanoseconds > 0 ? Double(batch.computedRows) / nanoseconds * 1e9 : nil),
        "floatingPointOperations": JSONValue(batch.floatingPointOperations), "bytes": JSONValue(batch.bytes),
        "tensorThroughputTeraflops": JSONValue(nanoseconds > 0 ? gemmWork / nanoseconds / 1e3 : nil),
        "rooflineShare": JSONValue(batch.rooflineShare),
        "usefulShare": JSONValue(1 - batch.redundantShare),
        "redundantShare": JSONValue(batch.redundantShare), "residentSMShare": JSONValue(batch.residentSMShare),
        "launchCount": JSONValue(batch.launches.count * batch.runs),
      ],
    ]
  }

  private func json(_ launch: Launch, _ plan: Plan) -> JSONValue {
    guard case .gpu(let shape) = launch.shape else { return .null }
    let tile: JSONValue =
      if let m = shape.tileM, let n = shape.tileN { ["m": JSONValue(m), "n": JSONValue(n)] } else { .null }
    return [
      "layer": JSONValue(launch.layer), "kernel": JSONValue(launch.kernelName),
      "gemm": launch.gemm.map { ["batch": JSONValue($0.batch), "m": JSONValue($0.m), "n": JSONValue($0.n), "k": JSONValue($0.k)] } ?? .null,
      "tile": tile, "splitK": JSONValue(shape.splitK), "grid": .array(shape.grid.map { JSONValue($0) }),
      "blocksPerSM": JSONValue(shape.blocksPerSM),
      "waves": JSONValue(shape.waves), "residentSMShare": JSONValue(shape.residentSMShare),
      "slotEfficiencyShare": JSONValue(shape.slotEfficiency),
      "floatingPointOperations": JSONValue(launch.floatingPointOperations),
      "redundantFloatingPointOperations": JSONValue(launch.redundantFloatingPointOperations), "bytes": JSONValue(launch.bytes),
      "predictedMicroseconds": JSONValue(launch.predictedNanoseconds / 1e3), "errorBandShare": JSONValue(launch.relativeErrorBand),
      "bound": JSONValue(launch.bound?.rawValue),
      "nearTies": .array(
        Self.nearTies(launch, plan.model).map {
          ["tile": JSONValue($0.tile.name), "splitK": JSONValue($0.splitK), "predictedMicroseconds": JSONValue($0.microseconds)]
        }),
    ]
  }

  // MARK: CSV

  package var csv: String {
    let header = [
      "gpu", "rows", "layer", "kernel", "gemmBatch", "m", "n", "k", "tileM", "tileN", "splitK", "blocks", "waves", "residentSMShare",
      "slotEfficiencyShare", "floatingPointOperations", "bytes", "predictedMicroseconds", "errorBandShare", "bound",
    ]
    var rows: [[String]] = []
    for (planned, batches) in plans {
      for batch in batches {
        for launch in batch.launches {
          guard case .gpu(let shape) = launch.shape else { continue }
          let gemm = launch.gemm.map { [$0.batch, $0.m, $0.n, $0.k].map(String.init) } ?? ["", "", "", ""]
          var row = [planned.plan.gpu.name, String(batch.rows), launch.layer, launch.kernelName] + gemm
          row += [shape.tileM.map(String.init) ?? "", shape.tileN.map(String.init) ?? "", String(shape.splitK), String(shape.blockCount)]
          row += [shape.waves, shape.residentSMShare, shape.slotEfficiency, launch.floatingPointOperations, launch.bytes].map { "\($0)" }
          row += ["\(launch.predictedNanoseconds / 1e3)", "\(launch.relativeErrorBand)", launch.bound?.rawValue ?? ""]
          rows.append(row)
        }
      }
    }
    return String(CSVText.table(header: header, rows: rows).dropLast())
  }
}
