import ArgumentParser
import GPUModel
import PlanReports

/// GPUs on the command line: names, a file with a user's own, a file with a user's constants.
struct GPUOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("GPU, or several separated by commas. Forgiving: h200, \"RTX PRO 6000 Blackwell WS\".", valueName: "names"),
    completion: .gpus)
  var gpu: String?

  @Option(
    help: ArgumentHelp("JSON file with a GPU of your own, to be named with --gpu; see Docs/gpus.md.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var gpuFile: String?

  @Option(
    help: ArgumentHelp("Constants that `headroom calibrate` wrote for one of the GPUs.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var constants: [String] = []

  var selection: GPUSelection { GPUSelection(names: gpu, file: gpuFile, constants: constants) }
}

extension ComputeType: ExpressibleByArgument {}
