import ArgumentParser
import Console
import GPUModel
import PlanReports
import Planning

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

  @Argument(
    help: "linear, stacked, seqlen, encoder, an .onnx file, or a .plan file; with --coverage ONNX files and folders of them.",
    completion: .model)
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

  func validate() throws { try checked(settings.check) }

  func run() throws { try settings.run(print: Terminal.print, note: Terminal.note) }

  private var settings: PlanSettings {
    var settings = PlanSettings(models: models, gpus: gpus.selection, model: modelOptions.selection)
    settings.batch = batch
    settings.type = dtype
    settings.rewrites = rewrite
    settings.fusion = fusion
    settings.attention = attention
    settings.sweep = sweepBatch
    settings.sweepFile = svg
    settings.gemmFile = gemmFile
    settings.planFile = savePlan
    settings.listsCoverage = coverage
    settings.leavesWeightsOut = noWeights
    settings.showsAllLayers = allLayers
    settings.isWide = wide
    settings.isJSON = json
    settings.isCSV = csv
    return settings
  }
}

extension Fusion: ExpressibleByArgument {}
extension AttentionKernels: ExpressibleByArgument {}
