extension Graph {
  /// The same with the rows first in every output that has them elsewhere: a server takes a batch's answers apart by its first dimension.
  ///
  /// - Throws: `GraphError` where a transposition cannot be added.
  public func withRowsFirst() throws(GraphError) -> Graph {
    var graph = self
    for (index, id) in outputs.enumerated() {
      let shape = self[id].shape
      guard let place = shape.firstIndex(of: .rows), place > 0 else { continue }
      let permutation = [place] + shape.indices.filter { $0 != place }
      graph.outputs[index] = try graph.apply(.transpose(permutation: permutation), self[id].name + ".rows_first", [id])
    }
    return graph
  }
}
