import Execution
import ModelConfiguration
import ModelGraph
import ONNXFormat

/// What can be said without an engine of who runs a model: loading and `headroom check` both ask here.
enum EngineChoice {
  /// Why a graph that our own reader takes goes to ONNX Runtime all the same; nil where the CPU device runs it. `refusal`: the device's.
  static func reason(
    _ graph: Graph, _ survey: ONNXSurvey, _ written: ModelConfiguration, refusal: DeviceError?
  ) throws(ModelConfigurationError) -> String? {
    if let refusal { return refusal.description }
    // The graph has one number of rows.
    if survey.hasIndependentFirstAxes, written.maxBatchSize == 0, try written.completed(from: graph.signature).maxBatchSize == 0 {
      return "the first axes of its inputs have sizes of their own"
    }
    // Our own reader takes defaults for constants.
    guard let first = survey.overridableInputs.first, written.maxBatchSize == 0 else { return nil }
    return "input '\(first)' has a default that requests may override"
  }

  /// Why ONNX Runtime would run this file on the CPU device's side of `headroom serve`; nil where the device's own kernels do.
  static func reason(_ files: ModelFiles, _ written: ModelConfiguration) throws(ModelConfigurationError) -> String? {
    let graph: Graph
    do throws(ONNXError) { graph = try files.graph() } catch { return files.reason(error) }
    let options = LoadOptions(
      maximumBatchRows: written.maxBatchSize, preferredRows: written.dynamicBatching?.preferredBatchSizes ?? [])
    return try reason(graph, files.survey(), written, refusal: CPUDevice.refusal(of: graph, options))
  }
}

extension ModelFiles {
  /// What an error says of this file, without the file's name: who passes it on names the file.
  func reason(_ error: ONNXError) -> String {
    let text = error.description
    return text.hasPrefix("\(path): ") ? String(text.dropFirst(path.count + 2)) : text
  }
}

extension ModelConfiguration {
  /// What ONNX Runtime takes from `parameters` and `optimization.graph`; a value that it cannot read is an error with its place.
  func onnxRuntimeOptions() throws(ModelConfigurationError) -> ONNXRuntimeOptions {
    do throws(DeviceError) {
      return try ONNXRuntimeOptions(parameters: parameters, graphLevel: optimization.graphLevel)
    } catch {
      // One that is wrong by itself, or the one that contradicts another.
      let wrong = parameters.keys.sorted().first { key in (try? ONNXRuntimeOptions(parameters: [key: parameters[key] ?? ""])) == nil }
      let key = wrong ?? "memory.enable_memory_arena_shrinkage"
      throw error.description.hasPrefix("optimization")
        ? self.error(error.description, field: "optimization") : self.error(error.description, parameter: key)
    }
  }
}
