/// Operators that take elements by integers of another input, or put them where those say. One more is an entry of the list here and nothing
/// else: devices copy.
extension OperatorDefinition {
  static let indexOperators: [OperatorDefinition] = [
    indexed(
      "GatherElements", inputs: 2, attributes: [.integer("axis", usual: 0)],
      Indexing(
        place: { position, _, attributes, index in replaced(position, attributes, by: index(position)) },
        moves: { sizes, attributes in
          let (axis, all, own) = (axis(attributes, sizes[0].count), DenseArray.strides(sizes[0]), DenseArray.strides(sizes[1]))
          return [
            ElementMove(
              sizes: sizes[1], source: .init(offset: 0, strides: without(axis, all)), target: .init(offset: 0, strides: own),
              lookup: .init(
                input: 1, region: .init(offset: 0, strides: own), axes: [.init(size: sizes[0][axis], stride: all[axis])]))
          ]
        })
    ) { call throws(OperatorRefusal) in
      let (data, indices) = (try call.input(0), try call.input(1))
      try fits(indices.shape, into: data.shape, but: try call.axis(rank: data.shape.count))
      return (data.type, indices.shape)
    },
    indexed(
      "GatherND", inputs: 2, attributes: [.integer("batch_dims", usual: 0)],
      Indexing(
        place: { position, sizes, attributes, index in
          let (shared, leading) = (attributes.integer("batch_dims"), sizes[1].count - 1)
          let chosen = (0..<sizes[1][leading]).map { index(Array(position[..<leading]) + [$0]) }
          return Array(position[..<shared]) + chosen + Array(position[leading...])
        },
        moves: { sizes, attributes in
          let (shared, leading) = (attributes.integer("batch_dims"), sizes[1].count - 1)
          let (all, own, depth) = (DenseArray.strides(sizes[0]), DenseArray.strides(sizes[1]), sizes[1][leading])
          let behind = sizes[0].indices.dropFirst(shared + depth)
          let results = Array(sizes[1][..<leading]) + behind.map { sizes[0][$0] }
          return [
            ElementMove(
              sizes: results,
              source: .init(offset: 0, strides: (0..<leading).map { $0 < shared ? all[$0] : 0 } + behind.map { all[$0] }),
              target: .init(offset: 0, strides: DenseArray.strides(results)),
              lookup: .init(
                input: 1, region: .init(offset: 0, strides: Array(own[..<leading]) + behind.map { _ in 0 }), step: 1,
                axes: (shared..<(shared + depth)).map { .init(size: sizes[0][$0], stride: all[$0]) }))
          ]
        })
    ) { call throws(OperatorRefusal) in
      let (data, indices, shared) = (try call.input(0), try call.input(1), call.attributes.integer("batch_dims"))
      let depth = try depth(of: indices)
      guard shared >= 0, shared < indices.shape.count, depth <= data.shape.count, shared <= data.shape.count - depth else {
        throw OperatorRefusal("batch_dims \(shared) and \(depth) indices are too many")
      }
      if data.shape[..<shared] != indices.shape[..<shared] { throw OperatorRefusal("the first \(shared) dimensions differ") }
      return (data.type, Array(indices.shape.dropLast()) + data.shape[(shared + depth)...])
    },
    indexed(
      "ScatterElements", inputs: 3, attributes: [.integer("axis", usual: 0), .text("reduction", usual: "none")],
      Indexing(
        updates: 2, combine: combination,
        place: { position, _, attributes, index in replaced(position, attributes, by: index(position)) },
        moves: { sizes, attributes in
          let (axis, all, own) = (axis(attributes, sizes[0].count), DenseArray.strides(sizes[0]), DenseArray.strides(sizes[1]))
          return [
            .rearranged(sizes[0], all),
            ElementMove(
              sizes: sizes[1], input: 2, source: .init(offset: 0, strides: own), target: .init(offset: 0, strides: without(axis, all)),
              lookup: .init(
                input: 1, region: .init(offset: 0, strides: own), axes: [.init(size: sizes[0][axis], stride: all[axis])],
                isOfTarget: true)),
          ]
        })
    ) { call throws(OperatorRefusal) in
      let (data, indices) = (try call.input(0), try call.input(1))
      try fits(indices.shape, into: data.shape, but: try call.axis(rank: data.shape.count))
      if try call.input(2).shape != indices.shape { throw OperatorRefusal("indices and updates differ in shape") }
      return (data.type, try reducible(call).shape)
    },
    indexed(
      "ScatterND", inputs: 3, attributes: [.text("reduction", usual: "none")],
      Indexing(
        updates: 2, combine: combination,
        place: { position, sizes, _, index in
          let leading = sizes[1].count - 1
          return (0..<sizes[1][leading]).map { index(Array(position[..<leading]) + [$0]) } + Array(position[leading...])
        },
        moves: { sizes, _ in
          let (leading, all, own) = (sizes[1].count - 1, DenseArray.strides(sizes[0]), DenseArray.strides(sizes[1]))
          let depth = sizes[1][leading]
          return [
            .rearranged(sizes[0], all),
            ElementMove(
              sizes: sizes[2], input: 2, source: .init(offset: 0, strides: DenseArray.strides(sizes[2])),
              target: .init(offset: 0, strides: (0..<leading).map { _ in 0 } + Array(all[depth...])),
              lookup: .init(
                input: 1, region: .init(offset: 0, strides: Array(own[..<leading]) + all[depth...].map { _ in 0 }), step: 1,
                axes: (0..<depth).map { .init(size: sizes[0][$0], stride: all[$0]) }, isOfTarget: true)),
          ]
        })
    ) { call throws(OperatorRefusal) in
      let (data, indices) = (try call.input(0), try call.input(1))
      let depth = try depth(of: indices)
      guard depth <= data.shape.count, try call.input(2).shape == Array(indices.shape.dropLast()) + data.shape[depth...] else {
        throw OperatorRefusal("the updates are not of the places' shape")
      }
      return (data.type, try reducible(call).shape)
    },
    // An index out of range gives the first value alone, as ONNX has it.
    indexed(
      "OneHot", inputs: 2, attributes: [.integer("axis", usual: -1), .integer("depth", usual: nil, input: 1)],
      Indexing(
        data: 1, indices: 0,
        place: { position, _, attributes, index in
          let (axis, depth) = (axis(attributes, position.count), attributes.integer("depth"))
          var rest = position
          let place = rest.remove(at: axis)
          let chosen = index(rest)
          return [(chosen < 0 ? chosen + depth : chosen) == place ? 1 : 0]
        },
        moves: { sizes, attributes in
          let (rank, depth) = (sizes[0].count, attributes.integer("depth"))
          let axis = axis(attributes, rank + 1)
          let results = Array(sizes[0][..<axis]) + [depth] + sizes[0][axis...]
          var strides = DenseArray.strides(results)
          var moves = [
            ElementMove(
              sizes: results, input: 1, source: .init(offset: 0, strides: results.map { _ in 0 }),
              target: .init(offset: 0, strides: strides))
          ]
          let stride = strides.remove(at: axis)
          moves.append(
            ElementMove(
              sizes: sizes[0], input: 1, source: .init(offset: 1, strides: sizes[0].map { _ in 0 }),
              target: .init(offset: 0, strides: strides),
              lookup: .init(
                input: 0, region: .init(offset: 0, strides: DenseArray.strides(sizes[0])), axes: [.init(size: depth, stride: stride)],
                isOfTarget: true, isLenient: true)))
          return moves
        })
    ) { call throws(OperatorRefusal) in
      let (indices, values, depth) = (try call.input(0), try call.input(1), call.attributes.integer("depth"))
      if values.shape != [.fixed(2)] { throw OperatorRefusal("the values are not two") }
      guard depth > 0, depth < 1 << 40 else { throw OperatorRefusal("depth \(depth) is out of range") }
      var shape = indices.shape
      shape.insert(.fixed(depth), at: try call.axis(rank: shape.count + 1))
      return (values.type, shape)
    },
  ]

