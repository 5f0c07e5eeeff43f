import ArgumentParser
import PlanReports

/// A model on the command line: a built-in head with its sizes, or an ONNX file.
struct ModelOptions: ParsableArguments {
  @Option(
    help:
      "Layers of a built-in model. linear and stacked count large GEMMs (20), seqlen counts proj_in and proj_out too (20), encoder blocks (2)."
  )
  var layers: Int?

  @Option(help: "Hidden size of a built-in model (1024; encoder 128).")
  var hidden: Int?

  @Option(help: "Heads of stacked (5), attention heads of encoder (2).")
  var heads: Int?

  @Option(help: "Sequence length of seqlen and encoder (128).")
  var sequence: Int?

  @Option(help: "Seed of a built-in model's parameters.")
  var seed: UInt64 = 1

  @Option(
    name: .customLong("dimension"),
    help: ArgumentHelp(
      "Size of a dynamic axis of an ONNX model other than the batch axis: by its name, or by input and axis (ids:1=128).",
      valueName: "name=size")
  )
  var dimensions: [String] = []

  var selection: ModelSelection {
    var selection = ModelSelection()
    selection.layers = layers
    selection.hidden = hidden
    selection.heads = heads
    selection.sequence = sequence
    selection.seed = seed
    selection.dimensions = dimensions
    return selection
  }
}
