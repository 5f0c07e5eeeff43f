import CheckedNumbers
import ModelGraph
import ProtobufWire

/// Nodes of a model that is to be planned: those that the graph has become its operations, the others are counted by the rule of their operator,
/// and what has none is kept with the bytes it moves.
extension ONNXReader {
  mutating func planNode(_ node: NodeMessage) throws(ONNXError) {
    let name = node.domain.isEmpty || node.domain == "ai.onnx" ? node.type : "\(node.domain).\(node.type)"
    let place = "node \"\(node.label)\" (\(name))"
    for input in node.inputs where !input.isEmpty && !exists(input) { throw unknownInput(input, place) }
    for output in node.outputs where !output.isEmpty && exists(output) {
      throw fail(place, "writes \"\(output)\", which already has a value")
    }
    if node.type == "If", name == node.type, try inline(node, place) { return }
    var reason: String?
    if name == node.type {
      if foldSize(node) || foldReal(node) { return }
      if Self.runnable.contains(node.type) {
        do throws(ONNXError) {
          try addNode(node)
          return
        } catch { reason = error.reason }
      }
    }
    try cost(node, name, reason, place)
  }

  /// The number of a value's elements, where it is one number for all rows or a multiple of them.
  private mutating func foldSize(_ node: NodeMessage) -> Bool {
    guard node.type == "Size", let input = node.inputs.first, let output = node.outputs.first, let shape = operand(input).shape,
      let count = Shapes.elementCount(shape)
    else { return false }
    numbers[output] = Numbers(values: [count], isScalar: true)
    return true
  }

  private func exists(_ name: String) -> Bool {
    values[name] != nil || numbers[name] != nil || reals[name] != nil || unknown.contains(name)
  }

  private mutating func cost(_ node: NodeMessage, _ name: String, _ reason: String?, _ place: String) throws(ONNXError) {
    let costed = costed(node)
    let operands = costed.inputs
    let rule = CostRule.all[name]
    let reason = reason ?? (rule == nil ? "no rule for operator \(name)" : Self.missing(node, operands))
    let (types, shapes) = (rule?.types(costed) ?? [], rule?.shapes(costed) ?? [])
    var found: [Shape?] = []
    var results: [CostedOperator.Result] = []
    var names: [String] = []
    for (index, output) in node.outputs.enumerated() {
      let said = declared[output].flatMap(declaration)
      let ruled = index < shapes.count ? shapes[index].flatMap(checked) : nil
      // Where the size depends on the data, what the file says of it is nearer than the most it can be.
      var shape = rule?.sizeNote == nil && !hasGuesses ? ruled ?? said?.shape : said?.shape ?? ruled
      if shape == nil, let upperBounds = rule?.upperBounds?(costed), index < upperBounds.count,
        let largest = upperBounds[index].flatMap(checked)
      {
        shape = largest
        hasGuesses = true
        graph.notes.append("\(place) is counted as if its result were as large as its input: \(reason)")
      }
      found.append(shape)
      if rule?.sizeNote == nil, !hasGuesses, let ruled, let stated = said?.shape, ruled != stated {
        graph.notes.append("\(place): \"\(output)\" is declared \(Shapes.text(stated)) but is \(Shapes.text(ruled)) by the operator's rule")
      }
      guard !output.isEmpty else { continue }
      guard let shape else {
        unknown.insert(output)
        continue
      }
      if let note = rule?.sizeNote, said?.shape == nil, index == 0 {
        graph.notes.append("\(place) is counted \(note)")
        hasGuesses = true
      }
      let type = said?.type ?? (index < types.count ? types[index] : nil) ?? costed.elementType(0) ?? .float32
      results.append(CostedOperator.Result(type: type, shape: shape))
      names.append(output)
    }
    var work = rule?.work(costed, found) ?? []
    let isKnown = rule != nil && (!results.isEmpty || rule?.isBookkeeping == true)
    if !isKnown {
      // At least every input is read, every result written, and something done with each element.
      work = [.traffic(operations: 1, elements: results.first?.shape ?? operands.lazy.compactMap { $0?.shape }.first ?? [])]
    } else if !node.inputs.isEmpty, node.inputs.allSatisfy({ $0.isEmpty || isConstant($0) }) {
      // Computed once, when the model is loaded.
      work = []
    }
    var inputs: [ValueID?] = []
    for input in node.inputs { inputs.append(values[input]) }
    while let last = inputs.last, last == nil { inputs.removeLast() }
    let unplanned = isKnown ? nil : rule == nil ? reason + bodies(node) : "the shapes of its results are not known: \(reason)"
    do throws(GraphError) {
      let ids = try graph.append(
        .costed(CostedOperator(type: name, results: results, work: work, unplanned: unplanned)), node.label, inputs, outputNames: names)
      for (output, id) in zip(names, ids) { values[output] = id }
    } catch { throw fail(place, error.reason) }
  }

  /// What is known of a node.
  func costed(_ node: NodeMessage) -> CostedNode {
    var operands = node.inputs.map { $0.isEmpty ? nil : operand($0) }
    while let last = operands.last, last == nil { operands.removeLast() }
    return CostedNode(type: node.type, opset: opset, attributes: node.attributes, inputs: operands, outputCount: node.outputs.count)
  }

