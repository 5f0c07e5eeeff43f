import ArgumentParser
import ExplanationRuns
import GPUModel

/// A server to be explained: running, or by files that were taken from one.
struct ExplainServerOptions: ParsableArguments {
  @Option(help: ArgumentHelp("A running server: Triton's or ours (KServe v2 over HTTP).", valueName: "URL"))
  var url: String?

  @Option(help: ArgumentHelp("Its Prometheus page.", valueName: "URL"))
  var metrics: String?

  @Option(help: ArgumentHelp("A DCGM exporter's page.", valueName: "URL"))
  var dcgm: String?

  @Option(name: .customLong("for"), help: ArgumentHelp("How long to watch it.", valueName: "seconds"))
  var duration = "10s"

  @Option(help: ArgumentHelp("Which model. (default: the one that answers most)", valueName: "name"))
  var model: String?

  @Option(help: ArgumentHelp("Latency to keep, as in 'p99<100ms'.", valueName: "goal"))
  var slo: String?

  @Option(
    help: ArgumentHelp("The model's ONNX file (or builtin:NAME): kernel time is predicted with --gpu and compared.", valueName: "file"))
  var onnx: String?

  @Option(help: "Arithmetic of the model as served.")
  var dtype: ComputeType = .fp16

  @Option(help: ArgumentHelp("Statistics (GET /v2/models/NAME/stats) at both ends of a window.", valueName: "before.json,after.json"))
  var tritonStats: String?

  @Option(help: ArgumentHelp("Metrics pages at both ends.", valueName: "before.txt,after.txt"))
  var tritonMetrics: String?

  @Option(help: ArgumentHelp("The model's configuration (GET /v2/models/NAME/config).", valueName: "file.json"))
  var tritonConfig: String?

  @Option(help: ArgumentHelp("Length of that window.", valueName: "seconds"))
  var observedSeconds: Double?

  var question: ServerQuestion {
    var question = ServerQuestion()
    question.url = url
    question.metrics = metrics
    question.dcgm = dcgm
    question.duration = duration
    question.model = model
    question.goal = slo
    question.onnx = onnx
    question.type = dtype
    question.statistics = tritonStats
    question.statisticsPages = tritonMetrics
    question.configurationFile = tritonConfig
    question.observedSeconds = observedSeconds
    return question
  }
}
