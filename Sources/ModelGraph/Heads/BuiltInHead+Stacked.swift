extension BuiltInHead {
  /// [rows, hidden] -> [heads, rows, 2]. Every head reads the same rows; from then on each layer is one batched product of
  /// [heads, rows, hidden] x [heads, hidden, hidden], so that a launch does the work of all heads.
  static func stackedGraph(_ layers: Int, _ hidden: Int, _ heads: Int, _ seed: UInt64) throws(GraphError) -> Graph {
    var head = HeadBuilder(name: "stacked", seed: seed)
    var x = head.graph.addInput("x", .float32, [.rows, .fixed(hidden)])
    let bound = SeededStorage.heBound(fanIn: hidden)
    for layer in 0...layers {
      let last = layer == layers
      let (name, outputs) = last ? ("proj_out", 2) : ("layers.\(layer)", hidden)
      let weight = try head.parameter(name + ".weight", [heads, hidden, outputs], bound: bound)
      let bias = try head.parameter(name + ".bias", [heads, 1, outputs], bound: bound / 10)
      x = try head.graph.apply(.matMul, name + ".bmm", [x, weight])
      x = try head.graph.apply(.binary(.add), name + ".add", [x, bias])
      if !last { x = try head.graph.apply(.unary(.relu), "relu.\(layer)", [x]) }
    }
    head.graph.outputs = [x]
    return head.graph
  }
}
