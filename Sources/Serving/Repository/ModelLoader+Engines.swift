import Execution
import FileAccess
import ModelConfiguration
import ModelGraph
import ONNXFormat
import Planning

/// Which device runs a model: asked of the devices, by what the model needs, not by who can read its file.
extension ModelLoader {
  /// A model before a device has it.
  enum Source {
    case identity
    /// `files`: what it was read from, where another engine could read it too.
    case graph(Graph, ModelFiles?)
    /// With why our own reader does not take it.
    case onnx(ModelFiles, String)
  }

  /// A model on a device.
  struct Placed {
    var configuration: ModelConfiguration
    var loaded: any LoadedModel
    var device: DeviceDescription
    var survey = ONNXSurvey()
    /// Called once the model is warm and about to serve.
    var whenServing: () -> Void = {}
  }

  /// The model on the device that runs it, and its configuration completed.
  func place(_ written: ModelConfiguration, _ source: Source) throws -> Placed {
    switch source {
    case .identity: return try identity(written)
    case .graph(let graph, let files):
      let survey = files?.survey() ?? ONNXSurvey()
      try Self.refuseBatching(written, defaults: survey.overridableInputs)
      let options = LoadOptions(
        maximumBatchRows: written.maxBatchSize, precision: precision,
        preferredRows: written.dynamicBatching?.preferredBatchSizes ?? [])
      if let files, let reason = try reasonForEngine(graph, survey, written, options) {
        return try engine(written, files, survey, reason)
      }
      var configuration = try written.completed(from: graph.signature.opened(as: files?.interface()))
      try review(configuration, configuration.platform == "headroom_builtin" ? .builtIn : .ownKernels)
      var final = options
      final.maximumBatchRows = configuration.maxBatchSize
      final.preferredRows = configuration.dynamicBatching?.preferredBatchSizes ?? []
      final.cudaGraphs = configuration.optimization.cudaGraphs
      let loaded = try devices.primary.load(.graph(graph), final)
      configuration = configuration.normalized()
      log.info(
        "model '\(written.name)' runs on "
          + (devices.primary.description.deviceClass == .processor ? "the CPU device's own kernels" : devices.primary.description.name))
      return Placed(configuration: configuration, loaded: loaded, device: devices.primary.description, survey: survey)
    case .onnx(let files, let reason): return try engine(written, files, files.survey(), reason)
    }
  }

  /// Why a graph that could be read goes to another engine; nil where it need not. Throws where it must and there is none.
  private func reasonForEngine(
    _ graph: Graph, _ survey: ONNXSurvey, _ written: ModelConfiguration, _ options: LoadOptions
  ) throws -> String? {
    let refusal = devices.primary.refusal(of: graph, options)
    // What only ONNX Runtime does better is done here where that is absent.
    if refusal != nil || devices.onnxRuntime != nil { return try EngineChoice.reason(graph, survey, written, refusal: refusal) }
    guard let first = survey.overridableInputs.first, written.maxBatchSize == 0 else { return nil }
    if let named = written.inputs.first(where: { survey.overridableInputs.contains($0.name) }) {
      return "input '\(named.name)' has a default that requests may override"
    }
    log.warning(
      "model '\(written.name)': requests cannot override the default of input '\(first)' without ONNX Runtime: \(devices.missingONNXRuntime)"
    )
    return nil
  }

  // MARK: - ONNX Runtime

  private func engine(_ written: ModelConfiguration, _ files: ModelFiles, _ survey: ONNXSurvey, _ reason: String) throws -> Placed {
    guard let inProcess = devices.onnxRuntime else {
      throw Failure(description: "\(files.path): \(reason). ONNX Runtime could run it: \(devices.missingONNXRuntime)")
    }
    var options = LoadOptions(maximumBatchRows: 0)
    options.onnxRuntime = try written.onnxRuntimeOptions()
    if precision != .fp32 {
      log.warning(
        "model '\(written.name)' runs in its file's own types, not in \(precision.rawValue): ONNX Runtime runs it, since \(reason)")
    }
    let choice = isolationOf(written.name, files, survey)
    let device: any Device = choice.device ?? inProcess
    let loaded = try device.load(files.source, options)
    let configuration = try completed(written, loaded)
    try review(configuration, .onnxRuntime)
    let place = choice.device == nil ? "in the server's process" : "in its own process"
    log.info("model '\(written.name)' runs on \(inProcess.description.hardware), \(place) (\(choice.reason)): \(reason)")
    var placed = Placed(configuration: configuration, loaded: loaded, device: device.description, survey: survey)
    if let cache = devices.engineCache, let digest = choice.digest, let isolated = loaded as? IsolatedModel {
      let (name, log) = (written.name, log)
      placed.whenServing = {
        isolated.whenProven(batches: EngineCache.proof) {
          do throws(FileError) {
            try cache.remember(digest)
            log.info(
              "model '\(name)' ran \(EngineCache.proof) good batches in a row: from its next load on it runs in the server's process")
          } catch {
            log.warning(
              "model '\(name)' ran \(EngineCache.proof) good batches in a row, but --engine-cache cannot record it, so that it keeps its own "
                + "process: \(error)")
          }
        }
      }
    }
    return placed
  }

