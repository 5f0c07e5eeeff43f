extension ModelConfiguration {
  /// What the configuration asks of GPUs that this server has not.
  public func warnings(hasGPU: Bool) -> [ModelConfigurationWarning] {
    guard !hasGPU else { return [] }
    return instanceGroups.enumerated().compactMap { index, group in
      guard group.kind == .gpu || group.kind == .auto && !group.gpus.isEmpty else { return nil }
      let steps: [ConfigurationSource.Step] = [.element("instance_group", index), .field(group.kind == .gpu ? "kind" : "gpus")]
      let what = group.kind == .gpu ? "'kind' KIND_GPU" : "'gpus'"
      return ModelConfigurationWarning(
        file: source.file, place: source.place(of: steps) ?? .member("instance_group[\(index)]"),
        reason: "\(what) of ModelInstanceGroup is ignored: this server has no GPU, its instances run on the CPU")
    }
  }
}
