/// Operators that move elements into another shape. One more is an entry of the list here and nothing else: devices copy.
extension OperatorDefinition {
  static let layoutOperators: [OperatorDefinition] = [
    moved(
      "Tile", attributes: [.integers("repeats", input: 1)],
      Movement(
        fill: { _ in nil }, origin: { position, sizes, _ in zip(position, sizes).map { $0 % $1 } },
        moves: { sizes, attributes in
          // Each axis as (copy, place): copies read the same elements.
          let repeats = attributes.integers("repeats")
          let strides = DenseArray.strides(sizes)
          return [.rearranged(sizes.indices.flatMap { [repeats[$0], sizes[$0]] }, sizes.indices.flatMap { [0, strides[$0]] })]
        })
    ) { call throws(OperatorRefusal) in
      let x = try call.input(0)
      let repeats = call.attributes.sizes("repeats")
      guard repeats.count == x.shape.count else { throw OperatorRefusal("\(repeats.count) repeats for \(x.shape.count) dimensions") }
      var shape: Shape = []
      for (size, count) in zip(x.shape, repeats) {
        guard let product = size.multiplied(by: count) else {
          throw OperatorRefusal("\(size) x \(count) overflows or is not affine in the rows")
        }
        shape.append(product)
      }
      return (x.type, shape)
    },
    moved(
      "DepthToSpace", attributes: [.integer("blocksize", usual: nil), .text("mode", usual: "DCR")],
      Movement(
        fill: { _ in nil },
        origin: { position, sizes, attributes in
          let block = attributes.integer("blocksize")
          let channels = sizes[1] / (block * block)
          let (y, x) = (position[2] % block, position[3] % block)
          let isDepthFirst = attributes.text("mode") == "DCR"
          let channel = isDepthFirst ? (y * block + x) * channels + position[1] : (position[1] * block + y) * block + x
          return [position[0], channel, position[2] / block, position[3] / block]
        },
        moves: { sizes, attributes in
          let block = attributes.integer("blocksize")
          let channels = sizes[1] / (block * block)
          let strides = DenseArray.strides(sizes)
          let isDepthFirst = attributes.text("mode") == "DCR"
          let (channel, y, x) = isDepthFirst ? (1, block * channels, channels) : (block * block, block, 1)
          return [
            .rearranged(
              [sizes[0], channels, sizes[2], block, sizes[3], block],
              [strides[0], channel * strides[1], strides[2], y * strides[1], strides[3], x * strides[1]])
          ]
        })
    ) { call throws(OperatorRefusal) in
      let (x, side, area) = try blocks(call)
      guard ["DCR", "CRD"].contains(call.attributes.text("mode")) else {
        throw OperatorRefusal("mode \"\(call.attributes.text("mode"))\" is neither DCR nor CRD")
      }
      guard let channels = x.shape[1].divided(by: area), let height = x.shape[2].multiplied(by: side),
        let width = x.shape[3].multiplied(by: side)
      else { throw OperatorRefusal("the channels are no multiple of blocksize squared") }
      return (x.type, [x.shape[0], channels, height, width])
    },
    moved(
      "SpaceToDepth", attributes: [.integer("blocksize", usual: nil)],
      Movement(
        fill: { _ in nil },
        origin: { position, sizes, attributes in
          let block = attributes.integer("blocksize")
          let (place, channel) = position[1].quotientAndRemainder(dividingBy: sizes[1])
          return [position[0], channel, position[2] * block + place / block, position[3] * block + place % block]
        },
        moves: { sizes, attributes in
          let block = attributes.integer("blocksize")
          let strides = DenseArray.strides(sizes)
          return [
            .rearranged(
              [sizes[0], block, block, sizes[1], sizes[2] / block, sizes[3] / block],
              [strides[0], strides[2], strides[3], strides[1], block * strides[2], block * strides[3]])
          ]
        })
    ) { call throws(OperatorRefusal) in
      let (x, side, area) = try blocks(call)
      guard let channels = x.shape[1].multiplied(by: area), let height = x.shape[2].divided(by: side),
        let width = x.shape[3].divided(by: side)
      else { throw OperatorRefusal("height and width are no multiples of blocksize") }
      return (x.type, [x.shape[0], channels, height, width])
    },
  ]

  private static func blocks(_ call: OperatorCall) throws(OperatorRefusal) -> (x: Value, side: Dimension, area: Dimension) {
    let x = try call.input(0)
    let block = call.attributes.integer("blocksize")
    guard x.shape.count == 4 else { throw OperatorRefusal("needs four dimensions") }
    guard block > 0, block < 1 << 15 else { throw OperatorRefusal("blocksize \(block) is out of range") }
    return (x, .fixed(block), .fixed(block * block))
  }

  static func moved(
    _ name: String, attributes: [OperatorAttribute], _ movement: Movement,
    canonical: (@Sendable (OperatorAttributes, Shape) -> OperatorAttributes?)? = nil,
    result: @escaping @Sendable (OperatorCall) throws(OperatorRefusal) -> (DataType, Shape)
  ) -> OperatorDefinition {
    OperatorDefinition(
      name, attributes: attributes, operations: 0, isFloatingPoint: false, form: .moved(movement), canonical: canonical, result: result)
  }
}
