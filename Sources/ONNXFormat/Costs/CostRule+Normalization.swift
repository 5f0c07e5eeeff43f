import ModelGraph

extension CostRule {
  /// Normalizations, counted as layerNormalization is: eight operations per element; those with given statistics two. What graphs can hold counts by
  /// its definition; the rules here are for the rest of ONNX's forms: training, further results, scales of groups.
  static let normalization: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    rules["BatchNormalization"] = CostRule(
      shapes: { node in
        let statistics = node.shape(0).map { $0.count > 1 ? [$0[1]] : [] }
        return [node.shape(0)] + (1..<max(1, node.outputCount)).map { _ in statistics }
      }, work: perResult(2))
    for name in ["InstanceNormalization", "GroupNormalization", "MeanVarianceNormalization", "com.microsoft.GroupNorm"] {
      rules[name] = .likeFirst(8)
    }
    for name in ["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"] {
      rules[name] = CostRule(
        types: { node in [node.elementType(0), .float32, .float32] },
        shapes: { node in
          guard let x = node.shape(0), let axis = node.axis(node.integer("axis") ?? -1, rank: x.count) else { return [node.shape(0)] }
          let statistics = reduced(x, Array(axis..<x.count), keep: true)
          return [x, statistics, statistics]
        }, work: perResult(8))
    }
    for name in ["com.microsoft.SkipLayerNormalization", "com.microsoft.SkipSimplifiedLayerNormalization"] {
      rules[name] = CostRule(shapes: { node in [node.shape(0), nil, nil, node.shape(0)] }, work: perResult(9))
    }
    rules["LRN"] = CostRule(
      shapes: { node in [node.shape(0)] },
      work: { node, results in perResult(Double(max(1, node.integer("size") ?? 1)) * 2 + 3)(node, results) })
    return rules
  }()
}
