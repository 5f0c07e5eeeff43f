import ModelGraph

extension CostRule {
  /// Recurrent layers: all steps' inputs in one product, then a product for every step, which waits for the one before.
  static let recurrent: [String: CostRule] = Dictionary(
    uniqueKeysWithValues: ["LSTM", "GRU", "RNN"].map { name in
      (
        name,
        CostRule(
          types: { node in (0..<3).map { _ in node.elementType(0) } }, shapes: { node in Recurrence(node)?.results ?? [nil, nil, nil] },
          work: { node, _ in Recurrence(node)?.work ?? [] })
      )
    })

  private struct Recurrence {
    let results: [Shape?]
    let work: [Work]

    init?(_ node: CostedNode) {
      guard let x = node.shape(0), let w = node.shape(1), let r = node.shape(2), x.count == 3, w.count == 3, r.count == 3 else {
        return nil
      }
      let batchFirst = node.integer("layout") ?? 0 != 0
      let (steps, batch, input) = batchFirst ? (x[1], x[0], x[2]) : (x[0], x[1], x[2])
      let (directions, gates, hidden) = (w[0], w[1], r[2])
      results =
        batchFirst
        ? [[batch, steps, directions, hidden], [batch, directions, hidden], [batch, directions, hidden]]
        : [[steps, directions, batch, hidden], [directions, batch, hidden], [directions, batch, hidden]]
      work = [
        .product(batch: [directions], m: [steps, batch], n: [gates], k: [input], source: nil, repetitions: []),
        .product(batch: [], m: [batch], n: [gates], k: [hidden], source: nil, repetitions: [steps, directions]),
      ]
    }
  }
}
