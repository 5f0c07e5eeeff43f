extension BuiltInHead {
  /// [rows, hidden] -> [rows, 2].
  static func linearGraph(_ layers: Int, _ hidden: Int, _ seed: UInt64) throws(GraphError) -> Graph {
    var head = HeadBuilder(name: "linear", seed: seed)
    var x = head.graph.addInput("x", .float32, [.rows, .fixed(hidden)])
    for layer in 0..<layers {
      x = try head.linear(x, "layers.\(layer)", from: hidden, to: hidden)
      x = try head.graph.apply(.unary(.relu), "relu.\(layer)", [x])
    }
    head.graph.outputs = [try head.linear(x, "proj_out", from: hidden, to: 2)]
    return head.graph
  }
}
