import ModelGraph

/// A step of an operator with a definition. Its target has no gaps; sources are dense along an axis, and broadcast to the target's shape
/// element by element.
struct DefinedStep: Sendable {
  /// How the CPU device goes about it.
  enum Loop: Sendable {
    /// Lanes of `size` elements, `stride` apart.
    case alongAxis(AxisLoops.Loop, size: Int, stride: Int)
    case elementwise(CombinationLoops.Loop)
  }

  var operation: DefinedOperator
  var loop: Loop
  var sources: [TensorView]
  var target: TensorView

  /// "logsoftmax": kernels' names begin with it.
  var name: String { operation.definition.name.lowercased() }
}

extension CPUProgramBuilder {
  /// Steps of an operator with a definition; its result's view.
  mutating func defined(_ defined: DefinedOperator, _ node: Node, _ target: TensorView) throws(DeviceError) {
    let name = defined.definition.name.lowercased()
    guard let attributes = defined.attributes.at(rows: rows), let fixed = DefinedOperator(defined.definition, attributes.values) else {
      throw DeviceError(.badInput, "layer \"\(node.name)\": an attribute is out of range at \(rows) rows")
    }
    switch defined.definition.form {
    case .alongAxis:
      guard let make = AxisLoops.all[defined.definition.name] else { throw fail(node, "is not available on this device") }
      let source = dense(try view(node, 0), node)
      try requireFloat(node, source)
      let given = attributes.integer("axis")
      let axis = given < 0 ? given + source.shape.count : given
      append(
        name, node.name,
        .defined(
          DefinedStep(
            operation: fixed,
            loop: .alongAxis(make(attributes), size: source.shape[axis], stride: source.shape[(axis + 1)...].reduce(1, *)),
            sources: [source],
            target: target)), flops: defined.definition.operations * Double(source.count))
    case .elementwise:
      guard let make = CombinationLoops.all[defined.definition.name] else { throw fail(node, "is not available on this device") }
      var sources: [TensorView] = []
      for index in node.inputs.indices {
        let source = try view(node, index)
        try requireFloat(node, source)
        sources.append(source.broadcast(to: target.shape))
      }
      append(
        name, node.name, .defined(DefinedStep(operation: fixed, loop: .elementwise(make(attributes)), sources: sources, target: target)),
        flops: defined.definition.operations * Double(target.count))
    case .moved(let movement):
      let source = dense(try view(node, 0), node)
      if let fill = movement.fill(attributes) {
        let bits = target.type.bytes(of: fill).reversed().reduce(0) { $0 << 8 | UInt64(clamping: $1) }
        append(name, node.name, .fill(bits, target: target))
      }
      if source.count == 0 || target.count == 0 { return }
      for move in movement.moves(source.shape, attributes) {
        var (from, to) = (move.isFromResult ? target : source, target)
        (from.shape, from.strides) = (move.sizes, move.source.strides)
        from.offset += move.source.offset * from.type.memorySize
        (to.shape, to.strides) = (move.sizes, move.target.strides)
        to.offset += move.target.offset * to.type.memorySize
        append(name, node.name, .copy(source: from, target: to))
      }
    }
  }
}
