import ArgumentParser
import Experiments

/// Sizes of the heads that `--suite` runs.
struct BenchSuiteOptions: ParsableArguments {
  @Option(help: "Layers of the suites' heads.") var layers = 20
  @Option(help: "Width of the suites' heads.") var hidden = 1024
  @Option(name: .customLong("max-rows"), help: "Rows of the suites' largest batch.") var largestRows = 1024

  var model: SuiteModel {
    var model = SuiteModel()
    (model.layers, model.hidden, model.largestRows) = (layers, hidden, largestRows)
    return model
  }
}

/// A change to be made for real.
struct BenchProofOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The finding whose first fix is made to a second server, as HR121; with --prove.", valueName: "code"))
  var apply: String?
  @Flag(help: "Run both servers in interleaved pairs, and say whether the prediction was met. Wants a real device and one --variant.")
  var prove = false
  @Option(help: "Pairs of runs.") var pairs = 5
}
