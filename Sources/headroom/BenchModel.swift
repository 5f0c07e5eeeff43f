import ArgumentParser
import CheckedNumbers
import Experiments

/// `bench --model` and what goes with it: a model of one's own, without an experiment file.
struct BenchModel: ParsableArguments {
  /// Where no device is named.
  static let defaultDevice = "sim:rtx-pro-6000"

  @Option(help: ArgumentHelp("An .onnx file, or linear, stacked, seqlen, encoder.", valueName: "file")) var model: String?

  @Option(help: ArgumentHelp("Requests per second, an open loop (default: a closed loop of --users, 100).", valueName: "requests/s"))
  var rate: Double?

  @Option(help: ArgumentHelp("Its config.pbtxt (default: max_batch_size 64, no queue delay).", valueName: "file")) var config: String?

  @Option(
    name: .customLong("dimension"),
    help: ArgumentHelp(
      "Size of a dynamic axis other than the batch axis, of --model or of an experiment's ONNX files: by its name, or by input and axis (ids:1=128).",
      valueName: "name=size"))
  var dimensions: [String] = []

  /// What cannot be together, and a model given as the experiment.
  func check(experiment: String?) throws {
    if let experiment, experiment.hasSuffix(".onnx") || experiment.hasSuffix(".plan") {
      throw ValidationError("\(experiment) is a model, not an experiment: headroom bench --model \(experiment)")
    }
    if model != nil, let experiment { throw ValidationError("give --model or an experiment (\(experiment)), not both") }
    if model == nil, rate != nil { throw ValidationError("--rate goes with --model; an experiment file has workload: {rate: N}") }
    if model == nil, config != nil { throw ValidationError("--config goes with --model; an experiment file has serving: {config: FILE}") }
    if let rate, !(rate >= 0.001 && rate <= 10_000_000) { throw ValidationError("--rate \(rate): from 0.001 to 10000000 requests/s") }
    _ = try sizes()
  }

  func settings(users: Int?) throws -> Experiment.ModelSettings {
    var settings = Experiment.ModelSettings()
    settings.configuration = config
    settings.rate = rate
    if let users { settings.users = users }
    return settings
  }

  /// `--dimension`, parsed.
  func sizes() throws -> [String: Int] {
    var sizes: [String: Int] = [:]
    for text in dimensions {
      // A name may hold "=", a size cannot.
      guard let place = text.lastIndex(of: "="), place > text.startIndex, let size = Int(text[text.index(after: place)...]), size > 0,
        size <= 1 << 40
      else {
        throw ValidationError("--dimension \(text): write NAME=SIZE, as in sequence=128, or INPUT:AXIS=SIZE, as in ids:1=128")
      }
      sizes[String(text[..<place])] = size
    }
    return sizes
  }
}
