import CheckedNumbers
import Execution
import FileAccess
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
  }

  /// The model's configuration as written, its name filled in; the default one where there is none.
  func configuration(_ name: String, at place: ModelPlace, replacement: String?) throws(Failure) -> ModelConfiguration {
    var parsed: ModelConfiguration.Parsed?
    do {
      if let replacement {
        do { parsed = try ModelConfiguration.parse(json: try JSONValue.parse(replacement), file: "the configuration sent") } catch let error
          as JSONError
        {
          throw Failure(description: "the configuration sent is no JSON: \(error)")
        }
      } else if case .folder(let path) = place, Files.kind(of: "\(path)/config.pbtxt") == .file {
        parsed = try ModelConfiguration.parse(try Files.readText("\(path)/config.pbtxt"), file: "\(path)/config.pbtxt")
      }
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(description: "\(error)")
    }
    for warning in parsed?.warnings ?? [] { log.warning("\(warning)") }
    var configuration = parsed?.configuration ?? Self.defaultConfiguration(name, place)
    if configuration.name.isEmpty { configuration.name = name }
    if configuration.name != name {
      throw Failure(
        description: "unexpected directory name '\(name)' for model '\(configuration.name)', directory name must equal model name")
    }
    return configuration
  }

  /// Built-in heads are served as the document serves them; anything else as its file says.
  private static func defaultConfiguration(_ name: String, _ place: ModelPlace) -> ModelConfiguration {
    guard case .builtIn = place else { return ModelConfiguration(name: name) }
    return ModelConfiguration(
      name: name, platform: "headroom_builtin", maxBatchSize: 256,
      dynamicBatching: DynamicBatching(preferredBatchSizes: [128, 256], maxQueueDelayMicroseconds: 10_000))
  }

  /// Versions to load by the policy (common `protobuf/model_config.proto`, ModelVersionPolicy; none stated: the latest).
  func versions(_ configuration: ModelConfiguration, at place: ModelPlace) throws(Failure) -> [Int] {
    let found: [Int]
    do throws(FileError) { found = try place.versions() } catch { throw Failure(description: "\(error)") }
    guard let latest = found.last else {
      throw Failure(description: "model '\(configuration.name)' has no version folder (a folder named 1, 2, ...) with a model in it")
    }
    switch configuration.versionPolicy {
    case nil: return [latest]
    case .latest(let count): return Array(found.suffix(max(1, count)))
    case .all: return found
    case .specific(let wanted):
      for version in wanted where !found.contains(version) {
        throw Failure(
          description: "model '\(configuration.name)' has no version \(version), which its version_policy names; there are \(found)")
      }
      return wanted.sorted()
    }
  }

  /// A served model with its instances made and warm, not yet started.
  func load(_ written: ModelConfiguration, version: Int, at place: ModelPlace, number: Int32) throws(Failure) -> (
    ServedModel, [any ModelInstance]
  ) {
    do {
      let source = try source(written, version: version, at: place)
      var configuration = written
      let (loaded, device): (any LoadedModel, DeviceDescription)
      switch source {
      case .identity:
        try configuration.validate()
        (loaded, device) = (
          try Self.identity(configuration),
          DeviceDescription(
            name: devices.primary.description.name, hardware: devices.primary.description.hardware, isSimulated: false, computeUnits: 1,
            memoryBytes: 0)
        )
      case .graph(let graph):
        configuration = try configuration.completed(from: graph.signature)
        (loaded, device) = (
          try devices.primary.load(
            .graph(graph),
            LoadOptions(
              maximumBatchRows: configuration.maxBatchSize, precision: precision,
              preferredRows: configuration.dynamicBatching?.preferredBatchSizes ?? [])),
          devices.primary.description
        )
      case .onnx(let file, let reason):
        guard let engine = devices.onnxRuntime else {
          throw Failure(description: "\(file): \(reason). ONNX Runtime could run it: \(devices.missingONNXRuntime)")
        }
        let session = try engine.load(.onnxFile(file), LoadOptions(maximumBatchRows: 0))
        configuration = try configuration.completed(from: session.signature)
        (loaded, device) = (session, engine.description)
      }
      configuration = configuration.normalized()
      try configuration.validate()
      for input in configuration.inputs where input.allowRaggedBatch {
        log.warning(
          "model '\(configuration.name)': 'allow_ragged_batch' of input '\(input.name)' has no effect, requests of different shapes are batched apart"
        )
      }
      let model = try ServedModel(
        name: configuration.name, version: version, configuration: configuration, loaded: loaded, device: device,
        labels: labels(configuration, place), regions: regions, live: live, number: number, executionLimit: executionLimit,
        gate: gate)
      do {
        var instances: [any ModelInstance] = []
        for _ in 0..<model.instanceCount { instances.append(try loaded.makeInstance()) }
        try WarmUp(model: model, isOn: warmsUp, folder: place.folder, log: log).run(instances)
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

  private enum Source {
    case identity
    case graph(Graph)
    /// With why our own reader does not take it.
    case onnx(String, String)
  }

  private func source(_ configuration: ModelConfiguration, version: Int, at place: ModelPlace) throws -> Source {
    if configuration.backend == "identity" { return .identity }
    if configuration.platform == "headroom_builtin", case .folder = place {
      return .graph(try Self.builtIn(configuration).graph().withRowsFirst())
    }
    switch place {
    case .builtIn(let head):
      guard let known = BuiltInHead(name: head) else {
        throw Failure(description: "there is no built-in head '\(head)'; there are \(BuiltInHead.names.joined(separator: ", "))")
      }
      return .graph(try known.graph().withRowsFirst())
    case .file(let path): return try file(path)
    case .folder(let path):
      let names = configuration.defaultModelFilename.isEmpty ? ["model.onnx", "model.plan"] : [configuration.defaultModelFilename]
      for name in names where Files.kind(of: "\(path)/\(version)/\(name)") == .file { return try file("\(path)/\(version)/\(name)") }
      throw Failure(description: "\(path)/\(version) has none of \(names.joined(separator: ", "))")
    case .sent(let files):
      let name = configuration.defaultModelFilename.isEmpty ? "model.onnx" : configuration.defaultModelFilename
      guard let bytes = files["\(version)/\(name)"] else { throw Failure(description: "the files sent have no \(version)/\(name)") }
      return .graph(try ONNXReader.read(ArrayStorage(bytes), file: "\(version)/\(name)"))
    }
  }

  private func file(_ path: String) throws -> Source {
    if path.hasSuffix(".plan") {
      let plan = try PlanFile.read(path)
      guard plan.hasWeights else {
        throw Failure(
          description:
            "\(path) was written without its weights and cannot be served; write it with them (`headroom plan MODEL --save FILE`, without --no-weights)"
        )
      }
      return .graph(plan.graph)
    }
    do {
      return .graph(try ONNXReader.read(path: path))
    } catch {
      // A file that is no ONNX at all fails in ONNX Runtime too, with its own words; operators we have not, run there.
      return .onnx(path, "\(error)")
    }
  }

  /// A built-in head with the sizes that the configuration's parameters name: head, and layers, hidden, heads, sequence.
  private static func builtIn(_ configuration: ModelConfiguration) throws -> BuiltInHead {
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

  private static func identity(_ configuration: ModelConfiguration) throws -> IdentityModel {
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
    return try IdentityModel(
      signature: ModelSignature(
        inputs: tensors(configuration.inputs.map { ($0.name, $0.dataType, $0.reshape ?? $0.dims) }),
        outputs: tensors(configuration.outputs.map { ($0.name, $0.dataType, $0.reshape ?? $0.dims) })),
      hasRowDimension: configuration.maxBatchSize > 0, delay: .milliseconds(delay), fault: fault)
  }

  private func labels(_ configuration: ModelConfiguration, _ place: ModelPlace) -> [String: [String]] {
    var labels: [String: [String]] = [:]
    guard let folder = place.folder else { return labels }
    for output in configuration.outputs where !output.labelFilename.isEmpty {
      do throws(FileError) {
        labels[output.name] = try Files.readText("\(folder)/\(output.labelFilename)").split(separator: "\n").map(String.init)
      } catch {
        log.warning("the labels of output '\(output.name)' are left out: \(error)")
      }
    }
    return labels
  }
}

extension ModelPlace {
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

extension TensorDataType {
  init(_ type: DataType) {
    self =
      switch type {
      case .float32: .float32
      case .float16: .float16
      case .bfloat16: .bfloat16
      case .float64: .float64
      case .int64: .int64
      case .int32: .int32
      case .bool: .bool
      }
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