  /// Whether it gets a process of its own, and, where it may still prove itself, by which digest.
  private func isolationOf(
    _ name: String, _ files: ModelFiles, _ survey: ONNXSurvey
  ) -> (device: IsolatedDevice?, digest: String?, reason: String) {
    let option = "--isolate-engines \(devices.isolation.rawValue)"
    guard let isolated = devices.isolated else { return (nil, nil, option) }
    switch devices.isolation {
    case .never: return (nil, nil, option)
    case .always: return (isolated, nil, option)
    case .auto:
      guard let cache = devices.engineCache else {
        return (isolated, nil, option + "; no --engine-cache names a folder to record that it ran well")
      }
      if survey.dividesByInputs {
        // A hundred good batches say nothing of the one that holds a zero.
        return (isolated, nil, option + "; it divides integers by what requests send")
      }
      do throws(FileError) {
        let digest = try files.digest(survey)
        return try cache.isProven(digest)
          ? (nil, nil, "it ran \(EngineCache.proof) good batches before, says --engine-cache")
          : (isolated, digest, option + ", until it has run \(EngineCache.proof) good batches in a row")
      } catch {
        log.warning("model '\(name)' gets a process of its own: whether it has proven itself cannot be told: \(error)")
        return (isolated, nil, option + "; its record cannot be read")
      }
    }
  }

  /// The configuration completed, inputs with defaults as Triton takes them: optional, and only without batching
  /// (onnxruntime_backend `src/onnxruntime.cc`, ValidateInputs).
  private func completed(_ written: ModelConfiguration, _ loaded: any LoadedModel) throws -> ModelConfiguration {
    let omissible = Set(loaded.omissibleInputs.map { loaded.signature.inputs[$0].name })
    var signature = loaded.signature
    if written.maxBatchSize > 0 {
      try Self.refuseBatching(written, defaults: omissible)
      signature.inputs.removeAll { omissible.contains($0.name) }
    }
    var configuration = try written.completed(from: signature)
    let named = Set(written.inputs.map(\.name))
    for index in configuration.inputs.indices {
      let input = configuration.inputs[index]
      if omissible.contains(input.name), !named.contains(input.name) { configuration.inputs[index].isOptional = true }
    }
    return configuration.normalized()
  }

  /// Throws where an input that has a default is declared of a model that batches.
  static func refuseBatching(_ written: ModelConfiguration, defaults: some Sequence<String>) throws(Failure) {
    let defaults = Set(defaults)
    guard written.maxBatchSize > 0, let input = written.inputs.first(where: { defaults.contains($0.name) }) else { return }
    throw Failure(
      description:
        "unable to load model '\(written.name)', optional input '\(input.name)' is not supported for models that support batching"
    )
  }

  // MARK: - The identity backend

  private func identity(_ written: ModelConfiguration) throws -> Placed {
    try written.validate()
    try review(written, .identity)
    let model = try Self.identity(written)
    let isIsolated = written.parameters["isolate"] == "1"
    if model.fault?.endsTheProcess == true, !isIsolated {
      throw Failure(
        description: "model '\(written.name)' is to end its process (crash_batch, exit_batch), which only parameter 'isolate' of 1 allows")
    }
    let loaded: any LoadedModel
    if isIsolated {
      guard let device = devices.isolated else {
        throw Failure(description: "model '\(written.name)': parameter 'isolate' needs --isolate-engines auto or always")
      }
      loaded = try device.load(identity: model, name: written.name)
    } else {
      loaded = model
    }
    return Placed(
      configuration: written.normalized(), loaded: loaded,
      device: DeviceDescription(
        name: "cpu", deviceClass: .processor,
        hardware: devices.primary.description.deviceClass == .processor ? devices.primary.description.hardware : "", computeUnits: 1,
        memoryBytes: 0))
  }

  // MARK: - Files

  func source(_ configuration: ModelConfiguration, version: Int, at place: ModelLocation) throws -> Source {
    if configuration.backend == "identity" { return .identity }
    if configuration.platform == "headroom_builtin", case .folder = place {
      return .graph(try Self.builtIn(configuration).graph().withRowsFirst(), nil)
    }
    let names = configuration.defaultModelFilename.isEmpty ? ["model.onnx", "model.plan"] : [configuration.defaultModelFilename]
    switch place {
    case .builtIn(let head):
      guard let known = BuiltInHead(name: head) else {
        throw Failure(description: "there is no built-in head '\(head)'; there are \(BuiltInHead.names.joined(separator: ", "))")
      }
      return .graph(try known.graph().withRowsFirst(), nil)
    case .file(let path): return try file(ModelFiles(path: path))
    case .folder(let path):
      try ConfigurationReader.checkModelFile(configuration, version: version, in: path)
      for name in names {
        let file = "\(path)/\(version)/\(name)"
        switch Files.kind(of: file) {
        case .file: return try self.file(ModelFiles(path: file))
        // A folder in the file's place, weights beside the model (onnxruntime_backend `src/onnxruntime.cc`, LoadModel).
        case .folder where Files.kind(of: "\(file)/model.onnx") == .file: return try self.file(ModelFiles(path: "\(file)/model.onnx"))
        case .folder, nil: break
        }
      }
      throw Failure(description: ConfigurationReader.missingModelFile(configuration, version: version, in: path))
    case .sent(let files):
      for name in names {
        for file in ["\(version)/\(name)", "\(version)/\(name)/model.onnx"] where files[file] != nil {
          return try self.file(ModelFiles(sent: files, version: version, file: file))
        }
      }
      throw Failure(description: "the files sent have no \(version)/\(names.joined(separator: ", no \(version)/"))")
    }
  }

  private func file(_ files: ModelFiles) throws -> Source {
    if files.path.hasSuffix(".plan") {
      let plan = try PlanFile.read(files.path)
      guard plan.hasWeights else {
        throw Failure(
          description:
            "\(files.path) was written without its weights and cannot be served; write it with them (`headroom plan MODEL --save FILE`, without --no-weights)"
        )
      }
      return .graph(plan.graph, nil)
    }
    // Before any engine sees the file: what is refused here is no reason to try another, which would open what the file names.
    try files.check()
    do {
      return .graph(try files.graph(), files)
    } catch {
      // Operators that we have not run in ONNX Runtime.
      return .onnx(files, files.reason(error))
    }
  }
}
