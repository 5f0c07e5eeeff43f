import CheckedNumbers
import GPUModel
import JSONText
import ModelGraph
import ONNXFormat
import Planning
import ProcessContract

/// What `headroom plan` is asked for.
package struct PlanSettings: Sendable {
  /// One model, or files and folders whose coverage is listed.
  package var models: [String]
  /// For which GPUs.
  package var gpus: GPUSelection
  /// Sizes of the model.
  package var model: ModelSelection
  /// Numbers of rows, by comma; nil: the usual ones, or the model's own.
  package var batch: String?
  /// Arithmetic.
  package var type = ComputeType.fp16
  /// Beyond the standard ones.
  package var rewrites: [String] = []
  /// How far operators are joined into kernels.
  package var fusion = Fusion.standard
  /// Separate or fused.
  package var attention = AttentionKernels.separate
  /// "from:to": rows against which time is drawn.
  package var sweep: String?
  /// SVG of the sweep.
  package var sweepFile: String?
  /// CSV of products in place of a model.
  package var gemmFile: String?
  /// Where the plan for the first GPU is written.
  package var planFile: String?
  /// How much of each file is planned, in place of plans.
  package var listsCoverage = false
  /// Of the plan file.
  package var leavesWeightsOut = false
  /// Each kernel on a line of its own.
  package var showsAllLayers = false
  /// Every column.
  package var isWide = false
  /// One JSON object.
  package var isJSON = false
  /// Comma-separated values.
  package var isCSV = false

  /// Of these models.
  package init(models: [String], gpus: GPUSelection, model: ModelSelection) {
    (self.models, self.gpus, self.model) = (models, gpus, model)
  }

  /// - Throws: options that cannot be together.
  package func check() throws(UsageError) {
    if isJSON && isCSV { throw UsageError("--json and --csv exclude each other") }
    if models.isEmpty == (gemmFile == nil) { throw UsageError("give a model, or --gemm-file") }
    if models.count > 1 && !listsCoverage { throw UsageError("one model at a time, or several with --coverage; these are \(models.count)") }
    if listsCoverage && (isCSV || sweep != nil || planFile != nil || gemmFile != nil) {
      throw UsageError("--coverage lists files: --csv, --sweep-batch, --save-plan and --gemm-file do not go with it")
    }
    if sweepFile != nil && sweep == nil { throw UsageError("--svg draws a sweep: give --sweep-batch too") }
  }

  /// Plans, and prints what was asked for.
  package func run(print: (String) -> Void, note: (String) -> Void) throws {
    let name = models.first
    if listsCoverage {
      var gpus = gpus
      // Shares of FLOPs and bytes are the same on every GPU.
      gpus.names = gpus.names ?? "h200"
      guard let gpu = try gpus.choose().first else { return }
      let list = try CoverageList(
        paths: models, options: try model.readerOptions(.plan), model: gpu.model, type: type, rows: try batchSizes()?.first ?? 1)
      try model.refuseUnknownDimensions(in: list.entries.map(\.file))
      print(isJSON ? list.json.serialized() : list.text)
      return
    }
    if let model = name, model.hasSuffix(".plan") {
      if gpus.names != nil || !rewrites.isEmpty || planFile != nil || fusion != .standard || attention != .separate {
        throw UsageError(
          "\(model) is a plan: its GPU and rewrites are fixed; --gpu, --rewrite, --fusion, --attention and --save-plan do not apply")
      }
      if let first = self.model.dimensions.first {
        throw UsageError("--dimension \(first): \(model) is a plan, whose shapes are fixed")
      }
      let plan = try PlanFile.read(model)
      let notes = plan.hasWeights ? [] : ["the plan file holds no weights: it can be read, not run"]
      try report([PlannedGPU(plan: plan, statedChoice: nil)], notes: notes, type: plan.type, print: print)
      return
    }
    let chosen = try gpus.choose()
    if let gemmFile {
      try GEMMList(file: gemmFile, chosen: chosen, json: isJSON).print()
      return
    }
    guard let name else { return }
    let loaded = try model.load(name, for: .plan)
    let passes = try Rewrites.passes(named: rewrites)
    var plans: [PlannedGPU] = []
    for choice in chosen {
      plans.append(
        PlannedGPU(
          plan: try PlanBuilder(model: choice.model, type: type, requested: passes, fusion: fusion, attention: attention).plan(
            loaded.graph),
          statedChoice: choice.statedChoice))
    }
    if let planFile, let first = plans.first {
      if !leavesWeightsOut && first.plan.weightBytes > 1e8 { note("writing \(planFile) ...") }
      try PlanFile.write(first.plan, to: planFile, includingWeights: !leavesWeightsOut)
    }
    try report(plans, notes: loaded.notes, type: type, print: print)
  }

  /// Prints a sweep or the tables.
  private func report(_ plans: [PlannedGPU], notes: [String], type: ComputeType, print: (String) -> Void) throws {
    if let sweep {
      try Sweep(text: sweep, plans: plans).print(svg: sweepFile)
      return
    }
    let report = try PlanReport(
      plans: plans, batches: try batchSizes() ?? plans.first?.plan.fixedRows.map { [$0] } ?? [1, 8, 256], notes: notes, type: type,
      allLayers: showsAllLayers, isWide: isWide)
    print(isJSON ? report.json.serialized() : isCSV ? report.csv : report.text)
  }

  /// nil: not given.
  package func batchSizes() throws(UsageError) -> [Int]? {
    guard let batch else { return nil }
    let parts = batch.split(separator: ",")
    if parts.isEmpty { throw UsageError("--batch is empty: write it as in 1,8,256") }
    var sizes: [Int] = []
    for part in parts {
      guard let rows = Int(part), rows > 0, rows <= 1 << 20 else {
        throw UsageError("--batch \(batch): \"\(part)\" is not an integer from 1 to 1,048,576")
      }
      sizes.append(rows)
    }
    return sizes
  }
}

extension Rewrites {
  /// Those of a command line, in its order.
  ///
  /// - Throws: the first that there is not, with those there are.
  package static func passes(named names: [String]) throws(UsageError) -> [any RewritePass.Type] {
    var passes: [any RewritePass.Type] = []
    for name in names {
      guard let pass = named(name) else {
        throw UsageError("no rewrite is called \"\(name)\"; known are \(onRequest.map { $0.name }.joined(separator: ", "))")
      }
      passes.append(pass)
    }
    return passes
  }
}
