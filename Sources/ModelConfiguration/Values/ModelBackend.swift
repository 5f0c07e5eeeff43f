import Vocabulary

/// Who runs a model, by the names that Triton's configurations give (`backend`, `platform`, or a model file's own name).
public enum ModelBackend: Sendable, Hashable {
  /// ONNX models; also where a configuration names nothing and the model's folder decides.
  case onnx
  /// Copies inputs to outputs.
  case identity
  /// A head of this program, made from `parameters`.
  case builtIn
  /// A TensorRT engine, which only a GPU with TensorRT runs; or a plan file of ours under the same name, which runs here.
  case tensorRT
  /// One that other servers have.
  case other(String)

  /// Served under these names.
  static let served = ["onnxruntime", "identity"]

  /// Triton's public backends, and the names people give their models by.
  /// Source: github.com/triton-inference-server's `*_backend` repositories.
  static let elsewhere = [
    "tensorrt", "pytorch", "tensorflow", "python", "openvino", "dali", "fil", "vllm", "tensorrtllm", "tensorrt_llm", "trtllm", "caffe2",
    "custom", "ensemble", "square", "repeat", "armnn_tflite", "stateful", "hugectr", "fastertransformer", "paddle", "torch_aoti", "jax",
    "libtorch", "dyna_sequence", "sequence", "implicit_state", "iterative_sequence", "query", "distributed_addsub", "redis",
  ]

  /// Platforms and the backends they stand for. Source: core `src/model_config_utils.cc` (AutoCompleteBackendFields).
  static let platforms: [(platform: String, backend: String)] = [
    ("onnxruntime_onnx", "onnxruntime"), ("tensorrt_plan", "tensorrt"), ("pytorch_libtorch", "pytorch"), ("libtorch", "pytorch"),
    ("torch_aoti", "pytorch"), ("tensorflow_graphdef", "tensorflow"), ("tensorflow_savedmodel", "tensorflow"), ("ensemble", "ensemble"),
    ("headroom_builtin", "headroom_builtin"), ("caffe2_netdef", "caffe2"),
  ]

  /// Model files by whose they are. Source: core `src/constants.h`.
  static let files: [(file: String, backend: String)] = [
    ("model.onnx", "onnxruntime"), ("model.plan", "tensorrt"), ("model.pt", "pytorch"), ("model.pt2", "pytorch"),
    ("model.savedmodel", "tensorflow"), ("model.graphdef", "tensorflow"), ("model.py", "python"), ("model.xml", "openvino"),
  ]

  /// The backend that a file's usual name belongs to; nil for a name that says nothing.
  public static func name(ofFile file: String) -> String? { files.first { $0.file == file }?.backend }

  init(_ name: String) {
    switch name {
    case "onnxruntime", "": self = .onnx
    case "identity": self = .identity
    case "headroom_builtin": self = .builtIn
    case "tensorrt": self = .tensorRT
    default: self = .other(name)
    }
  }
}

extension ModelConfiguration {
  /// Who runs the model, as the configuration says; an error where it says what no server knows, or what does not go together.
  ///
  /// Source: triton-inference-server/core `src/model_config_utils.cc` (AutoCompleteBackendFields, ValidateModelConfig).
  public func namedBackend() throws(ModelConfigurationError) -> ModelBackend {
    let platformsBackend = ModelBackend.platforms.first { $0.platform == platform }?.backend
    guard backend.isEmpty else {
      // Pairs are compared for the backends that have platforms; others may call theirs what they like.
      let expected = ModelBackend.platforms.filter { $0.backend == backend }.map(\.platform)
      if !platform.isEmpty, !expected.isEmpty, !expected.contains(platform) {
        throw refusal(pairReason(backend, expected), at: [.field("platform")])
      }
      return ModelBackend(backend)
    }
    if let platformsBackend { return ModelBackend(platformsBackend) }
    guard platform.isEmpty else {
      if let backend = ModelBackend.name(ofFile: defaultModelFilename), backend != "python", backend != "openvino" {
        let expected = ModelBackend.platforms.filter { $0.backend == backend }.map(\.platform)
        throw refusal(pairReason(backend, expected), at: [.field("platform")])
      }
      throw refusal(
        "unexpected platform type '\(excerpt(platform))' for \(name)"
          + ModelBackend.advice(for: platform, among: ModelBackend.platforms.map(\.platform) + ModelBackend.served),
        at: [.field("platform")])
    }
    if let backend = ModelBackend.name(ofFile: defaultModelFilename) { return ModelBackend(backend) }
    // Triton's custom backends name themselves in the model's name: "model.identity".
    if defaultModelFilename.isEmpty, name.hasSuffix(".identity") { return .identity }
    return .onnx
  }

