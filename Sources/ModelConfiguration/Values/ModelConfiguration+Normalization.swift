extension ModelConfiguration {
  /// The configuration with every default written out, for a machine with these GPUs.
  /// Source: triton-inference-server/core `src/model_config_utils.cc` (NormalizeModelConfig, NormalizeInstanceGroup).
  public func normalized(usableGPUs: [Int] = []) -> ModelConfiguration {
    var result = self
    switch versionPolicy {
    case nil: result.versionPolicy = .latest(1)
    case .latest(let count) where count < 1: result.versionPolicy = .latest(1)
    default: break
    }
    if result.dynamicBatching?.preferredBatchSizes.isEmpty == true, maxBatchSize > 0 {
      result.dynamicBatching?.preferredBatchSizes = [maxBatchSize]
    }
    // The one group that nobody asked for is called like the model.
    if instanceGroups.isEmpty { result.instanceGroups = [InstanceGroup(name: name)] }
    for index in result.instanceGroups.indices { normalize(&result.instanceGroups[index], index: index, usableGPUs: usableGPUs) }
    return result
  }

  private func normalize(_ group: inout InstanceGroup, index: Int, usableGPUs: [Int]) {
    if group.name.isEmpty { group.name = "\(name)_\(index)" }
    if group.kind == .auto {
      let fits = !usableGPUs.isEmpty && group.gpus.allSatisfy(usableGPUs.contains)
      group.kind = fits ? .gpu : .cpu
      // What the group falls back to has no GPUs; kept, they would be a load error about a kind that nobody wrote.
      if !fits { group.gpus = [] }
    }
    if group.count < 1 { group.count = group.kind == .cpu ? defaultInstanceCountOnCPU : 1 }
    if group.kind == .gpu, group.gpus.isEmpty { group.gpus = usableGPUs }
  }

  /// Two instances overlap well on a CPU for these backends; others suffer from it.
  private var defaultInstanceCountOnCPU: Int {
    let names = backend.isEmpty ? [platform] : [backend]
    let pairs = ["onnxruntime", "onnxruntime_onnx", "tensorflow", "tensorflow_graphdef", "tensorflow_savedmodel"]
    return names.contains(where: pairs.contains) ? 2 : 1
  }
}
