extension Graph {
  /// Adds a value that requests bring.
  public mutating func addInput(_ name: String, _ type: DataType, _ shape: Shape) -> ValueID {
    let id = add(Value(name: name, type: type, shape: shape))
    inputs.append(id)
    return id
  }

  /// Adds a weight or another constant.
  public mutating func addConstant(_ name: String, _ tensor: Tensor) -> ValueID {
    let id = add(Value(name: name, type: tensor.type, shape: tensor.shape.map { .fixed($0) }))
    constants[id] = tensor
    return id
  }

  /// Adds an operation; its results' types and shapes follow from the inputs. `outputNames` defaults to the node's name, numbered
  /// where there are several.
  public mutating func append(
    _ operation: Operation, _ name: String, _ inputs: [ValueID?], outputNames: [String] = []
  ) throws(GraphError) -> [ValueID] {
    let values = inputs.map { $0.map { self[$0] } }
    let results = try ShapeInference.infer(operation, values, node: name)
    let outputs = results.enumerated().map { index, result in
      let fallback = results.count == 1 ? name : "\(name).\(index)"
      return add(Value(name: index < outputNames.count ? outputNames[index] : fallback, type: result.0, shape: result.1))
    }
    nodes.append(Node(name: name, operation: operation, inputs: inputs, outputs: outputs))
    return outputs
  }

  /// `append` for operations with one result.
  public mutating func apply(_ operation: Operation, _ name: String, _ inputs: [ValueID?]) throws(GraphError) -> ValueID {
    let outputs = try append(operation, name, inputs)
    guard let only = outputs.first else { throw GraphError(node: name, operation: operation.name, reason: "has no result") }
    return only
  }

  /// Adds `id` as an output called `name`. A value has one name, and an answer is found by its own: a value that is already called otherwise
  /// on purpose (an input, a constant, another output) gets an identity of that name behind it, any other one takes the name.
  public mutating func addOutput(_ id: ValueID, named name: String) throws(GraphError) {
    let isTaken = inputs.contains(id) || constants[id] != nil
    if outputs.contains(id) || (isTaken && self[id].name != name) {
      outputs.append(try apply(.unary(.identity), name, [id]))
      return
    }
    self[id].name = name
    outputs.append(id)
  }

  private mutating func add(_ value: Value) -> ValueID {
    values.append(value)
    return ValueID(values.count - 1)
  }

  /// Proves what every user of a graph relies on: identifiers in range, each value written once and before it is read, outputs written,
  /// and every shape the one that its operation gives.
  public func validate() throws(GraphError) {
    var written = Set(inputs).union(constants.keys)
    for id in written.union(outputs) where id.index < 0 || id.index >= values.count {
      throw GraphError(node: name, reason: "value \(id.index) does not exist")
    }
    for (id, tensor) in constants where self[id].type != tensor.type || self[id].shape != tensor.shape.map({ .fixed($0) }) {
      throw GraphError(
        node: self[id].name, reason: "is declared \(Shapes.text(self[id].shape)) but its constant has the shape \(tensor.shape)")
    }
    for node in nodes {
      for case .some(let id) in node.inputs {
        guard id.index >= 0, id.index < values.count else { throw GraphError(node: node.name, reason: "value \(id.index) does not exist") }
        if !written.contains(id) { throw GraphError(node: node.name, reason: "\"\(self[id].name)\" is read before it is written") }
      }
      let results = try ShapeInference.infer(node.operation, node.inputs.map { $0.map { self[$0] } }, node: node.name)
      if results.count != node.outputs.count {
        throw GraphError(node: node.name, reason: "writes \(node.outputs.count) values, not \(results.count)")
      }
      for (id, result) in zip(node.outputs, results) {
        guard id.index >= 0, id.index < values.count else { throw GraphError(node: node.name, reason: "value \(id.index) does not exist") }
        if !written.insert(id).inserted { throw GraphError(node: node.name, reason: "\"\(self[id].name)\" is written twice") }
        if self[id].type != result.0 || self[id].shape != result.1 {
          throw GraphError(
            node: node.name, reason: "\"\(self[id].name)\" is declared \(Shapes.text(self[id].shape)) but is \(Shapes.text(result.1))")
        }
      }
    }
    for id in outputs where !written.contains(id) { throw GraphError(node: name, reason: "output \"\(self[id].name)\" is never written") }
  }

  /// Index of the node that writes each value.
  public var producers: [ValueID: Int] {
    var producers: [ValueID: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for id in node.outputs { producers[id] = index }
    }
    return producers
  }

  /// How many times each value is read, counting a graph output as a reading.
  public var readCounts: [ValueID: Int] {
    var counts: [ValueID: Int] = [:]
    for node in nodes {
      for case .some(let id) in node.inputs { counts[id, default: 0] += 1 }
    }
    for id in outputs { counts[id, default: 0] += 1 }
    return counts
  }

  /// Rows that one run takes where every input has a fixed shape: the first dimension that all of them share, one where they share none. Nil
  /// where the rows are the caller's.
  public var fixedRows: Int? {
    let shapes = inputs.map { self[$0].shape }
    if shapes.contains(where: { $0.contains { $0.fixedSize == nil } }) { return nil }
    let leading = Set(shapes.map { $0.first?.constant ?? 1 })
    return leading.count == 1 ? max(1, leading.first ?? 1) : 1
  }

  /// Number of trained values: elements of the floating-point constants that nodes read.
  public var parameterCount: Int {
    let read = readCounts
    return constants.reduce(0) { sum, entry in
      guard entry.value.type.isFloatingPoint, read[entry.key] != nil else { return sum }
      return sum + entry.value.elementCount
    }
  }
}