  private func pairReason(_ backend: String, _ expected: [String]) -> String {
    "unexpected 'platform' and 'backend' pair, got:\(excerpt(platform)), \(excerpt(backend))"
      + ModelBackend.advice(for: platform, among: expected)
  }

  /// Throws where this server cannot run what the configuration names. `hasPlan` says that the model's file is a plan of ours, which may
  /// lie under TensorRT's name.
  public func validateBackend(hasPlan: Bool) throws(ModelConfigurationError) {
    let wanted = try namedBackend()
    try validateRuntime(wanted)
    switch wanted {
    case .onnx, .identity, .builtIn: return
    case .tensorRT: if !hasPlan { throw missingBackend("tensorrt") }
    case .other(let name): throw missingBackend(name)
    }
  }

  /// `runtime` names a backend's library in Triton. Here it may name the backend that runs the model anyway, and no other file.
  /// Source: core `src/backend_model.cc` (ResolveBackendPaths).
  private func validateRuntime(_ backend: ModelBackend) throws(ModelConfigurationError) {
    let runtime = source.message.string("runtime")
    let usual = backend == .identity ? "libtriton_identity.so" : "libtriton_onnxruntime.so"
    guard !runtime.isEmpty, runtime != usual else { return }
    if runtime.contains("/") {
      throw refusal("backend library name '\(excerpt(runtime))' escapes backend directory, for model '\(name)'", at: [.field("runtime")])
    }
    throw refusal(
      "unable to find backend library '\(excerpt(runtime))' for model '\(name)': no libraries are loaded; leave 'runtime' out",
      at: [.field("runtime")])
  }

  /// The error for a model that only another server runs.
  public func missingBackend(_ wanted: String) -> ModelConfigurationError {
    let isNamed = !backend.isEmpty || !platform.isEmpty
    let field = !backend.isEmpty ? "backend" : !platform.isEmpty ? "platform" : "default_model_filename"
    if ModelBackend.elsewhere.contains(wanted) {
      let advice: String =
        switch wanted {
        case "ensemble": "models are served one by one; give the configuration of each step's model instead"
        case "tensorrt": "a TensorRT engine runs only where TensorRT is: serve the ONNX model that it was built from"
        default: "serve the model as ONNX (backend 'onnxruntime'), or on a server that has it"
        }
      return refusal(
        "this server has no backend '\(wanted)', which model '\(name)' \(isNamed ? "names" : "is for"); \(advice)", at: [.field(field)])
    }
    return refusal(
      "this server has no backend '\(excerpt(wanted))', which model '\(name)' names"
        + ModelBackend.advice(for: wanted, among: ModelBackend.served + ModelBackend.elsewhere), at: [.field(field)])
  }
}

extension ModelBackend {
  fileprivate static func advice(for name: String, among known: [String]) -> String {
    if name.hasPrefix("${") || name.hasPrefix("{{") { return "; a placeholder that was not filled in" }
    if let nearest = NameSuggestion.nearest(to: name, in: known) { return "; did you mean '\(nearest)'?" }
    let isPlatform = known.contains("onnxruntime_onnx")
    return isPlatform ? "; ONNX models have 'onnxruntime_onnx'" : "; it has " + served.map { "'\($0)'" }.joined(separator: " and ")
  }
}
