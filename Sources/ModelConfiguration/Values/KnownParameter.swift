import CheckedNumbers
import Vocabulary

/// A key of `parameters` that means something to one of Triton's backends or to this server. Keys outside this table are their owner's:
/// Triton hands any key to the backend, so that an unknown one is no mistake, only without effect here.
public struct KnownParameter: Sendable, Hashable {
  /// What becomes of it.
  public enum Effect: Sendable, Hashable {
    /// It acts where this runs the model.
    case acts(Runner)
    /// No effect; why.
    case ignored(String)
  }

  /// What can act on a parameter.
  public enum Runner: String, Sendable, Hashable {
    /// Models that ONNX Runtime runs.
    case onnxRuntime = "ONNX Runtime"
    /// `backend: "identity"`.
    case identity = "the identity backend"
    /// `platform: "headroom_builtin"`.
    case builtIn = "built-in heads"
    /// Models that this program's own kernels run, which take no parameters.
    case ownKernels = "the CPU device's own kernels"
  }

  /// What a value must look like.
  public enum Form: Sendable, Hashable {
    case anything
    /// A whole number in these bounds.
    case integer(ClosedRange<Int>)
    /// A truth value.
    case flag

    func takes(_ text: String) -> Bool {
      switch self {
      case .anything: true
      case .integer(let range): Int(text).map(range.contains) ?? false
      case .flag: ["0", "1", "true", "false"].contains(text.lowercased())
      }
    }

    var inWords: String {
      switch self {
      case .anything: "any text"
      case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
      case .flag: "0 or 1"
      }
    }
  }

  /// As written; one that ends in "*" stands for every key that begins so.
  public var key: String
  /// What becomes of it.
  public var effect: Effect
  /// What a value must look like.
  public var form: Form

  static let maximum = Int(Int32.max)

  /// Sources: triton-inference-server/onnxruntime_backend README.md and `src/onnxruntime.cc`; core `src/backend_model.cc`; server
  /// `docs/user_guide/model_configuration.md`.
  public static let table: [KnownParameter] = [
    KnownParameter(key: "intra_op_thread_count", effect: .acts(.onnxRuntime), form: .integer(0...1024)),
    KnownParameter(key: "inter_op_thread_count", effect: .acts(.onnxRuntime), form: .integer(0...1024)),
    KnownParameter(key: "execution_mode", effect: .acts(.onnxRuntime), form: .integer(0...1)),
    KnownParameter(key: "enable_mem_arena", effect: .acts(.onnxRuntime), form: .flag),
    KnownParameter(key: "enable_mem_pattern", effect: .acts(.onnxRuntime), form: .flag),
    KnownParameter(key: "session.*", effect: .acts(.onnxRuntime), form: .anything),
    KnownParameter(key: "memory.enable_memory_arena_shrinkage", effect: .acts(.onnxRuntime), form: .anything),
    KnownParameter(key: "cudnn_conv_algo_search", effect: .ignored(noCUDA), form: .anything),
    KnownParameter(key: "gpu_mem_limit", effect: .ignored(noCUDA), form: .anything),
    KnownParameter(key: "arena_extend_strategy", effect: .ignored(noCUDA), form: .anything),
    KnownParameter(key: "cudnn_conv_use_max_workspace", effect: .ignored(noCUDA), form: .anything),
    KnownParameter(key: "do_copy_in_default_stream", effect: .ignored(noCUDA), form: .anything),
    KnownParameter(key: "use_device_allocator_for_initializers", effect: .ignored(noCUDA), form: .anything),
    KnownParameter(
      key: "TRITON_BATCH_STRATEGY_PATH", effect: .ignored("no batching library is loaded; batches form as dynamic_batching says"),
      form: .anything),
    KnownParameter(key: "EXECUTION_ENV_PATH", effect: .ignored("no Python runs"), form: .anything),
    KnownParameter(key: "FORCE_CPU_ONLY_INPUT_TENSORS", effect: .ignored("no Python runs"), form: .anything),
    KnownParameter(
      key: "execution_context_allocation_strategy", effect: .ignored("TensorRT does not run here"), form: .anything),
    KnownParameter(key: "execute_delay_ms", effect: .acts(.identity), form: .integer(0...maximum)),
    KnownParameter(key: "fail_batch", effect: .acts(.identity), form: .integer(0...maximum)),
    KnownParameter(key: "hang_batch", effect: .acts(.identity), form: .integer(0...maximum)),
    KnownParameter(key: "hang_ms", effect: .acts(.identity), form: .integer(0...maximum)),
    KnownParameter(key: "crash_batch", effect: .acts(.identity), form: .integer(0...maximum)),
    KnownParameter(key: "crash_signal", effect: .acts(.identity), form: .integer(1...64)),
    KnownParameter(key: "exit_batch", effect: .acts(.identity), form: .integer(0...maximum)),
    KnownParameter(key: "isolate", effect: .acts(.identity), form: .integer(0...1)),
    KnownParameter(key: "head", effect: .acts(.builtIn), form: .anything),
    KnownParameter(key: "layers", effect: .acts(.builtIn), form: .integer(1...maximum)),
    KnownParameter(key: "hidden", effect: .acts(.builtIn), form: .integer(1...maximum)),
    KnownParameter(key: "heads", effect: .acts(.builtIn), form: .integer(1...maximum)),
    KnownParameter(key: "sequence", effect: .acts(.builtIn), form: .integer(1...maximum)),
  ]

