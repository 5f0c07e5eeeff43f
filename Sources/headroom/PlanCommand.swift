import PlanReports
import Console
import CheckedNumbers
import ArgumentParser
import FileAccess
import GPUModel
import JSONText
import KernelFitting
import ModelGraph
import Planning
import Reporting

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Layers to kernels: GEMM shape, tile, grid, waves, SMs with a resident block, time, and what bounds each.",
    discussion: """
      All times are predictions of what a profiler records; gaps between kernels are added in the totals only. The band (+-) is where 80 % of GEMMs of that length lay in cross-validation (Docs/accuracy.md); for \
      convolutions, recurrences and attention, which are predicted as GEMMs, it was not measured.

      EXAMPLES
        headroom plan seqlen --gpu rtx-pro-6000 --batch 256
        headroom plan seqlen --gpu rtx-pro-6000 --batch 256 --rewrite sink-broadcast
        headroom plan model.onnx --gpu l40s,h100,rtx-pro-6000 --batch 1,8,64 --json
        headroom plan linear --gpu h200 --batch 64 --wide
        headroom plan linear --gpu h200 --sweep-batch 1:1024 --svg sweep.svg
        headroom plan seqlen --gpu h200 --batch 256 --fusion none
        headroom plan encoder --gpu h200 --attention fused
        headroom plan linear --gpu h200 --save-plan linear.plan
        headroom plan linear.plan --batch 64
        headroom plan --gemm-file shapes.csv --gpu h200 --json
        headroom plan ids.onnx --gpu h200 --dimension sequence=128
        headroom plan --coverage models/         # how much of each file is planned

      Operators that are not known are counted as the bytes they move and listed with their share.
      """)

  @Argument(help: "linear, stacked, seqlen, encoder, an .onnx file, or a .plan file; with --coverage ONNX files and folders of them.")
  var models: [String] = []
  @OptionGroup var gpus: GPUOptions
  @OptionGroup var modelOptions: ModelOptions
  @Option(help: "Batch sizes, separated by commas. (default: 1,8,256; for a model of fixed shapes its own)") var batch: String?
  @Option(help: "Arithmetic: fp16, bf16, tf32, fp32.") var dtype: ComputeType = .fp16
  @Option(help: ArgumentHelp("Rewrite beyond the standard ones: stack-heads, sink-broadcast. May be repeated.", valueName: "name"))
  var rewrite: [String] = []
  @Option(help: "How far the engine joins operators into kernels: standard (as engine builders do) or none (as frameworks run them).")
  var fusion: Fusion = .standard
  @Option(help: "Attention: separate (two products and a softmax between them) or fused (one kernel, as most engines run it).")
  var attention: AttentionKernels = .separate
  @Option(help: ArgumentHelp("Draw time and SMs with a resident block against the batch, from:to.", valueName: "from:to")) var sweepBatch:
    String?
  @Option(help: ArgumentHelp("Write the sweep as SVG.", valueName: "file")) var svg: String?
  @Option(help: ArgumentHelp("Predict a list of GEMMs: CSV with m, n, k and optionally batch, dtype.", valueName: "file")) var gemmFile:
    String?
  @Option(help: ArgumentHelp("Also write the plan for the first GPU to a file.", valueName: "file")) var savePlan: String?
  @Flag(help: "Report how much of each ONNX file is planned, with counts per operator; needs no --gpu.") var coverage = false
  @Flag(help: "Leave the weights out of the plan file.") var noWeights = false
  @Flag(help: "Print every kernel on a line of its own instead of joining equal neighbours.") var allLayers = false
  @Flag(help: "Every column: kernel, splits, blocks, slots, work, bytes, other tiles. Up to 210 columns.") var wide = false
  @Flag(help: "One JSON object.") var json = false
  @Flag(help: "Comma-separated values.") var csv = false

  mutating func validate() throws {
    if json && csv { throw ValidationError("--json and --csv exclude each other") }
    if models.isEmpty == (gemmFile == nil) { throw ValidationError("give a model, or --gemm-file") }
    if models.count > 1 && !coverage { throw ValidationError("one model at a time, or several with --coverage; these are \(models.count)") }
    if coverage && (csv || sweepBatch != nil || savePlan != nil || gemmFile != nil) {
      throw ValidationError("--coverage lists files: --csv, --sweep-batch, --save-plan and --gemm-file do not go with it")
    }
    if svg != nil && sweepBatch == nil { throw ValidationError("--svg draws a sweep: give --sweep-batch too") }
  }

  func run() throws {
    let model = models.first
    if coverage {
      var gpus = gpus
      // Shares of FLOPs and bytes are the same on every GPU.
      gpus.gpu = gpus.gpu ?? "h200"
      guard let gpu = try gpus.choose().first else { return }
      let list = try CoverageList(
        paths: models, options: try modelOptions.readerOptions(.plan), model: gpu.model, type: dtype, rows: try batchSizes()?.first ?? 1)
      try modelOptions.refuseUnknownDimensions(in: list.entries.map(\.file))
      Terminal.print(json ? list.json.serialized() : list.text)
      return
    }
    if let model, model.hasSuffix(".plan") {
      if gpus.gpu != nil || !rewrite.isEmpty || savePlan != nil || fusion != .standard || attention != .separate {
        throw ValidationError(
          "\(model) is a plan: its GPU and rewrites are fixed; --gpu, --rewrite, --fusion, --attention and --save-plan do not apply")
      }
      if let first = modelOptions.dimensions.first {
        throw ValidationError("--dimension \(first): \(model) is a plan, whose shapes are fixed")
      }
      let plan = try PlanFile.read(model)
      let notes = plan.hasWeights ? [] : ["the plan file holds no weights: it can be read, not run"]
      try report([PlannedGPU(plan: plan, statedChoice: nil)], notes: notes, type: plan.type)
      return
    }
    let chosen = try gpus.choose()
    if let gemmFile {
      try GEMMList(file: gemmFile, chosen: chosen, json: json).print()
      return
    }
    guard let model else { return }
    let loaded = try modelOptions.load(model, for: .plan)
    let passes = try Rewrites.passes(named: rewrite)
    var plans: [PlannedGPU] = []
    for choice in chosen {
      plans.append(
        PlannedGPU(
          plan: try PlanBuilder(model: choice.model, type: dtype, requested: passes, fusion: fusion, attention: attention).plan(
            loaded.graph),
          statedChoice: choice.statedChoice))
    }
    if let savePlan, let first = plans.first {
      if !noWeights && first.plan.weightBytes > 1e8 { Terminal.note("writing \(savePlan) ...") }
      try PlanFile.write(first.plan, to: savePlan, includingWeights: !noWeights)
    }
    try report(plans, notes: loaded.notes, type: dtype)
  }

  /// Prints a sweep or the tables.
  func report(_ plans: [PlannedGPU], notes: [String], type: ComputeType) throws {
    if let sweepBatch {
      try Sweep(text: sweepBatch, plans: plans).print(svg: svg)
      return
    }
    let report = try PlanReport(
      plans: plans, batches: try batchSizes() ?? plans.first?.plan.fixedRows.map { [$0] } ?? [1, 8, 256], notes: notes, type: type,
      allLayers: allLayers, isWide: wide)
    Terminal.print(json ? report.json.serialized() : csv ? report.csv : report.text)
  }

  /// nil: not given.
  func batchSizes() throws -> [Int]? {
    guard let batch else { return nil }
    let parts = batch.split(separator: ",")
    if parts.isEmpty { throw ValidationError("--batch is empty: write it as in 1,8,256") }
    return try parts.map { part in
      guard let rows = Int(part), rows > 0, rows <= 1 << 20 else {
        throw ValidationError("--batch \(batch): \"\(part)\" is not an integer from 1 to 1,048,576")
      }
      return rows
    }
  }
}

extension Fusion: ExpressibleByArgument {}
extension AttentionKernels: ExpressibleByArgument {}
