import CheckedNumbers

/// How ONNX Runtime runs a model: what Triton's backend takes from a model's configuration (triton-inference-server/onnxruntime_backend
/// README.md, "Model Config Options"; src/onnxruntime.cc). What is nil stays as this program sets it.
public struct ONNXRuntimeOptions: Sendable, Hashable {
  /// How much the graph is rewritten.
  public enum Optimization: Int, Sendable, Hashable {
    // ONNX Runtime's own numbers (GraphOptimizationLevel).
    case none = 0
    case basic = 1
    case extended = 2
    case all = 99
  }

  /// An entry of ONNX Runtime's session configuration.
  public struct Entry: Sendable, Hashable {
    /// "session.set_denormal_as_zero".
    public var key: String
    /// "1".
    public var value: String

    /// An entry.
    public init(key: String, value: String) { (self.key, self.value) = (key, value) }
  }

  /// Threads of one operator.
  public var intraThreads: Int?
  /// Operators that run at one time, where `isParallel`.
  public var interThreads: Int?
  /// Operators that do not wait for each other run at one time.
  public var isParallel = false
  /// How much the graph is rewritten.
  public var optimization = Optimization.all
  /// Memory that was used is kept for the next batch.
  public var usesArena: Bool?
  /// Memory is laid out once for equal shapes.
  public var usesMemoryPattern: Bool?
  /// The arenas that give memory back after each batch: "cpu:0".
  public var shrinksArena: String?
  /// Further entries, by key.
  public var entries: [Entry] = []

  /// This program's own settings.
  public init() {}

  /// Keys among a configuration's `parameters` that act here; the rest are others'.
  public static func acts(_ key: String) -> Bool { named.contains(key) || key.hasPrefix("session.") }

  private static let named: Set = [
    "intra_op_thread_count", "inter_op_thread_count", "execution_mode", "enable_mem_arena", "enable_mem_pattern",
    "memory.enable_memory_arena_shrinkage",
  ]

  /// From a configuration's `parameters` and `optimization.graph.level`. What is wrong is named with its place.
  public init(parameters: [String: String], graphLevel: Int? = nil) throws(DeviceError) {
    intraThreads = try Self.threads(parameters, "intra_op_thread_count")
    interThreads = try Self.threads(parameters, "inter_op_thread_count")
    if let mode = parameters["execution_mode"] {
      guard mode == "0" || mode == "1" else {
        throw Self.wrong("execution_mode", mode, "0 (one operator after the other) or 1 (at one time)")
      }
      isParallel = mode == "1"
    }
    usesArena = try Self.flag(parameters, "enable_mem_arena")
    usesMemoryPattern = try Self.flag(parameters, "enable_mem_pattern")
    if let text = parameters["memory.enable_memory_arena_shrinkage"], !text.isEmpty {
      guard text.split(separator: ";", omittingEmptySubsequences: false).allSatisfy({ $0 == "cpu:0" }) else {
        throw Self.wrong("memory.enable_memory_arena_shrinkage", text, "cpu:0: models run on the processor, and it has one arena")
      }
      if usesArena == false {
        throw Self.wrong("memory.enable_memory_arena_shrinkage", text, "nothing, since enable_mem_arena is 0: there is no arena to shrink")
      }
      shrinksArena = text
    }
    for (key, value) in parameters.sorted(by: { $0.key < $1.key }) where key.hasPrefix("session.") {
      entries.append(try Self.entry(key, value))
    }
    switch graphLevel ?? 0 {
    case -1: optimization = .basic
    case 0: optimization = .all
    case 1: optimization = .extended
    case 2: optimization = .none
    case let level:
      throw DeviceError(
        .unsupported, "optimization.graph.level is \(level): -1 (basic), 0 (all), 1 (extended) or 2 (none) is expected")
    }
  }

  private static func wrong(_ key: String, _ value: String, _ expected: String) -> DeviceError {
    DeviceError(.unsupported, "parameters[\"\(key)\"] is \"\(value.prefix(80))\": \(expected) is expected")
  }

  /// 0 means: as this program is set (`--threads`).
  private static func threads(_ parameters: [String: String], _ key: String) throws(DeviceError) -> Int? {
    guard let text = parameters[key] else { return nil }
    guard let count = Int(text), (0...1024).contains(count) else { throw wrong(key, text, "a number of threads from 0 to 1024") }
    return count == 0 ? nil : count
  }

  /// As Triton's backend reads a bool (src/onnxruntime.cc by way of backend `ParseBoolValue`).
  private static func flag(_ parameters: [String: String], _ key: String) throws(DeviceError) -> Bool? {
    guard let text = parameters[key] else { return nil }
    switch text.lowercased() {
    case "1", "true": return true
    case "0", "false": return false
    default: throw wrong(key, text, "0 or 1")
    }
  }

  private static func entry(_ key: String, _ value: String) throws(DeviceError) -> Entry {
    if let reason = refused[key] { throw DeviceError(.unsupported, "parameters[\"\(key)\"] is refused: \(reason)") }
    if key.utf8.contains(0) || value.utf8.contains(0) || key.utf8.count > 1024 || value.utf8.count > 2048 {
      throw wrong(key, value, "a text of 2,048 bytes at most, without zero bytes,")
    }
    if switches.contains(key), value != "0", value != "1" { throw wrong(key, value, "0 or 1") }
    return Entry(key: key, value: value)
  }

  /// ONNX Runtime takes keys that it does not know without a word: these are the ones of
  /// microsoft/onnxruntime include/onnxruntime/core/session/onnxruntime_session_options_config_keys.h that act on a processor.
  private static let switches: Set = [
    "session.disable_prepacking", "session.use_env_allocators", "session.set_denormal_as_zero", "session.disable_quant_qdq",
    "session.disable_double_qdq_remover", "session.enable_quant_qdq_cleanup", "session.disable_aot_function_inlining",
    "session.use_device_allocator_for_initializers", "session.inter_op.allow_spinning", "session.intra_op.allow_spinning",
    "session.force_spinning_stop", "session.strict_shape_type_inference", "session.allow_released_opsets_only",
    "session.disable_cpu_ep_fallback", "session.qdqisint8allowed", "session.x64quantprecision",
  ]
  private static let texts: Set = [
    "session.dynamic_block_base", "session.intra_op_thread_affinities", "session.qdq_matmulnbits_accuracy_level",
  ]

  private static let refused = [
    "session.model_external_initializers_file_folder_path": "a model's weights lie in its own folder",
    "session.node_partition_config_file": "it names a file to be read, and models run on one engine here",
    "session.optimized_model_external_initializers_file_name": "optimized models are not written here",
    "session.use_ort_model_bytes_directly": "models are read from files",
    "session.use_ort_model_bytes_for_initializers": "models are read from files",
    "session.load_model_format": "models are ONNX files",
  ]

  /// Keys given that no version known here acts on: ONNX Runtime itself would say nothing.
  public var unknownKeys: [String] { entries.map(\.key).filter { !Self.switches.contains($0) && !Self.texts.contains($0) } }
}
