import ModelGraph

extension CostRule {
  /// Operators along axes: every element of the input is read, and something is done with it.
  static let reductions: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    let names = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
    for name in names {
      rules["Reduce" + name] = CostRule(
        shapes: { node in
          guard let shape = node.shape(0), let axes = node.axes(input: 1, rank: shape.count) else { return [nil] }
          if axes.isEmpty && node.integer("noop_with_empty_axes") ?? 0 != 0 { return [shape] }
          return [reduced(shape, axes.isEmpty ? Array(shape.indices) : axes, keep: node.integer("keepdims") ?? 1 != 0)]
        }, work: perInput(name == "LogSumExp" ? 4 : 1),
        upperBounds: { node in [node.integer("keepdims") ?? 1 != 0 ? node.shape(0) : nil] })
    }
    rules["Softmax"] = .likeFirst(5)
    rules["CumProd"] = .likeFirst(1)
    return rules
  }()

  static func reduced(_ shape: Shape, _ axes: [Int], keep: Bool) -> Shape {
    shape.enumerated().compactMap { index, dimension in axes.contains(index) ? (keep ? .fixed(1) : nil) : dimension }
  }
}
