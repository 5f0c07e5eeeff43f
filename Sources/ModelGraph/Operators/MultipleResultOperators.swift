/// Operators along one axis with several results, up to three. One more is an entry of the list here, a loop for each device
/// (`Execution/CPU/AxisLoops`, `rows.cuh`), and the loop's line in `CCUDAStandIn/kernels.cpp`.
extension OperatorDefinition {
  static let multipleResultOperators: [OperatorDefinition] = [
    // Of equal elements the first counts, as in ONNX Runtime; not-a-numbers come last.
    alongAxis(
      "TopK", operations: 2, attributes: [.integers("k", input: 1), .integer("largest", usual: 1), .integer("sorted", usual: 1)],
      results: [.ofElements, .ofIndices],
      size: { call, size throws(OperatorRefusal) in
        guard let count = call.attributes.sizes("k").first, call.attributes.sizes("k").count == 1 else {
          throw OperatorRefusal("k is not one number")
        }
        if count.constant > size.constant || count.perRow > size.perRow { throw OperatorRefusal("k is \(count), of \(size) elements") }
        return count
      }
    ) { lane, attributes in
      let sign: Double = attributes.integer("largest") != 0 ? 1 : -1
      let keys = lane.map { $0.isNaN ? -.infinity : sign * $0 }
      let best = lane.indices.sorted { keys[$0] == keys[$1] ? $0 < $1 : keys[$0] > keys[$1] }
      let kept = best.prefix(attributes.integers("k").first ?? 0)
      return [kept.map { lane[$0] }, kept.map { Double($0) }]
    }
  ]

  /// What a result holds.
  enum LaneContent {
    /// The input's type.
    case ofElements
    /// Int64.
    case ofIndices
  }

  /// `size`: of all results along the axis, from the input's.
  static func alongAxis(
    _ name: String, operations: Double, axis: OperatorAttribute = .integer("axis", usual: -1), attributes: [OperatorAttribute] = [],
    results: [LaneContent], size: @escaping @Sendable (OperatorCall, Dimension) throws(OperatorRefusal) -> Dimension,
    _ lane: @escaping @Sendable ([Double], OperatorAttributes) -> [[Double]]
  ) -> OperatorDefinition {
    OperatorDefinition(
      name, attributes: [axis] + attributes, operations: operations, countsInput: true, isFloatingPoint: true, form: .alongAxis(lane),
      resultCount: results.count
    ) { call throws(OperatorRefusal) in
      let x = try call.input(0)
      let axis = try call.axis(rank: x.shape.count)
      var shape = x.shape
      shape[axis] = try size(call, shape[axis])
      return results.map { ($0 == .ofIndices ? .int64 : x.type, shape) }
    }
  }
}
