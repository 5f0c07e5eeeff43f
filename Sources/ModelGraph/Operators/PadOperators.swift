/// ONNX's Pad: elements put before and behind each axis, constant or taken from the input; negative numbers cut off.
extension OperatorDefinition {
  static let padOperators: [OperatorDefinition] = [
    moved(
      "Pad",
      attributes: [
        .integers("pads", input: 1, formerName: "paddings"), .real("value", usual: 0, input: 2), .integers("axes", usual: [], input: 3),
        .text("mode", usual: "constant"),
      ],
      Movement(
        fill: { $0.text("mode") == "constant" ? Double($0.real("value")) : nil },
        origin: { position, sizes, attributes in
          let before = attributes.integers("pads")
          var origin: [Int] = []
          for (axis, size) in sizes.enumerated() {
            let place = position[axis] - before[axis]
            switch attributes.text("mode") {
            case _ where place >= 0 && place < size: origin.append(place)
            case "edge": origin.append(place < 0 ? 0 : size - 1)
            case "reflect": origin.append(place < 0 ? -place : 2 * (size - 1) - place)
            case "wrap": origin.append(place < 0 ? place + size : place - size)
            default: return nil
            }
          }
          return origin
        },
        moves: { sizes, attributes in
          let pads = attributes.integers("pads")
          return padMoves(sizes, before: Array(pads[..<sizes.count]), behind: Array(pads[sizes.count...]), attributes.text("mode"))
        }),
      // With opset 18 the pads may be those of some axes alone.
      canonical: { attributes, shape in
        let axes = attributes.integers("axes")
        if axes.isEmpty { return attributes.sizes("axes").isEmpty ? attributes : nil }
        let pads = attributes.sizes("pads")
        var all = Shape(repeating: .fixed(0), count: 2 * shape.count)
        guard pads.count == 2 * axes.count else { return nil }
        for (place, given) in axes.enumerated() {
          let axis = given < 0 ? given &+ shape.count : given
          guard axis >= 0, axis < shape.count else { return nil }
          (all[axis], all[axis + shape.count]) = (pads[place], pads[place + axes.count])
        }
        var changed = attributes
        (changed.values["pads"], changed.values["axes"]) = (.integers(all), .integers([]))
        return changed
      }
    ) { call throws(OperatorRefusal) in
      let x = try call.input(0)
      let (pads, mode) = (call.attributes.integers("pads"), call.attributes.text("mode"))
      guard call.attributes.sizes("axes").isEmpty, pads.count == 2 * x.shape.count else {
        throw OperatorRefusal("\(call.attributes.sizes("pads").count) pads for \(x.shape.count) dimensions")
      }
      guard ["constant", "edge", "reflect", "wrap"].contains(mode) else { throw OperatorRefusal("mode \"\(mode)\" is not known") }
      var shape = x.shape
      for axis in shape.indices {
        let (before, behind) = (pads[axis], pads[axis + shape.count])
        // Far beyond any tensor, and far from where sums overflow.
        guard abs(before.clamped) < 1 << 40, abs(behind.clamped) < 1 << 40, let sum = shape[axis].adding(.fixed(before + behind)) else {
          throw OperatorRefusal("the pads \(before) and \(behind) are out of range")
        }
        if mode != "constant" && (before != 0 || behind != 0) {
          let largest = shape[axis].fixedSize.map { mode == "reflect" ? $0 - 1 : mode == "wrap" || $0 == 0 ? $0 : .max } ?? -1
          guard before >= 0, behind >= 0, max(before, behind) <= largest else {
            throw OperatorRefusal(
              "dimension \(axis), \(shape[axis]), has not the elements for pads of \(before) and \(behind), mode \(mode)")
          }
        }
        shape[axis] = sum
      }
      return (x.type, shape)
    }
  ]

  /// The input to its place; then, where pads are elements of it, axis by axis from what is there already, corners with the last axis.
  private static func padMoves(_ sizes: [Int], before: [Int], behind: [Int], _ mode: String) -> [ElementMove] {
    let results = sizes.indices.map { sizes[$0] + before[$0] + behind[$0] }
    let (from, to) = (DenseArray.strides(sizes), DenseArray.strides(results))
    func offset(_ position: [Int], _ strides: [Int]) -> Int { zip(position, strides).reduce(0) { $0 + $1.0 * $1.1 } }
    let kept = sizes.indices.map { sizes[$0] + min(0, before[$0]) + min(0, behind[$0]) }
    if kept.contains(where: { $0 <= 0 }) { return [] }
    var moves = [
      ElementMove(
        sizes: kept, source: .init(offset: offset(before.map { max(0, -$0) }, from), strides: from),
        target: .init(offset: offset(before.map { max(0, $0) }, to), strides: to))
    ]
    if mode == "constant" { return moves }
    for axis in sizes.indices {
      let (first, size) = (before[axis], sizes[axis])
      // Pads before and behind: how many, where, and from which place of the result by which step.
      let sides =
        switch mode {
        case "edge": [(first, 0, first, 0), (behind[axis], first + size, first + size - 1, 0)]
        case "reflect": [(first, 0, 2 * first, -1), (behind[axis], first + size, first + size - 2, -1)]
        default: [(first, 0, size, 1), (behind[axis], first + size, first, 1)]
        }
      for (count, place, source, step) in sides where count > 0 {
        var (region, start, strides) = (results, [Int](repeating: 0, count: sizes.count), to)
        for later in sizes.indices where later > axis { (region[later], start[later]) = (sizes[later], before[later]) }
        (region[axis], strides[axis]) = (count, step * to[axis])
        let common = offset(start, to)
        moves.append(
          ElementMove(
            sizes: region, isFromResult: true, source: .init(offset: common + source * to[axis], strides: strides),
            target: .init(offset: common + place * to[axis], strides: to)))
      }
    }
    return moves
  }
}

extension Int {
  /// The smallest integer has no magnitude.
  fileprivate var clamped: Int { Swift.max(self, -.max) }
}
