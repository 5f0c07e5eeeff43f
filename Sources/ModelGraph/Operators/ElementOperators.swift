/// Operators of several inputs, element by element, that are neither one of `BinaryOperation`'s arithmetic nor a choice: up to three inputs. One
/// more is an entry of the list here, a loop for each device (`Execution/CPU/CombinationLoops`, `elements.cuh`), and the loop's line in
/// `CCUDAStandIn/kernels.cpp`.
extension OperatorDefinition {
  static let elementOperators: [OperatorDefinition] = [
    // With bounds that are tensors; known ones are `Operation.clip`'s. The larger of x and the minimum first.
    elementwise("Clip", inputs: 3, isToFirst: true) { elements, _ in min(max(elements[0], elements[1]), elements[2]) },
    elementwise("PRelu", inputs: 2, isToFirst: true) { elements, _ in elements[0] < 0 ? elements[1] * elements[0] : elements[0] },
  ]

  /// `isToFirst`: the others are broadcast to the first, which keeps its shape.
  static func elementwise(
    _ name: String, inputs: Int, operations: Double = 1, attributes: [OperatorAttribute] = [], isToFirst: Bool = false,
    _ define: @escaping @Sendable ([Double], OperatorAttributes) -> Double
  ) -> OperatorDefinition {
    OperatorDefinition(
      name, inputCount: inputs, attributes: attributes, operations: operations, isFloatingPoint: true, form: .elementwise(define)
    ) { call throws(OperatorRefusal) in
      let first = try call.input(0)
      var shape = first.shape
      for index in 1..<max(1, inputs) {
        let other = try call.input(index)
        if other.type != first.type { throw OperatorRefusal("element types differ") }
        guard let both = Shapes.broadcast(shape, other.shape), !isToFirst || both == shape else {
          throw OperatorRefusal(isToFirst ? "input \(index) does not broadcast to the first" : "shapes do not broadcast")
        }
        shape = both
      }
      return (first.type, shape)
    }
  }
}
