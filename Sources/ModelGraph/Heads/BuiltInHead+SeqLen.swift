extension BuiltInHead {
  /// [rows, hidden] -> [rows, 2], by the case study's forward:
  ///
  ///     x = x.unsqueeze(1).expand(-1, seq_len, -1)
  ///     h = relu(ln_in(proj_in(x)))
  ///     for layer, norm in zip(mid_layers, mid_norms): h = relu(norm(layer(h)))      # num_layers - 2 of them
  ///     return proj_out(h[:, 0, :])
  static func seqlenGraph(_ layers: Int, _ hidden: Int, _ sequence: Int, _ seed: UInt64) throws(GraphError) -> Graph {
    if layers < 2 {
      throw GraphError(node: "layers", reason: "\(layers) is out of range; seqlen counts proj_in and proj_out and needs at least 2")
    }
    var head = HeadBuilder(name: "seqlen", seed: seed)
    let x = head.graph.addInput("x", .float32, [.rows, .fixed(hidden)])
    var h = try head.graph.apply(.unsqueeze(axes: [1]), "unsqueeze", [x])
    h = try head.graph.apply(.expand([.rows, .fixed(sequence), .fixed(hidden)]), "expand", [h])
    for layer in 0..<(layers - 1) {
      let (linear, norm) = layer == 0 ? ("proj_in", "ln_in") : ("mid_layers.\(layer - 1)", "mid_norms.\(layer - 1)")
      h = try head.linear(h, linear, from: hidden, to: hidden)
      h = try head.layerNormalization(h, norm, size: hidden)
      h = try head.graph.apply(.unary(.relu), "relu.\(layer)", [h])
    }
    h = try head.graph.apply(.slice(axes: [1], starts: [0], ends: [1], steps: [1]), "first_row", [h])
    h = try head.graph.apply(.squeeze(axes: [1]), "first_row.squeeze", [h])
    head.graph.outputs = [try head.linear(h, "proj_out", from: hidden, to: 2)]
    return head.graph
  }
}
