import CheckedNumbers
import Execution
import FileAccess
import Glibc
import JSONText
import KServe
import ModelConfiguration
import ModelGraph
import ONNXFormat
import Planning
import TimeBase

/// Turns a model's files into something that serves. Blocking; runs on loader threads.
struct ModelLoader: Sendable {
  let devices: ModelDevices
  let precision: LoadOptions.Precision
  let regions: SharedMemoryRegions
  let live: LiveRecorder
  let executionLimit: TimeSpan
  let warmsUp: Bool
  /// nil: instances run whenever they have a batch.
  let gate: ResourceGate?
  let log: ServerLog

  /// Why a model cannot be loaded: what was wrong, where, what to do.
  struct Failure: Error, CustomStringConvertible {
    var description: String
    /// The caller is told; false where the reference server says no more than that it failed, and clients compare its words.
    var isTold = true
  }

  /// The model's configuration as written, its name filled in; the default one where there is none.
  func configuration(_ name: String, at place: ModelLocation, replacement: String?) throws(Failure) -> ModelConfiguration {
    do {
      var parsed: ModelConfiguration.Parsed?
      if let replacement {
        let json: JSONValue
        do { json = try JSONValue.parse(replacement) } catch {
          throw Failure(description: "the configuration sent is no JSON: \(error)", isTold: false)
        }
        parsed = try ModelConfiguration.parse(json: json, file: "the configuration sent")
      } else if case .folder(let path) = place {
        parsed = try ConfigurationReader.read(folder: path)
      }
      if let parsed {
        for warning in ConfigurationReader.warnings(parsed, hasGPU: devices.primary.description.isSimulated) { log.warning("\(warning)") }
      }
      var configuration = parsed?.configuration ?? Self.defaultConfiguration(name, place)
      try ConfigurationReader.name(&configuration, name)
      if case .sent(let files) = place { try ConfigurationReader.checkSent(files) }
      return configuration
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(description: "\(error)")
    }
  }

  /// Built-in heads are served as the case study serves them; anything else as its file says.
  private static func defaultConfiguration(_ name: String, _ place: ModelLocation) -> ModelConfiguration {
    guard case .builtIn = place else { return ModelConfiguration(name: name) }
    return ModelConfiguration(
      name: name, platform: "headroom_builtin", maxBatchSize: 256,
      dynamicBatching: DynamicBatching(preferredBatchSizes: [128, 256], maxQueueDelayMicroseconds: 10_000))
  }

  /// Versions to load by the policy (common `protobuf/model_config.proto`, ModelVersionPolicy; none stated: the latest).
  func versions(_ configuration: ModelConfiguration, at place: ModelLocation) throws(Failure) -> [Int] {
    do {
      return try ConfigurationReader.versions(configuration, found: try place.versions())
    } catch {
      throw Failure(description: "\(error)")
    }
  }

  /// A served model with its instances made and warm, not yet started.
  func load(_ written: ModelConfiguration, version: Int, at place: ModelLocation, number: Int32) throws(Failure) -> (
    ServedModel, [any ModelInstance]
  ) {
    do {
      try ConfigurationReader.validate(written, version: version, at: place)
      let labels = try ConfigurationReader.labels(written, at: place)
      let source = try source(written, version: version, at: place)
      let placed = try self.place(written, source)
      let (configuration, loaded, device) = (placed.configuration, placed.loaded, placed.device)
      try configuration.validate()
      let model = try ServedModel(
        name: configuration.name, version: version, configuration: configuration, loaded: loaded, device: device,
        labels: labels, regions: regions, live: live, number: number, executionLimit: executionLimit,
        gate: gate)
      do {
        var instances: [any ModelInstance] = []
        for _ in 0..<model.instanceCount { instances.append(try loaded.makeInstance()) }
        try WarmUp(model: model, isOn: warmsUp, folder: place.folder, survey: placed.survey, log: log).run(instances)
        placed.whenServing()
        return (model, instances)
      } catch {
        model.abandon()
        throw error
      }
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(description: "\(error)")
    }
  }

