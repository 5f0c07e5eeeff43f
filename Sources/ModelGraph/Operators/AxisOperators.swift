import Glibc

/// Operators along one axis: what each makes of the elements along it. One more is an entry of the list here, a loop for each device
/// (`Execution/CPU/AxisLoops`, `rows.cuh`), and the loop's line in `CCUDAStandIn/kernels.cpp`.
extension OperatorDefinition {
  static let axisOperators: [OperatorDefinition] = [
    alongAxis("LogSoftmax", operations: 5, isFlattenedBeforeOpset13: true) { lane, _ in
      // The largest is taken out, so that no power overflows.
      let largest = lane.max() ?? 0
      let logarithm = log(lane.reduce(0) { $0 + exp($1 - largest) })
      return lane.map { $0 - largest - logarithm }
    },
    alongAxis("Hardmax", operations: 5, isFlattenedBeforeOpset13: true) { lane, _ in
      let first = extreme(lane, isLast: false, >)
      return lane.indices.map { $0 == first ? 1 : 0 }
    },
    alongAxis(
      "CumSum", operations: 1, axis: .integer("axis", usual: nil, input: 1),
      attributes: [.integer("exclusive", usual: 0), .integer("reverse", usual: 0)]
    ) { lane, attributes in
      let (isExclusive, isReverse) = (attributes.integer("exclusive") != 0, attributes.integer("reverse") != 0)
      return lane.indices.map { index in
        let (before, behind) = (lane[..<(isExclusive ? index : index + 1)], lane[(isExclusive ? index + 1 : index)...])
        return (isReverse ? behind : before).reduce(0, +)
      }
    },
    // Of zeros it gives zeros, as ONNX Runtime does.
    alongAxis("LpNormalization", operations: 3, attributes: [.integer("p", usual: 2)]) { lane, attributes in
      let size = attributes.integer("p") == 1 ? lane.reduce(0) { $0 + abs($1) } : lane.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return lane.map { size == 0 ? 0 : $0 / size }
    },
    alongAxis("ArgMax", operations: 1, axis: .integer("axis", usual: 0), attributes: indexAttributes, gives: .index) { lane, attributes in
      [Double(extreme(lane, isLast: attributes.integer("select_last_index") != 0, >))]
    },
    alongAxis("ArgMin", operations: 1, axis: .integer("axis", usual: 0), attributes: indexAttributes, gives: .index) { lane, attributes in
      [Double(extreme(lane, isLast: attributes.integer("select_last_index") != 0, <))]
    },
  ]

  private static let indexAttributes: [OperatorAttribute] = [.integer("select_last_index", usual: 0), .integer("keepdims", usual: 1)]

  /// The first place (or the last) of an element that none is better than.
  private static func extreme(_ lane: [Double], isLast: Bool, _ isBetter: (Double, Double) -> Bool) -> Int {
    var found = 0
    for index in lane.indices where isBetter(lane[index], lane[found]) || isLast && lane[index] == lane[found] { found = index }
    return found
  }

  /// What is left of an axis.
  enum LaneResult {
    case everyElement
    /// An int64; the axis goes where `keepdims` is 0.
    case index
  }

  static func alongAxis(
    _ name: String, operations: Double, axis: OperatorAttribute = .integer("axis", usual: -1), attributes: [OperatorAttribute] = [],
    gives: LaneResult = .everyElement, isFlattenedBeforeOpset13: Bool = false,
    _ lane: @escaping @Sendable ([Double], OperatorAttributes) -> [Double]
  ) -> OperatorDefinition {
    OperatorDefinition(
      name, attributes: [axis] + attributes, operations: operations, countsInput: gives == .index, isFloatingPoint: true,
      isFlattenedBeforeOpset13: isFlattenedBeforeOpset13, form: .alongAxis { [lane($0, $1)] }
    ) { call throws(OperatorRefusal) in
      let x = try call.input(0)
      let axis = try call.axis(rank: x.shape.count)
      guard gives == .index else { return (x.type, x.shape) }
      if x.shape[axis] == .fixed(0) { throw OperatorRefusal("there is no index along an axis of size 0") }
      var shape = x.shape
      shape[axis] = .fixed(1)
      if call.attributes.integer("keepdims") == 0 { shape.remove(at: axis) }
      return (.int64, shape)
    }
  }
}
