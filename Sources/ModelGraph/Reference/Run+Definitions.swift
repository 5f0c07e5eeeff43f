import CheckedNumbers

extension Run {
  /// What an operator's definition gives.
  func evaluated(
    _ definition: OperatorDefinition, _ attributes: OperatorAttributes, _ inputs: [DenseArray], _ node: Node
  ) throws(GraphError) -> [DenseArray] {
    let x = inputs[0]
    let values = inputs.enumerated().map { Value(name: "\($0.offset)", type: .float64, shape: $0.element.shape.map { .fixed($0) }) }
    let shapes: [[Int]]
    do throws(OperatorRefusal) {
      shapes = try definition.results(OperatorCall(inputs: values, attributes: attributes)).map { $0.1.map(\.constant) }
    } catch { throw GraphError(node: node.name, operation: definition.name, reason: error.reason) }
    guard let shape = shapes.first else { return [] }
    switch definition.form {
    case .alongAxis(let lane):
      let given = attributes.integer("axis")
      let axis = given < 0 ? given + x.shape.count : given
      let (size, inner) = (x.shape[axis], x.shape[(axis + 1)...].reduce(1, *))
      var results = shapes.map { DenseArray(unchecked: $0, [Double](repeating: 0, count: $0.reduce(1, *))) }
      for outer in 0..<x.shape[..<axis].reduce(1, *) {
        for offset in 0..<inner {
          let made = lane((0..<size).map { x.values[(outer * size + $0) * inner + offset] }, attributes)
          for (number, values) in made.enumerated() {
            for (place, value) in values.enumerated() { results[number].values[(outer * values.count + place) * inner + offset] = value }
          }
        }
      }
      return results
    case .elementwise(let define):
      let operands = inputs.map { $0.broadcast(to: shape).values }
      return [DenseArray(unchecked: shape, operands[0].indices.map { index in define(operands.map { $0[index] }, attributes) })]
    case .moved(let movement):
      let fill = movement.fill(attributes) ?? .nan
      return [DenseArray.build(shape) { position in movement.origin(position, x.shape, attributes).map { x[$0] } ?? fill }]
    case .normalized(let normalization):
      return [normalized(normalization, attributes, inputs)]
    case .indexed(let indexing):
      do throws(OperatorRefusal) { return [try indexed(indexing, attributes, inputs, shape)] } catch {
        throw GraphError(node: node.name, operation: definition.name, reason: error.reason)
      }
    }
  }

  /// Row by row.
  private func normalized(_ normalization: Normalization, _ attributes: OperatorAttributes, _ inputs: [DenseArray]) -> DenseArray {
    let (x, layout) = (inputs[0], normalization.rows(inputs.map(\.shape), attributes))
    let sizes = normalization.parameterSizes(x.shape, attributes) ?? []
    let parameters = inputs.dropFirst().map { $0.broadcast(to: sizes).values }
    var result = x
    for row in 0..<(layout.width == 0 ? 0 : x.values.count / layout.width) {
      let range = (row * layout.width)..<((row + 1) * layout.width)
      let own = parameters.map { values in (0..<layout.width).map { values[layout.start(of: row) + $0 / layout.share] } }
      result.values.replaceSubrange(range, with: normalization.define(Array(x.values[range]), own, attributes))
    }
    return result
  }

  /// Elements by their indices, one after the other.
  private func indexed(
    _ indexing: Indexing, _ attributes: OperatorAttributes, _ inputs: [DenseArray], _ shape: [Int]
  ) throws(OperatorRefusal) -> DenseArray {
    let (sizes, data, indices) = (inputs.map(\.shape), inputs[indexing.data], inputs[indexing.indices])
    var refusal: OperatorRefusal?
    func place(_ position: [Int]) -> [Int]? {
      var place = indexing.place(position, sizes, attributes) { Int(saturating: indices[$0]) }
      for axis in place.indices {
        let given = place[axis]
        if given < 0 { place[axis] = given &+ data.shape[axis] }
        if place[axis] < 0 || place[axis] >= data.shape[axis] {
          refusal = OperatorRefusal("index \(given) is out of range for dimension \(axis) of size \(data.shape[axis])")
          return nil
        }
      }
      return place
    }
    var result: DenseArray
    if let updates = indexing.updates.map({ inputs[$0] }) {
      result = data
      let (strides, combine) = (DenseArray.strides(shape), indexing.combine(attributes))
      _ = DenseArray.build(updates.shape) { position in
        guard let place = place(position) else { return 0 }
        let (offset, update) = (zip(place, strides).reduce(0) { $0 + $1.0 * $1.1 }, updates[position])
        result.values[offset] = combine?(result.values[offset], update) ?? update
        return 0
      }
    } else {
      result = DenseArray.build(shape) { position in place(position).map { data[$0] } ?? .nan }
    }
    if let refusal { throw refusal }
    return result
  }
}
