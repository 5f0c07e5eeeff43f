import Glibc

extension Run {
  /// ONNX's Reduce* by their definitions, element by element; a reduction of nothing gives its neutral element.
  func reduced(_ x: DenseArray, _ reduction: Reduction, _ axes: Set<Int>, _ keep: Bool) -> DenseArray {
    let kept = x.shape.indices.map { axes.contains($0) ? 1 : x.shape[$0] }
    let strides = DenseArray.strides(kept)
    var groups = [[Double]](repeating: [], count: kept.reduce(1, *))
    var cursor = 0
    _ = DenseArray.build(x.shape) { position in
      let place = position.indices.reduce(0) { $0 + (axes.contains($1) ? 0 : position[$1] * strides[$1]) }
      groups[place].append(x.values[cursor])
      cursor += 1
      return 0
    }
    let shape = keep ? kept : x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] }
    return DenseArray(unchecked: shape, groups.map { reduction($0) })
  }
}