  private static func axis(_ attributes: OperatorAttributes, _ rank: Int) -> Int {
    let given = attributes.integer("axis")
    return given < 0 ? given + rank : given
  }

  private static func replaced(_ position: [Int], _ attributes: OperatorAttributes, by index: Int) -> [Int] {
    var place = position
    place[axis(attributes, position.count)] = index
    return place
  }

  private static func without(_ axis: Int, _ strides: [Int]) -> [Int] {
    var rest = strides
    rest[axis] = 0
    return rest
  }

  /// Indices along one axis reach no further than the data along the others.
  private static func fits(_ shape: Shape, into data: Shape, but axis: Int) throws(OperatorRefusal) {
    guard shape.count == data.count else { throw OperatorRefusal("data and indices differ in their number of dimensions") }
    for place in shape.indices where place != axis {
      if shape[place].constant > data[place].constant || shape[place].perRow > data[place].perRow {
        throw OperatorRefusal("the indices' dimension \(place) is larger than the data's")
      }
    }
  }

  /// How many integers lead to a place.
  private static func depth(of indices: Value) throws(OperatorRefusal) -> Int {
    guard let depth = indices.shape.last?.fixedSize, depth > 0 else {
      throw OperatorRefusal("the last dimension of the indices is not known")
    }
    return depth
  }

  private static let combination: @Sendable (OperatorAttributes) -> (@Sendable (Double, Double) -> Double)? = { attributes in
    switch attributes.text("reduction") {
    case "add": { $0 + $1 }
    case "mul": { $0 * $1 }
    case "max": { max($0, $1) }
    case "min": { min($0, $1) }
    default: nil
    }
  }

  /// The data of a call whose reduction is one of ONNX's.
  private static func reducible(_ call: OperatorCall) throws(OperatorRefusal) -> Value {
    let (data, reduction) = (try call.input(0), call.attributes.text("reduction"))
    guard ["none", "add", "mul", "max", "min"].contains(reduction) else { throw OperatorRefusal("reduction \"\(reduction)\" is not known") }
    if try call.input(2).type != data.type { throw OperatorRefusal("data and updates differ in type") }
    return data
  }

  static func indexed(
    _ name: String, inputs: Int, attributes: [OperatorAttribute], _ indexing: Indexing,
    result: @escaping @Sendable (OperatorCall) throws(OperatorRefusal) -> (DataType, Shape)
  ) -> OperatorDefinition {
    OperatorDefinition(
      name, inputCount: inputs, attributes: attributes, operations: 0, isFloatingPoint: false, form: .indexed(indexing), result: result)
  }
}
