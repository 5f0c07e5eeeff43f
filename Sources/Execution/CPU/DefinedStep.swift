import ModelGraph

/// A step of an operator with a definition. Its targets have no gaps; sources are dense along an axis, and broadcast to the target's shape
/// element by element.
struct DefinedStep: Sendable {
  /// How the CPU device goes about it.
  enum Loop: Sendable {
    /// Lanes of `size` elements, `stride` apart.
    case alongAxis(AxisLoops.Loop, size: Int, stride: Int)
    case elementwise(CombinationLoops.Loop)
    /// Elements of the first source by the integers of the second. Both and the target have the sizes of what is moved.
    case indexed(ElementMove.Lookup)
    /// Rows of the first source; the others are parameters, without gaps.
    case normalized(NormalizationLoops.Loop, RowLayout)
  }

  var operation: DefinedOperator
  var loop: Loop
  var sources: [TensorView]
  /// The results, in their order.
  var targets: [TensorView]

  /// "logsoftmax": kernels' names begin with it.
  var name: String { operation.definition.name.lowercased() }
}

extension CPUProgramBuilder {
  /// Steps of an operator with a definition, which write its results.
  mutating func defined(_ defined: DefinedOperator, _ node: Node, _ targets: [TensorView]) throws(DeviceError) {
    let target = targets[0]
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
            targets: targets)), flops: defined.definition.operations * Double(source.count))
    case .elementwise:
      guard let make = CombinationLoops.all[defined.definition.name] else { throw fail(node, "is not available on this device") }
      var sources: [TensorView] = []
      for index in node.inputs.indices {
        let source = try view(node, index)
        try requireFloat(node, source)
        sources.append(source.broadcast(to: target.shape))
      }
      append(
        name, node.name, .defined(DefinedStep(operation: fixed, loop: .elementwise(make(attributes)), sources: sources, targets: targets)),
        flops: defined.definition.operations * Double(target.count))
    case .normalized(let normalization):
      guard let make = NormalizationLoops.all[defined.definition.name] else { throw fail(node, "is not available on this device") }
      let source = dense(try view(node, 0), node)
      try requireFloat(node, source)
      var (sources, sizes) = ([source], [source.shape])
      let shape = normalization.parameterSizes(source.shape, attributes) ?? []
      for index in 1..<node.inputs.count {
        let parameter = try view(node, index)
        try requireFloat(node, parameter)
        sizes.append(parameter.shape)
        sources.append(dense(parameter.broadcast(to: shape), node))
      }
      if source.count == 0 { return }
      append(
        name, node.name,
        .defined(
          DefinedStep(
            operation: fixed, loop: .normalized(make(attributes), normalization.rows(sizes, attributes)), sources: sources, targets: targets
          )),
        flops: defined.definition.operations * Double(source.count))
    case .moved(let movement):
      let source = dense(try view(node, 0), node)
      if let fill = movement.fill(attributes) {
        let bits = target.type.bytes(of: fill).reversed().reduce(0) { $0 << 8 | UInt64(clamping: $1) }
        append(name, node.name, .fill(bits, target: target))
      }
      if source.count == 0 || target.count == 0 { return }
      for move in movement.moves(source.shape, attributes) { append(move, of: [source], to: target, fixed, node) }
    case .indexed(let indexing):
      if indexing.combine(attributes) != nil { throw fail(node, "with a reduction is not available on this device") }
      var sources: [TensorView] = []
      for index in node.inputs.indices { sources.append(dense(try view(node, index), node)) }
      guard [.int64, .int32].contains(sources[indexing.indices].type) else {
        throw fail(node, "indices are \(sources[indexing.indices].type)")
      }
      if target.count == 0 { return }
      for move in indexing.moves(sources.map(\.shape), attributes) where !move.sizes.contains(0) {
        append(move, of: sources, to: target, fixed, node)
      }
    }
  }

  private mutating func append(
    _ move: ElementMove, of sources: [TensorView], to target: TensorView, _ operation: DefinedOperator, _ node: Node
  ) {
    func view(_ view: TensorView, _ region: ElementMove.Region) -> TensorView {
      var view = view
      (view.shape, view.strides) = (move.sizes, region.strides)
      view.offset += region.offset * view.type.memorySize
      return view
    }
    let (from, to) = (view(move.isFromResult ? target : sources[move.input], move.source), view(target, move.target))
    let name = operation.definition.name.lowercased()
    guard let lookup = move.lookup else {
      append(name, node.name, .copy(source: from, target: to))
      return
    }
    append(
      name, node.name,
      .defined(
        DefinedStep(
          operation: operation, loop: .indexed(lookup), sources: [from, view(sources[lookup.input], lookup.region)], targets: [to])))
  }
}
