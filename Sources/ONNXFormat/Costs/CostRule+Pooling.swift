import ModelGraph

extension CostRule {
  /// Pools: one operation for each element under the window.
  static let pooling: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    for name in ["MaxPool", "AveragePool", "LpPool"] {
      rules[name] = CostRule(
        types: { node in [node.elementType(0), .int64] },
        shapes: { node in
          let shape = pooled(node)
          return [shape, shape]
        },
        work: { node, results in
          let area = (node.list("kernel_shape") ?? []).reduce(1.0) { $0 * Double(max(1, $1)) }
          return perResult(area)(node, results)
        })
    }
    for name in ["GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"] {
      rules[name] = CostRule(
        shapes: { node in [node.shape(0).map { $0.prefix(2) + $0.dropFirst(2).map { _ in .fixed(1) } }] }, work: perInput(1))
    }
    for name in ["RoiAlign", "MaxRoiPool"] {
      rules[name] = CostRule(
        shapes: { node in
          guard let x = node.shape(0), let boxes = node.shape(1)?.first, x.count == 4 else { return [nil] }
          let size = node.list("pooled_shape") ?? [node.integer("output_height") ?? 1, node.integer("output_width") ?? 1]
          return size.count == 2 ? [[boxes, x[1], .fixed(size[0]), .fixed(size[1])]] : [nil]
        }, work: perResult(16))
    }
    rules["MaxUnpool"] = CostRule(
      shapes: { node in
        guard let x = node.shape(0), x.count > 2, !node.has(2), let kernel = node.list("kernel_shape"),
          let window = Window(node, kernel: kernel),
          let spatial = window.transposed(over: Array(x[2...]), outputPadding: kernel.map { _ in 0 }, given: nil)
        else { return [node.operand(2)?.sizes] }
        return [x.prefix(2) + spatial]
      }, work: perResult(0))
    return rules
  }()

  private static func pooled(_ node: CostedNode) -> Shape? {
    guard let x = node.shape(0), x.count > 2, let kernel = node.list("kernel_shape"), let window = Window(node, kernel: kernel),
      let spatial = window.positions(over: Array(x[2...]))
    else { return nil }
    return x.prefix(2) + spatial
  }
}