  /// A built-in head with the sizes that the configuration's parameters name: head, and layers, hidden, heads, sequence.
  static func builtIn(_ configuration: ModelConfiguration) throws -> BuiltInHead {
    let name = configuration.parameters["head"] ?? ""
    func size(_ key: String, _ usual: Int) throws -> Int {
      guard let text = configuration.parameters[key] else { return usual }
      guard let size = Int(text), size > 0 else {
        throw Failure(description: "parameter '\(key)' is '\(text)': a size above 0 is expected")
      }
      return size
    }
    switch name {
    case "linear": return .linear(layers: try size("layers", 20), hidden: try size("hidden", 1024))
    case "stacked": return .stacked(layers: try size("layers", 20), hidden: try size("hidden", 1024), heads: try size("heads", 5))
    case "seqlen": return .seqlen(layers: try size("layers", 20), hidden: try size("hidden", 1024), sequence: try size("sequence", 128))
    case "encoder":
      return .encoder(
        layers: try size("layers", 2), hidden: try size("hidden", 128), heads: try size("heads", 2), sequence: try size("sequence", 128))
    default:
      throw Failure(
        description: "parameter 'head' is '\(name)'; the built-in heads are \(BuiltInHead.names.joined(separator: ", "))")
    }
  }

  static func identity(_ configuration: ModelConfiguration) throws -> IdentityModel {
    func tensors(_ list: [(String, TensorDataType, [Int])]) -> [ModelSignature.Tensor] {
      list.map { ModelSignature.Tensor(name: $0.0, dataType: $0.1, dims: $0.2) }
    }
    let parameters = configuration.parameters
    let delay = Int64(parameters["execute_delay_ms"] ?? "0") ?? 0
    var fault: IdentityModel.Fault?
    if let batch = parameters["fail_batch"].flatMap({ Int($0) }) { fault = .fail(batch: batch) }
    if let batch = parameters["hang_batch"].flatMap({ Int($0) }) {
      fault = .hang(batch: batch, .milliseconds(Int64(parameters["hang_ms"] ?? "3600000") ?? 3_600_000))
    }
    if let batch = parameters["crash_batch"].flatMap({ Int($0) }) {
      fault = .signal(batch: batch, parameters["crash_signal"].flatMap { Int32($0) } ?? SIGSEGV)
    }
    if let batch = parameters["exit_batch"].flatMap({ Int($0) }) { fault = .exit(batch: batch, 3) }
    return try IdentityModel(
      signature: ModelSignature(
        inputs: tensors(configuration.inputs.map { ($0.name, $0.dataType, $0.reshape ?? $0.dims) }),
        outputs: tensors(configuration.outputs.map { ($0.name, $0.dataType, $0.reshape ?? $0.dims) })),
      hasRowDimension: configuration.maxBatchSize > 0, delay: .milliseconds(delay), fault: fault)
  }

  /// Says which parameters do nothing for this model; throws where one that acts cannot be read.
  func review(_ configuration: ModelConfiguration, _ runner: KnownParameter.Runner) throws(ModelConfigurationError) {
    let review = try configuration.reviewParameters(runner)
    for warning in review.warnings { log.warning("\(warning)") }
    for note in review.unused { log.info("\(note)") }
  }
}

extension ModelLocation {
  /// The model's folder, where it has one.
  var folder: String? { if case .folder(let path) = self { path } else { nil } }
}

extension Graph {
  /// The tensors a request brings and gets, -1 where the rows count.
  var signature: ModelSignature {
    func tensor(_ id: ValueID) -> ModelSignature.Tensor {
      ModelSignature.Tensor(name: self[id].name, dataType: TensorDataType(self[id].type), dims: self[id].shape.map { $0.fixedSize ?? -1 })
    }
    return ModelSignature(inputs: inputs.map(tensor), outputs: outputs.map(tensor))
  }
}

extension BuiltInHead {
  /// A head with its default sizes, by its name on the command line.
  init?(name: String) {
    switch name {
    case "linear": self = .linear()
    case "stacked": self = .stacked()
    case "seqlen": self = .seqlen()
    case "encoder": self = .encoder()
    default: return nil
    }
  }
}