  /// What a rule would have to know of a node's inputs.
  private static func missing(_ node: NodeMessage, _ operands: [CostedNode.Operand?]) -> String {
    func operand(_ index: Int) -> CostedNode.Operand? { operands.indices.contains(index) ? operands[index] : nil }
    func named(_ index: Int) -> String { "\(index) (\"\(node.inputs[index])\")" }
    let given = node.inputs.indices.filter { !node.inputs[$0].isEmpty }
    let sizes = ONNXSurvey.sizeInputs[node.type] ?? given.filter { $0 > 0 && operand($0)?.type == .int64 }
    let open = sizes.filter { given.contains($0) && operand($0)?.sizes == nil && operand($0)?.reals == nil }
    if !open.isEmpty {
      return "input\(open.count > 1 ? "s" : "") \(open.map(named).joined(separator: ", ")) must be constant or follow from shapes"
    }
    let shapeless = given.filter { operand($0)?.shape == nil }
    if !shapeless.isEmpty {
      return "nothing is known of the shape of input\(shapeless.count > 1 ? "s" : "") \(shapeless.map(named).joined(separator: ", "))"
    }
    return "they depend on the inputs' values"
  }

  private func isConstant(_ name: String) -> Bool {
    numbers[name] != nil || reals[name] != nil || values[name].map { graph.constants[$0] != nil } == true
  }

  /// What is known of a value.
  private func operand(_ name: String) -> CostedNode.Operand {
    var operand = CostedNode.Operand()
    if let known = known(name) {
      operand.type = .int64
      operand.shape = known.isScalar ? [] : [.fixed(known.values.count)]
      operand.sizes = known.values
      let fixed = known.values.compactMap(\.fixedSize)
      if fixed.count == known.values.count { operand.integers = fixed }
    }
    if let known = real(name) {
      operand.reals = known.values
      if operand.shape == nil {
        operand.type = .float32
        operand.shape = known.isScalar ? [] : [.fixed(known.values.count)]
      }
    }
    if let id = values[name] { (operand.type, operand.shape) = (graph[id].type, graph[id].shape) }
    return operand
  }

  /// A shape that a file may claim: no dimension below zero, none that later sums could overflow.
  private func checked(_ shape: Shape) -> Shape? {
    let range = 0...(1 << 48)
    return shape.allSatisfy { range.contains($0.constant) && range.contains($0.perRow) } ? shape : nil
  }

  /// Type and shape as the file states them, where every size is known.
  private func declaration(_ value: ValueMessage) -> (type: DataType?, shape: Shape?)? {
    guard value.isTensor else { return nil }
    var shape: Shape? = []
    if value.shape == nil { shape = nil }
    for size in value.shape ?? [] {
      switch size {
      case .known(let value) where value >= 0 && value <= 1 << 40: shape?.append(.fixed(Int(clamping: value)))
      case .named(let name) where options.dynamicSizes[name] != nil: shape?.append(.fixed(options.dynamicSizes[name] ?? 0))
      case .named(let name) where rowNames.contains(name): shape?.append(.rows)
      default: shape = nil
      }
    }
    return (ONNXTypes.anyType(value.type), shape)
  }

  // MARK: - Bodies

  private func body(_ place: (offset: Int, count: Int)) -> GraphMessage? {
    bytes.withBytes { raw in
      guard place.offset >= 0, place.count >= 0, place.offset <= raw.count, place.count <= raw.count - place.offset else { return nil }
      let part = UnsafeRawBufferPointer(rebasing: raw[place.offset..<(place.offset + place.count)])
      return try? GraphMessage(WireReader(part, start: place.offset))
    }
  }

  /// "; its body has 3 operators: Add, Mul": what a node holds that is not planned with it.
  private func bodies(_ node: NodeMessage) -> String {
    let places = node.attributes.values.flatMap(\.graphs)
    guard !places.isEmpty else { return "" }
    let types = places.compactMap(body).flatMap(\.nodes).map(\.type)
    let different = Set(types).sorted()
    let list = different.prefix(12).joined(separator: ", ") + (different.count > 12 ? ", ..." : "")
    return "; its \(places.count == 1 ? "body has" : "bodies have") \(types.count) operators\(list.isEmpty ? "" : ": " + list)"
  }

  /// Branches in branches that are followed.
  private static let maximumDepth = 16

  /// The branch of an If whose condition is known, in its place.
  private mutating func inline(_ node: NodeMessage, _ place: String) throws(ONNXError) -> Bool {
    guard depth < Self.maximumDepth, let condition = node.inputs.first.flatMap({ known($0) })?.values.first?.fixedSize,
      let branch = node.attributes[condition != 0 ? "then_branch" : "else_branch"]?.graphs.first.flatMap(body),
      branch.outputs.count == node.outputs.count
    else { return false }
    depth += 1
    defer { depth -= 1 }
    for value in branch.declared + branch.outputs where declared[value.name] == nil { declared[value.name] = value }
    for inner in branch.nodes { read.formUnion(inner.inputs) }
    for tensor in branch.initializers where !exists(tensor.name) {
      values[tensor.name] = graph.addConstant(tensor.name, try self.tensor(tensor, "initializer \"\(tensor.name)\""))
    }
    for inner in branch.nodes { try planNode(inner) }
    for (inner, outer) in zip(branch.outputs, node.outputs) where !outer.isEmpty {
      guard exists(inner.name) else { throw unknownInput(inner.name, place) }
      values[outer] = values[inner.name]
      numbers[outer] = numbers[inner.name]
      reals[outer] = reals[inner.name]
      if unknown.contains(inner.name) { unknown.insert(outer) }
    }
    return true
  }
}
