import CheckedNumbers
import ModelGraph

extension ONNXReader {
  /// Operators that can be read, for messages.
  static let supportedOperators = [
    "Add", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Div", "Dropout", "Equal", "Erf", "Expand", "Flatten", "Gather", "Gelu",
    "Gemm",
    "Identity", "LayerNormalization", "MatMul", "Max", "Min", "Mul", "Pow", "ReduceMean", "Relu", "Reshape", "Shape",
    "Sigmoid", "Slice", "Softmax", "Split", "Sqrt",
    "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where",
  ]

  static let runnable = Set(
    supportedOperators + UnaryOperation.allCases.compactMap(\.onnxName) + BinaryOperation.allCases.map(\.onnxName)
      + Reduction.allCases.map(\.onnxName) + AttributedFunction.allCases.map(\.onnxName) + OperatorDefinition.all.map(\.name)
  ).sorted()

  mutating func addNode(_ node: NodeMessage) throws(ONNXError) {
    let place = "node \"\(node.label)\" (\(node.type))"
    guard node.domain.isEmpty || node.domain == "ai.onnx", Self.runnable.contains(node.type) else {
      let name = node.domain.isEmpty ? node.type : "\(node.domain).\(node.type)"
      throw fail(
        "node \"\(node.label)\"", "operator \(name) is not supported by this program's own kernels")
    }
    for output in node.outputs where !output.isEmpty && (values[output] != nil || numbers[output] != nil) {
      throw fail(place, "writes \"\(output)\", which already has a value")
    }
    if try fold(node, place) { return }

    func attribute(_ name: String) -> Int? { node.attributes[name]?.integer.flatMap { Int(exactly: $0) } }
    func axes(_ name: String) -> [Int]? {
      node.attributes[name].map { $0.integers.compactMap { Int(exactly: $0) } }
    }
    func name(_ index: Int) -> String? { index < node.inputs.count && !node.inputs[index].isEmpty ? node.inputs[index] : nil }
    /// Integers of an input that must be known while reading.
    func constants(_ index: Int) throws(ONNXError) -> [Dimension]? {
      guard let input = name(index) else { return nil }
      guard let known = known(input) else { throw unknownNumbers(node, index, place) }
      return known.values
    }
    func fixed(_ index: Int) throws(ONNXError) -> [Int]? {
      guard let dimensions = try constants(index) else { return nil }
      let sizes = dimensions.compactMap(\.fixedSize)
      if sizes.count != dimensions.count { throw fail(place, "input \(index) depends on the rows") }
      return sizes
    }
    /// An attribute in early opsets, an input since.
    func listed(_ attribute: String, _ index: Int) throws(ONNXError) -> [Int]? {
      if let list = axes(attribute) { return list }
      return try fixed(index)
    }
    /// Axes given as an attribute before opset 13 (18 for reductions), as an input since.
    func axesList(_ index: Int) throws(ONNXError) -> [Int]? {
      if let list = axes("axes") { return list }
      return try fixed(index)
    }
    func shape(_ index: Int) throws(ONNXError) -> Shape {
      guard let input = name(index) else { throw fail(place, "input \(index) is missing") }
      if values[input] == nil, let known = numbers[input] { return known.isScalar ? [] : [.fixed(known.values.count)] }
      guard let id = values[input] else { throw unknownInput(input, place) }
      return graph[id].shape
    }

    /// Before opset 13 Softmax and its kin flattened the input at `axis` (default 1) and took everything behind it as one.
    func lastAxis() throws(ONNXError) -> Int {
      let axis = attribute("axis") ?? 1
      let last = try shape(0).count - 1
      guard axis == -1 || axis == last else {
        throw fail(
          place, "opset \(opset) normalizes over all axes from \(axis) on; only the last axis is supported. Export with opset 13 or later")
      }
      return -1
    }

    var inputs = node.inputs.map { $0.isEmpty ? nil : $0 }
    let operation: Operation
    switch node.type {
    case "MatMul": operation = .matMul
    case "Gemm":
      operation = .gemm(
        alpha: node.attributes["alpha"]?.float ?? 1, beta: node.attributes["beta"]?.float ?? 1,
        transposeA: attribute("transA") ?? 0 != 0, transposeB: attribute("transB") ?? 0 != 0)
    case "Clip":
      // Bounds are attributes before opset 11, inputs since.
      func bound(_ attribute: String, _ index: Int, _ usual: Float) throws(ONNXError) -> Float {
        if let value = node.attributes[attribute]?.float { return value }
        guard let name = name(index) else { return usual }
        guard let known = real(name), known.values.count == 1, let value = known.values.first else {
          throw fail(place, "input \(index) (\"\(name)\"), a bound, must be a constant with one element")
        }
        return Float(value)
      }
      let open = [1, 2].filter { index in name(index).map { values[$0] != nil && real($0)?.values.count != 1 } ?? false }
      if open.isEmpty {
        operation = .clip(minimum: try bound("min", 1, -.infinity), maximum: try bound("max", 2, .infinity))
        inputs = Array(inputs.prefix(1))
      } else if let low = name(1), let high = name(2), let both = DefinedOperator("Clip") {
        (operation, inputs) = (.defined(both), [name(0), low, high])
      } else {
        (operation, inputs) = (.binary(name(1) != nil ? .maximum : .minimum), [name(0), name(1) ?? name(2)])
      }
    case "Identity", "Dropout":
      // Another name for the same value.
      if node.type == "Dropout", node.outputs.count > 1, read.contains(node.outputs[1]), !node.outputs[1].isEmpty {
        throw fail(place, "its mask \"\(node.outputs[1])\" is read; the mask is not supported: Dropout passes its input on here")
      }
      guard let input = name(0), let output = node.outputs.first, !output.isEmpty else { throw fail(place, "has no input or no output") }
      values[output] = try value(input, for: place)
      return
    case "Gelu": operation = .unary(node.attributes["approximate"]?.text == "tanh" ? .geluTanh : .gelu)
    case "Softmax":
      operation = .softmax(axis: opset >= 13 ? attribute("axis") ?? -1 : try lastAxis())
    case "LayerNormalization":
      operation = .layerNormalization(axis: attribute("axis") ?? -1, epsilon: node.attributes["epsilon"]?.float ?? 1e-5)
    case _ where Reduction(onnxName: node.type) != nil:
      let rank = try shape(0).count
      let list = try axesList(1) ?? []
      if list.isEmpty && attribute("noop_with_empty_axes") ?? 0 != 0 {
        operation = .unary(.identity)
      } else {
        let (axes, keep) = (list.isEmpty ? Array(0..<rank) : list, attribute("keepdims") ?? 1 != 0)
        // The mean is an operation of its own, which normalizations are recognized by.
        operation =
          switch Reduction(onnxName: node.type) {
          case .mean?, nil: .reduceMean(axes: axes, keepDimensions: keep)
          case let reduction?: .reduce(reduction, axes: axes, keepDimensions: keep)
          }
      }
      inputs = Array(inputs.prefix(1))
    case "Reshape":
      // An attribute before opset 5.
      guard let target = try axes("shape") != nil ? listed("shape", 1)?.map({ Dimension.fixed($0) }) : constants(1) else {
        throw fail(place, "has no target shape")
      }
      let from = try shape(0)
      var sizes: [Dimension?] = []
      for (index, dimension) in target.enumerated() {
        if dimension == .fixed(-1) {
          sizes.append(nil)
        } else if dimension == .fixed(0) && attribute("allowzero") ?? 0 == 0 {
          guard index < from.count else { throw fail(place, "size 0 at \(index) copies a dimension that the input does not have") }
          sizes.append(from[index])
        } else {
          sizes.append(dimension)
        }
      }
      guard let resolved = Shapes.resolve(reshape: from, to: sizes) else {
        throw fail(place, "\(Shapes.text(from)) does not reshape to \(Shapes.text(target)) for every number of rows")
      }
      operation = .reshape(resolved)
      inputs = Array(inputs.prefix(1))
    case "Transpose":
      let rank = try shape(0).count
      operation = .transpose(permutation: axes("perm") ?? Array((0..<rank).reversed()))
    case "Expand":
      guard let target = try constants(1) else { throw fail(place, "has no target shape") }
      let from = try shape(0)
      guard let resolved = Shapes.broadcast(from, target) else {
        throw fail(place, "\(Shapes.text(from)) does not expand to \(Shapes.text(target))")
      }
      operation = .expand(resolved)
      inputs = Array(inputs.prefix(1))
    case "Slice":
      // Attributes before opset 10.
      guard let starts = try listed("starts", 1), let ends = try listed("ends", 2) else {
        throw fail(place, "has no starts or ends")
      }
      let along = try listed("axes", 3) ?? Array(starts.indices)
      // An end beyond any size means "to the end", however the exporter wrote it.
      operation = .slice(
        axes: along, starts: starts, ends: ends.map { $0 >= Int(Int32.max) ? .max : $0 }, steps: try fixed(4) ?? starts.map { _ in 1 })
      inputs = Array(inputs.prefix(1))
    case "Gather": operation = .gather(axis: attribute("axis") ?? 0)
    case "Concat":
      guard let axis = attribute("axis") else { throw fail(place, "has no axis") }
      operation = .concat(axis: axis)
    case "Split":
      let axis = attribute("axis") ?? 0
      let from = try shape(0)
      var sizes = axes("split") ?? []
      if sizes.isEmpty, let given = try fixed(1) { sizes = given }
      if sizes.isEmpty {
        let parts = attribute("num_outputs") ?? node.outputs.count
        let position = axis < 0 ? axis &+ from.count : axis
        guard position >= 0, position < from.count, let size = from[position].fixedSize, parts > 0, parts <= size,
          parts == node.outputs.count, size <= 1 << 48
        else {
          throw fail(place, "cannot be cut into \(parts) parts along axis \(axis)")
        }
        // Equal parts, the last one smaller (opset 18).
        let chunk = (size + parts - 1) / parts
        sizes = (0..<parts).map { min(chunk, max(0, size - $0 * chunk)) }
      }
      if sizes.count != node.outputs.count { throw fail(place, "\(sizes.count) sizes for \(node.outputs.count) outputs") }
      operation = .split(axis: axis, sizes: sizes)
      inputs = Array(inputs.prefix(1))
    case "Squeeze":
      let from = try shape(0)
      operation = .squeeze(axes: try axesList(1) ?? from.indices.filter { from[$0] == .fixed(1) })
      inputs = Array(inputs.prefix(1))
    case "Unsqueeze":
      guard let list = try axesList(1) else { throw fail(place, "has no axes") }
      operation = .unsqueeze(axes: list)
      inputs = Array(inputs.prefix(1))
    case "Cast":
      guard let number = node.attributes["to"]?.integer, let type = ONNXTypes.type(number) else {
        throw fail(place, "casts to element type \(ONNXTypes.name(node.attributes["to"]?.integer ?? 0)); \(Self.supportedTypes)")
      }
      operation = .cast(type)
    case "Where": operation = .select
    case "Flatten": operation = .flatten(axis: attribute("axis") ?? 1)
    default:
      if let function = UnaryOperation(onnxName: node.type) {
        operation = .unary(function)
      } else if let function = AttributedFunction(onnxName: node.type) {
        let values = function.attributes.map { node.attributes[$0.name]?.float ?? $0.usual }
        operation = .attributed(function, values.first ?? 0, values.dropFirst().first ?? 0)
      } else if let definition = OperatorDefinition.named(node.type) {
        var known = costed(node)
        if definition.isFlattenedBeforeOpset13 && opset < 13 { known.axis = try lastAxis() }
        do throws(OperatorProblem) { operation = .defined(try known.defined(by: definition)) } catch {
          switch error {
          case .unknownInput(let index): throw unknownNumbers(node, index, place)
          case .other(let reason): throw fail(place, reason)
          }
        }
        inputs = definition.inputPlaces.map { $0 < inputs.count ? inputs[$0] : nil }
      } else if let function = BinaryOperation(onnxName: node.type) {
        // Min and Max take any number.
        guard node.inputs.count == 2 else { throw fail(place, "takes two inputs here, not \(node.inputs.count)") }
        operation = .binary(function)
      } else {
        throw fail(place, "its inputs must follow from constants and shapes")
      }
    }

    // As many as ONNX has, or the first alone.
    var (hasAll, resultCount) = (false, 1)
    if case .split = operation { (hasAll, resultCount) = (true, node.outputs.count) }
    if case .defined(let defined) = operation, defined.definition.resultCount > 1 {
      (hasAll, resultCount) = (true, defined.definition.resultCount)
    }
    if !hasAll, let extra = node.outputs.dropFirst().first(where: { !$0.isEmpty && read.contains($0) }) {
      throw fail(place, "its output \"\(extra)\" is read; only the first is supported")
    }
    if node.outputs.count > resultCount, hasAll { throw fail(place, "has \(node.outputs.count) outputs, not \(resultCount)") }
    var ids: [ValueID?] = []
    for input in inputs {
      guard let input else {
        ids.append(nil)
        continue
      }
      ids.append(try value(input, for: place))
    }
    while let last = ids.last, last == nil { ids.removeLast() }
    let names = node.outputs.enumerated().map { place, name in
      !name.isEmpty ? name : resultCount == 1 ? node.label : "\(node.label).\(place)"
    }
    let results: [ValueID]
    do throws(GraphError) {
      results = try graph.append(operation, node.label, ids, outputNames: names)
    } catch {
      throw fail(place, error.reason)
    }
    for (output, id) in zip(node.outputs, results) where !output.isEmpty { values[output] = id }
  }

  private func unknownNumbers(_ node: NodeMessage, _ index: Int, _ place: String) -> ONNXError {
    fail(place, "input \(index) (\"\(node.inputs[index])\") must be constant or follow from shapes")
  }

  func unknownInput(_ name: String, _ place: String) -> ONNXError {
    if let writer = writers[name] {
      return fail(place, "reads \"\(name)\", which node \"\(writer)\" writes only later: the graph has a cycle or is not in order")
    }
    return fail(place, "reads \"\(name)\", which nothing writes")
  }
}
