import ArgumentParser

/// `bench --model` and what goes with it: a model of one's own, without an experiment file.
struct BenchModel: ParsableArguments {
  @Option(help: ArgumentHelp("An .onnx file, or linear, stacked, seqlen, encoder.", valueName: "file"), completion: .model) var model:
    String?

  @Option(help: ArgumentHelp("Requests per second, an open loop (default: a closed loop of --users, 100).", valueName: "requests/s"))
  var rate: Double?

  @Option(
    help: ArgumentHelp("Its config.pbtxt (default: max_batch_size 64, no queue delay).", valueName: "file"),
    completion: .file(extensions: ["pbtxt"]))
  var config: String?

  @Option(
    name: .customLong("dimension"),
    help: ArgumentHelp(
      "Size of a dynamic axis other than the batch axis, of --model or of an experiment's ONNX files: by its name, or by input and axis (ids:1=128).",
      valueName: "name=size"))
  var dimensions: [String] = []
}
