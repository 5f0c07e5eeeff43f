/// Normalizations, with up to four parameters. One more is an entry of the list here, a loop for each device
/// (`Execution/CPU/NormalizationLoops`, `rows.cuh`), and the loop's line in `CCUDAStandIn/kernels.cpp`. LayerNormalization is a case of `Operation`:
/// rewrites make it and look for it.
extension OperatorDefinition {
  static let normalizationOperators: [OperatorDefinition] = [
    normalization(
      "RMSNormalization", parameters: 1, attributes: [.integer("axis", usual: -1), epsilon], sinceOpset: 23,
      shape: { call throws(OperatorRefusal) in
        let x = try call.input(0)
        return Array(x.shape[(try call.axis(rank: x.shape.count))...])
      },
      rows: { sizes, attributes in
        let given = attributes.integer("axis")
        return .perElement(sizes[0], from: given < 0 ? given + sizes[0].count : given)
      }
    ) { row, parameters, attributes in
      let squares = row.reduce(0) { $0 + $1 * $1 } / Double(row.count)
      let root = (squares + Double(attributes.real("epsilon"))).squareRoot()
      return zip(row, parameters[0]).map { $0 / root * $1 }
    },
    normalization(
      "InstanceNormalization", parameters: 2, attributes: [epsilon], shape: { call throws(OperatorRefusal) in try channels(call, rank: 3) },
      rows: { sizes, _ in .perChannel(sizes[0]) }, centred),
    // With opset 18 scale and bias were those of groups; since opset 21 they are those of channels, as here.
    normalization(
      "GroupNormalization", parameters: 2, attributes: [epsilon, .integer("num_groups", usual: nil)], sinceOpset: 21,
      shape: { call throws(OperatorRefusal) in
        let (shape, groups) = (try channels(call, rank: 3), call.attributes.integer("num_groups"))
        guard groups > 0, shape[0].divided(by: .fixed(groups)) != nil else {
          throw OperatorRefusal("\(shape[0]) channels are not divisible into \(groups) groups")
        }
        return shape
      },
      rows: { sizes, attributes in .perGroup(sizes[0], groups: attributes.integer("num_groups")) }, centred),
    normalization(
      "BatchNormalization", parameters: 4, operations: 2, attributes: [epsilon, .integer("training_mode", usual: 0)],
      shape: { call throws(OperatorRefusal) in
        if call.attributes.integer("training_mode") != 0 { throw OperatorRefusal("is in training mode") }
        return try channels(call, rank: 2)
      },
      rows: { sizes, _ in .perChannel(sizes[0]) }
    ) { row, parameters, attributes in
      row.indices.map { index in
        let (scale, bias, mean, variance) = (parameters[0][index], parameters[1][index], parameters[2][index], parameters[3][index])
        return (row[index] - mean) / (variance + Double(attributes.real("epsilon"))).squareRoot() * scale + bias
      }
    },
  ]

  private static let epsilon = OperatorAttribute.real("epsilon", usual: 1e-5)

  /// By the row's own mean and variance, then scale and bias.
  private static let centred: @Sendable ([Double], [[Double]], OperatorAttributes) -> [Double] = { row, parameters, attributes in
    let mean = row.reduce(0, +) / Double(row.count)
    let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
    let root = (variance + Double(attributes.real("epsilon"))).squareRoot()
    return row.indices.map { (row[$0] - mean) / root * parameters[0][$0] + parameters[1][$0] }
  }

  private static func channels(_ call: OperatorCall, rank: Int) throws(OperatorRefusal) -> Shape {
    let x = try call.input(0)
    guard x.shape.count >= rank else { throw OperatorRefusal("needs \(rank) dimensions or more") }
    return [x.shape[1]]
  }

  /// `shape`: what each of the parameters, inputs from 1 on, is broadcast to.
  static func normalization(
    _ name: String, parameters: Int, operations: Double = 8, attributes: [OperatorAttribute], sinceOpset: Int64 = 1,
    shape: @escaping @Sendable (OperatorCall) throws(OperatorRefusal) -> Shape,
    rows: @escaping @Sendable ([[Int]], OperatorAttributes) -> RowLayout,
    _ define: @escaping @Sendable ([Double], [[Double]], OperatorAttributes) -> [Double]
  ) -> OperatorDefinition {
    OperatorDefinition(
      name, inputCount: 1 + parameters, attributes: attributes, operations: operations, isFloatingPoint: true, sinceOpset: sinceOpset,
      form: .normalized(Normalization(rows: rows, define: define, parameterShape: shape)), resultCount: 1
    ) { call throws(OperatorRefusal) in
      let (x, shape) = (try call.input(0), try shape(call))
      if shape.contains(where: { $0.fixedSize == nil }) { throw OperatorRefusal("a normalized dimension depends on the rows") }
      for index in 1..<(1 + parameters) {
        let parameter = try call.input(index)
        if parameter.type != x.type { throw OperatorRefusal("element types differ") }
        if Shapes.broadcast(shape, parameter.shape) != shape { throw OperatorRefusal("input \(index) does not fit \(Shapes.text(shape))") }
      }
      return [(x.type, x.shape)]
    }
  }
}
