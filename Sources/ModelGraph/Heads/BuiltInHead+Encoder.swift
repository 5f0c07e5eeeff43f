extension BuiltInHead {
  /// Words the encoder's table knows: enough to be a gather from memory, small beside BERT's 30,522.
  static let vocabulary = 1024

  /// [rows, sequence] token numbers -> [rows, sequence, hidden]: embeddings, then `layers` blocks of self-attention and a feed-forward of
  /// four times the hidden size, normalized after each as in BERT (Devlin et al., NAACL 2019).
  static func encoderGraph(_ layers: Int, _ hidden: Int, _ heads: Int, _ sequence: Int, _ seed: UInt64) throws(GraphError) -> Graph {
    if hidden % heads != 0 { throw GraphError(node: "heads", reason: "hidden size \(hidden) is not divisible by \(heads) heads") }
    let depth = hidden / heads
    var encoder = HeadBuilder(name: "encoder", seed: seed)
    let tokens = encoder.graph.addInput("input_ids", .int64, [.rows, .fixed(sequence)])
    let words = try encoder.parameter("embeddings.word", [vocabulary, hidden], bound: 1)
    let positions = try encoder.parameter("embeddings.position", [sequence, hidden], bound: 0.5)
    var x = try encoder.graph.apply(.gather(axis: 0), "embeddings.gather", [words, tokens])
    x = try encoder.graph.apply(.binary(.add), "embeddings.add", [x, positions])
    x = try encoder.layerNormalization(x, "embeddings.norm", size: hidden, epsilon: 1e-12)
    let scale = encoder.graph.addConstant("attention.scale", Tensor(scalar: 1 / Float(depth).squareRoot()))
    for layer in 0..<layers {
      let name = "layer.\(layer)"
      func split(_ value: ValueID, _ part: String, _ permutation: [Int]) throws(GraphError) -> ValueID {
        let reshaped = try encoder.graph.apply(
          .reshape([.rows, .fixed(sequence), .fixed(heads), .fixed(depth)]), "\(name).\(part).reshape", [value])
        return try encoder.graph.apply(.transpose(permutation: permutation), "\(name).\(part).transpose", [reshaped])
      }
      let query = try split(try encoder.linear(x, "\(name).query", from: hidden, to: hidden), "query", [0, 2, 1, 3])
      let key = try split(try encoder.linear(x, "\(name).key", from: hidden, to: hidden), "key", [0, 2, 3, 1])
      let value = try split(try encoder.linear(x, "\(name).value", from: hidden, to: hidden), "value", [0, 2, 1, 3])
      var scores = try encoder.graph.apply(.matMul, "\(name).scores", [query, key])
      scores = try encoder.graph.apply(.binary(.multiply), "\(name).scale", [scores, scale])
      scores = try encoder.graph.apply(.softmax(axis: -1), "\(name).softmax", [scores])
      var context = try encoder.graph.apply(.matMul, "\(name).context", [scores, value])
      context = try encoder.graph.apply(.transpose(permutation: [0, 2, 1, 3]), "\(name).context.transpose", [context])
      context = try encoder.graph.apply(.reshape([.rows, .fixed(sequence), .fixed(hidden)]), "\(name).context.reshape", [context])
      context = try encoder.linear(context, "\(name).attention", from: hidden, to: hidden)
      context = try encoder.graph.apply(.binary(.add), "\(name).attention.residual", [context, x])
      x = try encoder.layerNormalization(context, "\(name).attention.norm", size: hidden, epsilon: 1e-12)
      var feed = try encoder.linear(x, "\(name).intermediate", from: hidden, to: 4 * hidden)
      feed = try encoder.graph.apply(.unary(.gelu), "\(name).gelu", [feed])
      feed = try encoder.linear(feed, "\(name).output", from: 4 * hidden, to: hidden)
      feed = try encoder.graph.apply(.binary(.add), "\(name).output.residual", [feed, x])
      x = try encoder.layerNormalization(feed, "\(name).output.norm", size: hidden, epsilon: 1e-12)
    }
    encoder.graph.outputs = [x]
    return encoder.graph
  }
}
