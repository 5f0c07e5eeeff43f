import FileAccess
import JSONText
import ModelGraph
import Simulation
import Workload

extension Experiment {
  /// What `headroom bench --model` is given beside the model.
  public struct ModelSettings: Sendable {
    /// Sizes of an ONNX file's dynamic axes other than the batch axis, by name or by input and axis.
    public var dimensions: [String: Int] = [:]
    /// A config.pbtxt; nil: batches of up to 64 rows, dispatched without delay.
    public var configuration: String?
    /// Requests per second, Poisson; nil: a closed loop of `users`.
    public var rate: Double?
    /// Users of the closed loop, without think time.
    public var users = 100

    /// The defaults.
    public init() {}
  }

  /// One model under one load on `device` (sim:NAME): half a minute after five seconds of warm-up, requests of one row.
  ///
  /// - Parameters:
  ///   - model: an .onnx file, or a built-in head's name; a path is relative to the working directory.
  /// - Throws: what is wrong with the model's name, the device or the configuration, by option; what else an experiment file with these values
  ///   would.
  public static func ofModel(_ model: String, device: String, _ settings: ModelSettings = ModelSettings()) throws(ExperimentError)
    -> Experiment
  {
    try check(model)
    _ = try ExperimentChanges.naming("--device \(device)") { () throws(ExperimentError) in try ExperimentFile.gpu(device: device) }
    if let file = settings.configuration, Files.kind(of: file) == nil {
      throw ExperimentError("--config \(file): there is no such file")
    }
    func quoted(_ text: String) -> String { JSONValue.string(text).serialized(pretty: false) }
    let stem = model.split(separator: "/").last.map { $0.hasSuffix(".onnx") ? String($0.dropLast(5)) : String($0) } ?? model
    let load = settings.rate.map { "rate: \($0)" } ?? "users: \(settings.users)"
    let serving =
      settings.configuration.map { "config: \(quoted($0))" } ?? "maxBatchSize: 64, dynamicBatching: {maxQueueDelayMicroseconds: 0}"
    let sizes = settings.dimensions.sorted { $0.key < $1.key }.map { "\(quoted($0.key)): \($0.value)" }.joined(separator: ", ")
    // JSON's strings are YAML's, so that a name cannot become syntax.
    let text = """
      name: \(quoted(stem))
      question: "What limits this model under this load, and what would each change buy?"
      device: \(quoted(device))
      workload: {\(load), rows: 1, warmUpSeconds: 5, seconds: 30}
      serving: {\(serving)}
      variants:
        - {name: \(quoted(stem)), model: \(quoted(model))\(sizes.isEmpty ? "" : ", dimensions: {\(sizes)}")}
      """
    var experiment = try ExperimentFile.parse(text, file: "bench --model")
    if settings.configuration == nil {
      experiment.notes.append("no config.pbtxt given (--config): max_batch_size 64, max_queue_delay_microseconds 0, one instance")
    }
    if settings.rate == nil {
      experiment.notes.append(
        "no request rate given (--rate): a closed loop of \(settings.users) users without think time, which keeps the server as busy as it can be"
      )
    }
    return experiment
  }

  private static func check(_ model: String) throws(ExperimentError) {
    if BuiltInHead.names.contains(model) { return }
    if model.hasSuffix(".yaml") || model.hasSuffix(".yml") {
      throw ExperimentError("--model \(model): that is an experiment file: headroom bench \(model)")
    }
    guard model.hasSuffix(".onnx") else {
      throw ExperimentError("--model \(model): give \(BuiltInHead.names.joined(separator: ", ")), or an .onnx file")
    }
    if Files.kind(of: model) == nil { throw ExperimentError("--model \(model): there is no such file") }
  }
}
