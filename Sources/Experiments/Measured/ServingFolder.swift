import CheckedNumbers
import FileAccess
import Glibc
import ModelGraph
import Scheduling
import Simulation
import Trace

/// A repository with one model, in Triton's layout, in a temporary folder.
struct ServingFolder {
  let path: String
  let model: String

  /// One of a variant. A built-in head stays in the program: its configuration names it.
  init(_ variant: Variant, device: String = "cpu") throws(ExperimentError) {
    let model = Self.name(variant.name)
    var file: String?
    if case .onnx(let path, _) = variant.model { file = path }
    try self.init(model: model, configuration: Self.configuration(variant, model: model, device: device), file: file)
  }

  /// One of a model with this config.pbtxt, and a copy of this ONNX file.
  init(model: String, configuration: String, file: String? = nil) throws(ExperimentError) {
    self.model = model
    let parent = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/tmp"
    var template = Array("\(parent)/headroom-bench-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw ExperimentError("no temporary folder could be made in \(parent): \(String(cString: strerror(errno)))")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    do throws(FileError) {
      try Files.createFolder("\(path)/\(model)/1")
      try Files.write("\(path)/\(model)/config.pbtxt", configuration)
      if let file { try Files.write("\(path)/\(model)/1/model.onnx", try Files.read(file)) }
    } catch { throw ExperimentError("\(error)") }
  }

  /// A model's name is part of URLs and files.
  static func name(_ text: String) -> String { String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }) }

  /// The variant's serving configuration as config.pbtxt.
  static func configuration(_ variant: Variant, model: String, device: String = "cpu") -> String {
    let scheduler = variant.scheduler
    var text = "name: \"\(model)\"\nmax_batch_size: \(scheduler.maximumBatchRows)\n"
    switch variant.model {
    case .onnx: text += "backend: \"onnxruntime\"\n"
    case .builtIn(let head):
      text += "platform: \"headroom_builtin\"\n"
      for (key, value) in parameters(head) { text += "parameters { key: \"\(key)\" value { string_value: \"\(value)\" } }\n" }
    }
    text +=
      "instance_group [ { count: \(max(1, scheduler.instances)) kind: \(DeviceClass(deviceName: device) == .processor ? "KIND_CPU" : "KIND_GPU") } ]\n"
    var optimization = scheduler.batchesEagerly ? " eager_batching: true" : ""
    if variant.execution.usesCUDAGraphs, DeviceClass(deviceName: device) == .gpu { optimization += " cuda { graphs: true }" }
    if !optimization.isEmpty { text += "optimization {\(optimization) }\n" }
    guard let batching = scheduler.batching else { return text }
    text += "dynamic_batching {\n"
    if !batching.preferredSizes.isEmpty {
      text += "  preferred_batch_size: [\(batching.preferredSizes.map { "\($0)" }.joined(separator: ", "))]\n"
    }
    text += "  max_queue_delay_microseconds: \(Int64(saturating: batching.maximumQueueDelay.microseconds))\n"
    if batching.preservesOrdering { text += "  preserve_ordering: true\n" }
    let policy = batching.defaultQueuePolicy
    text += "  default_queue_policy {\n    timeout_action: \(policy.timeoutAction == .reject ? "REJECT" : "DELAY")\n"
    text += "    default_timeout_microseconds: \(Int64(saturating: policy.defaultTimeout.microseconds))\n"
    text += "    max_queue_size: \(policy.maximumQueueSize)\n  }\n}\n"
    return text
  }

  private static func parameters(_ head: BuiltInHead) -> [(String, String)] {
    let sizes: [(String, Int)] =
      switch head {
      case .linear(let layers, let hidden): [("layers", layers), ("hidden", hidden)]
      case .stacked(let layers, let hidden, let heads): [("layers", layers), ("hidden", hidden), ("heads", heads)]
      case .seqlen(let layers, let hidden, let sequence): [("layers", layers), ("hidden", hidden), ("sequence", sequence)]
      case .encoder(let layers, let hidden, let heads, let sequence):
        [("layers", layers), ("hidden", hidden), ("heads", heads), ("sequence", sequence)]
      }
    return [("head", head.name)] + sizes.map { ($0.0, "\($0.1)") }
  }

  /// Removes it.
  func remove() {
    for file in ["\(model)/1/model.onnx", "\(model)/config.pbtxt"] { unlink("\(path)/\(file)") }
    for name in (try? Files.entries(of: path)) ?? [] where Files.kind(of: "\(path)/\(name)") == .file { unlink("\(path)/\(name)") }
    for folder in ["\(model)/1", model] { rmdir("\(path)/\(folder)") }
    rmdir(path)
  }
}
