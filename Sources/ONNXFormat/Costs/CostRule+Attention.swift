import ModelGraph

extension CostRule {
  /// Attention as one operator: two products with a softmax between them.
  static let attention: [String: CostRule] = [
    "Attention": CostRule(
      shapes: { node in AttentionSizes(node)?.results ?? [nil, nil, nil, nil] }, work: { node, _ in AttentionSizes(node)?.work ?? [] }),
    "com.microsoft.MultiHeadAttention": CostRule(
      shapes: { node in [AttentionSizes(node)?.results.first ?? nil, nil, nil] }, work: { node, _ in AttentionSizes(node)?.work ?? [] }),
    "RotaryEmbedding": .likeFirst(6), "com.microsoft.RotaryEmbedding": .likeFirst(6),
  ]

  /// ONNX Attention (opset 23): queries, keys and values of [rows, heads, length, width], or of [rows, length, heads * width].
  private struct AttentionSizes {
    let results: [Shape?]
    let work: [Work]

    init?(_ node: CostedNode) {
      let heads = node.integer("q_num_heads") ?? node.integer("num_heads")
      let keyHeads = node.integer("kv_num_heads") ?? heads
      guard let q = Self.split(node.shape(0), heads), let k = Self.split(node.shape(1), keyHeads),
        let v = Self.split(node.shape(2), keyHeads)
      else { return nil }
      // What earlier calls left comes first.
      let past = node.shape(4).flatMap { $0.count == 4 ? $0[2] : nil } ?? .fixed(0)
      guard let keys = k[2].adding(past), let width = q[1].multiplied(by: v[3]) else { return nil }
      let isFlat = node.shape(0)?.count == 3
      results = [
        isFlat ? [q[0], q[2], width] : [q[0], q[1], q[2], v[3]], [k[0], k[1], keys, k[3]], [v[0], v[1], keys, v[3]],
        [q[0], q[1], q[2], keys],
      ]
      work = [
        .product(batch: [q[0], q[1]], m: [q[2]], n: [keys], k: [q[3]], source: nil, repetitions: []),
        .traffic(operations: 5, elements: [q[0], q[1], q[2], keys]),
        .product(batch: [q[0], q[1]], m: [q[2]], n: [v[3]], k: [keys], source: nil, repetitions: []),
      ]
    }

    /// [rows, heads, length, width].
    private static func split(_ shape: Shape?, _ heads: Int?) -> Shape? {
      guard let shape else { return nil }
      if shape.count == 4 { return shape }
      guard shape.count == 3, let heads, heads > 0, let width = shape[2].divided(by: .fixed(heads)) else { return nil }
      return [shape[0], .fixed(heads), shape[1], width]
    }
  }
}
