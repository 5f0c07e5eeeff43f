import ModelGraph

extension CPUStep.Work {
  /// What the executor has no loop for: asked when a model is loaded, so that no batch finds out. Nil for what runs.
  var refusal: String? {
    switch self {
    case .binary(let operation, let a, let b, let target):
      guard [.float32, .int64, .int32].contains(target.type) else {
        return "\(operation.rawValue) of \(target.type.rawValue) is not available on this device"
      }
      if a.type != target.type || b.type != target.type {
        return "\(operation.rawValue) of \(a.type.rawValue) and \(b.type.rawValue) is not available on this device"
      }
      return operation == .power && target.type != .float32 ? "powers of integers are not available on this device" : nil
    case .scaleAdd(_, _, let c, let target): return Self.floats([c, target])
    case .layerNorm(let source, let scale, let bias, _, _, _, let target): return Self.floats([source, scale, bias, target])
    case .linear(_, let bias, _, let source, let target, _): return Self.floats([bias, source, target])
    case .product(let a, let b, let target, _): return Self.floats([a, b, target])
    case .select(let condition, let a, let b, let target):
      if condition.type != .bool { return "a condition of \(condition.type.rawValue) is not available on this device" }
      return a.type == target.type && b.type == target.type ? nil : "a choice of unlike types is not available on this device"
    case .defined(let step): return step.operation.definition.isFloatingPoint ? Self.floats(step.sources) : nil
    default: return nil
    }
  }

  private static func floats(_ views: [TensorView?]) -> String? {
    guard let other = views.compactMap({ $0 }).first(where: { $0.type != .float32 }) else { return nil }
    return "works on float32 here, not on \(other.type.rawValue)"
  }
}

extension CPUModel {
  /// The graph as it runs: valid, rewritten, of types that this device has.
  static func runnable(_ original: Graph) throws(DeviceError) -> Graph {
    let graph: Graph
    do throws(GraphError) {
      try original.validate()
      graph = try original.rewritten(by: Rewrites.standard)
    } catch {
      throw DeviceError(.unsupported, "\(error)")
    }
    for value in graph.values where ![.float32, .int64, .int32, .bool].contains(value.type) {
      throw DeviceError(.unsupported, "\"\(value.name)\" is \(value.type.rawValue); this device computes on float32, integers and booleans")
    }
    for node in graph.nodes {
      guard case .costed(let costed) = node.operation else { continue }
      throw DeviceError(.unsupported, "layer \"\(node.name)\": \(costed.type) can be planned, not run, on this device")
    }
    return graph
  }

  /// Binds the graph to a few row counts and looks at every step: an operator with types that nothing here runs is found now, not by a
  /// request. Packs no weight.
  static func check(_ graph: Graph, _ options: LoadOptions, level: CPUDeviceOptions.Level, weights: [CPUWeightKey: Int])
    throws(DeviceError)
  {
    let constants = Dictionary(uniqueKeysWithValues: neededConstants(graph).sorted { $0.index < $1.index }.enumerated().map { ($1, $0) })
    // Three small ones tell apart what is fixed from what grows with the rows; the largest is what batches come to.
    let rows = options.maximumBatchRows > 0 ? Set([1, 2, 3, options.maximumBatchRows]).sorted() : [1]
    for rows in rows where options.maximumBatchRows == 0 || rows <= options.maximumBatchRows {
      var builder = CPUProgramBuilder(
        graph: graph, weights: weights, constants: constants, rows: rows, level: level, precision: options.precision, engines: nil)
      let program: CPUProgram
      do throws(DeviceError) { program = try builder.build() } catch {
        // So many rows do not fit: a batch of them is refused, the model is not.
        if error.kind != .unsupported, rows > 1 { continue }
        throw error
      }
      for step in program.steps {
        if let refusal = step.work.refusal { throw DeviceError(.unsupported, "layer \"\(step.layer)\": \(refusal)") }
      }
    }
  }

  /// Constants that steps read as they are: a weight that only linear steps read lives on in its packed form alone.
  static func neededConstants(_ graph: Graph) -> Set<ValueID> {
    var needed: Set<ValueID> = Set(graph.outputs)
    for node in graph.nodes {
      for (place, id) in node.inputs.enumerated() {
        guard let id else { continue }
        switch node.operation {
        case .linear where place == 1: continue
        case .batchedLinear where place == 1: continue
        default: needed.insert(id)
        }
      }
    }
    return needed.intersection(graph.constants.keys)
  }
}