  private static let noCUDA = "ONNX Runtime's CUDA provider is not used"

  /// The key's line of the table.
  public static func named(_ key: String) -> KnownParameter? {
    table.first { $0.key == key || $0.key.hasSuffix("*") && key.hasPrefix($0.key.dropLast()) }
  }
}

extension ModelConfiguration {
  /// What the parameters do here.
  public struct ParameterReview: Sendable, Hashable {
    /// Known elsewhere and without effect here, or acting only where something else runs the model.
    public var warnings: [ModelConfigurationWarning] = []
    /// Keys that nobody here knows: their owner may.
    public var unused: [ModelConfigurationWarning] = []
  }

  /// Throws where a value that would act cannot be read. `runner` is what will run the model; nil where nobody has decided yet.
  public func reviewParameters(_ runner: KnownParameter.Runner?) throws(ModelConfigurationError) -> ParameterReview {
    var review = ParameterReview()
    for (key, value) in parameters.sorted(by: { $0.key < $1.key }) {
      let path: [ConfigurationSource.Step] = [.entry("parameters", key: key)]
      func warning(_ reason: String) -> ModelConfigurationWarning {
        ModelConfigurationWarning(file: source.file, place: source.place(of: path) ?? .member("parameters.\(excerpt(key))"), reason: reason)
      }
      guard let known = KnownParameter.named(key) else {
        let reason = "parameter '\(excerpt(key))' is not used by this server"
        // Short names are near to each other by chance.
        if key.utf8.count >= 8,
          let near = NameSuggestion.nearest(to: key, in: KnownParameter.table.map(\.key).filter { !$0.hasSuffix("*") })
        {
          review.warnings.append(warning("\(reason); did you mean '\(near)'?"))
        } else {
          review.unused.append(warning(reason))
        }
        continue
      }
      switch known.effect {
      case .ignored(let reason): review.warnings.append(warning("parameter '\(excerpt(key))' is ignored: \(reason)"))
      case .acts(let acting):
        if let runner, runner != acting {
          // A name as plain as "layers" is somebody's own where no head is built.
          if acting == .onnxRuntime {
            review.warnings.append(warning("parameter '\(excerpt(key))' is ignored: only \(acting.rawValue) acts on it"))
          } else {
            review.unused.append(warning("parameter '\(excerpt(key))' is not used by this server"))
          }
        } else if runner == acting, !known.form.takes(value) {
          throw refusal("parameter '\(excerpt(key))' of \(name) is '\(excerpt(value))': \(known.form.inWords) is expected", at: path)
        }
      }
    }
    if let level = optimization.graphLevel, level != 0, let runner, runner != .onnxRuntime {
      let path: [ConfigurationSource.Step] = [.field("optimization"), .field("graph")]
      review.warnings.append(
        ModelConfigurationWarning(
          file: source.file, place: source.place(of: path) ?? .member("optimization.graph"),
          reason: "'graph' of ModelOptimizationPolicy is ignored: only \(KnownParameter.Runner.onnxRuntime.rawValue) acts on it"))
    }
    return review
  }
}
