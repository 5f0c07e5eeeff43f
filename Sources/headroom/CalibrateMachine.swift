import ArgumentParser
import Calibration
import Execution
import PlanReports

/// `calibrate --host` and `calibrate --processor`: this machine, measured.
struct CalibrateMachine: ParsableArguments {
  @Flag(help: "Measure this machine's host profile: what our server and a client cost around a model. Takes half a minute at most.")
  var host = false

  @Option(
    help: ArgumentHelp("Measure how long batches of this model take on the CPU device.", valueName: "model"))
  var processor: String?

  @Option(help: "Name of the profile in its file.") var name: String?
  @Option(help: "Seconds to measure for. (default: 12 for --host, 10 for --processor)") var seconds: Double?
  @Option(help: "With --processor: rows of the largest batch.") var maxBatchSize = 256
  @Option(help: "With --processor: threads that compute (default: every core).") var threads: Int?
  @Option(help: "With --processor: what weights and products are stored as: fp32, bf16, fp16.") var precision: LoadOptions.Precision = .fp32
  @Flag(help: "Print one JSON object in place of the tables.") var json = false
  @Flag(help: "No progress.") var quiet = false

  func validate() throws { try checked(settings(output: nil, model: ModelSelection()).check) }

  func settings(output: String?, model: ModelSelection) -> MachineMeasurement {
    var settings = MachineMeasurement(model: model, output: output)
    settings.measuresHost = host
    settings.processorModel = processor
    settings.name = name
    settings.seconds = seconds
    settings.maximumBatchRows = maxBatchSize
    settings.threads = threads
    settings.precision = precision
    return settings
  }
}
