import CheckedNumbers
import Glibc

/// Runs a graph in Double with plain loops: slow, and meant to be obviously right. Every faster path is checked against it.
public enum ReferenceEvaluator {
  /// The graph's outputs for these inputs, by input name. Inputs must have the graph's shapes at one common number of rows.
  public static func evaluate(_ graph: Graph, inputs: [String: DenseArray]) throws(GraphError) -> [DenseArray] {
    var rows: Int?
    var values: [ValueID: DenseArray] = [:]
    for id in graph.inputs {
      let declared = graph[id]
      guard let given = inputs[declared.name] else { throw GraphError(node: declared.name, reason: "no such input was given") }
      for (dimension, size) in zip(declared.shape, given.shape) where dimension == .rows && rows == nil { rows = size }
      if Shapes.sizes(declared.shape, rows: rows ?? 1) != given.shape {
        throw GraphError(node: declared.name, reason: "shape \(given.shape) does not fit \(Shapes.text(declared.shape))")
      }
      values[id] = given
    }
    let run = Run(rows: rows ?? 1)
    for (id, tensor) in graph.constants { values[id] = DenseArray(unchecked: tensor.shape, tensor.doubles) }
    for node in graph.nodes {
      var arguments: [DenseArray?] = []
      for input in node.inputs {
        guard let input else {
          arguments.append(nil)
          continue
        }
        guard let value = values[input] else { throw GraphError(node: node.name, reason: "\"\(graph[input].name)\" has no value yet") }
        arguments.append(value)
      }
      let types = node.inputs.map { $0.map { graph[$0].type } }
      let results = try run.apply(node, arguments, types)
      for (id, result) in zip(node.outputs, results) {
        if Shapes.sizes(graph[id].shape, rows: run.rows) != result.shape {
          throw GraphError(node: node.name, reason: "computed \(result.shape) where \(Shapes.text(graph[id].shape)) was inferred")
        }
        values[id] = result
      }
    }
    var outputs: [DenseArray] = []
    for id in graph.outputs {
      guard let value = values[id] else { throw GraphError(node: graph[id].name, reason: "the output has no value") }
      outputs.append(value)
    }
    return outputs
  }
}

/// One evaluation at a number of rows.
struct Run {
  let rows: Int

  func apply(_ node: Node, _ inputs: [DenseArray?], _ types: [DataType?]) throws(GraphError) -> [DenseArray] {
    func fail(_ reason: String) -> GraphError { GraphError(node: node.name, operation: node.operation.name, reason: reason) }
    func input(_ index: Int) throws(GraphError) -> DenseArray {
      guard index < inputs.count, let value = inputs[index] else { throw fail("input \(index) is missing") }
      return value
    }
    func optional(_ index: Int) -> DenseArray? { index < inputs.count ? inputs[index] : nil }
    func sizes(_ shape: Shape) throws(GraphError) -> [Int] {
      guard let sizes = Shapes.sizes(shape, rows: rows) else { throw fail("\(Shapes.text(shape)) is out of range at \(rows) rows") }
      return sizes
    }
    if case .costed(let costed) = node.operation { throw fail("\(costed.type) is known by its cost alone: it cannot be evaluated") }
    let x = try input(0)
    let isInteger = types.first.flatMap { $0 }.map { !$0.isFloatingPoint } ?? false
    switch node.operation {
    case .matMul: return [product(x, try input(1))]
    case .gemm(let alpha, let beta, let transposeA, let transposeB):
      let a = transposeA ? transposed(x) : x
      let b = transposeB ? transposed(try input(1)) : try input(1)
      var result = product(a, b)
      result.values = result.values.map { $0 * Double(alpha) }
      guard let c = optional(2) else { return [result] }
      return [elementwise(result, c) { $0 + Double(beta) * $1 }]
    case .binary(let operation):
      let y = try input(1)
      if isInteger && operation == .divide && y.values.contains(0) { throw fail("an integer is divided by zero") }
      return [elementwise(x, y) { operation($0, $1, isInteger: isInteger) }]
    case .unary(let operation): return [DenseArray(unchecked: x.shape, x.values.map { operation($0) })]
    case .softmax(let axis): return [softmax(x, axis < 0 ? axis + x.shape.count : axis)]
    case .layerNormalization(let axis, let epsilon):
      return [normalized(x, axis, Double(epsilon), try input(1), optional(2))]
    case .normalizedActivation(let axis, let epsilon, let activation):
      return [activated(normalized(x, axis, Double(epsilon), try input(1), optional(2)), activation)]
    case .reduceMean(let axes, let keep):
      let reduced = Set(axes.map { $0 < 0 ? $0 + x.shape.count : $0 })
      return [self.reduced(x, .mean, reduced, keep)]
    case .reduce(let reduction, let axes, let keep):
      return [reduced(x, reduction, Set(axes.map { $0 < 0 ? $0 + x.shape.count : $0 }), keep)]
    case .clip(let minimum, let maximum):
      return [DenseArray(unchecked: x.shape, x.values.map { min(max($0, Double(minimum)), Double(maximum)) })]
    case .attributed(let function, let first, let second):
      return [DenseArray(unchecked: x.shape, x.values.map { function($0, Double(first), Double(second)) })]
    case .reshape(let shape): return [DenseArray(unchecked: try sizes(shape), x.values)]
    case .flatten, .squeeze, .unsqueeze:
      let declared = try ShapeInference.infer(
        node.operation, [Value(name: "x", type: .float64, shape: x.shape.map { .fixed($0) })], node: node.name)
      guard let shape = declared.first?.1 else { throw fail("has no result") }
      return [DenseArray(unchecked: try sizes(shape), x.values)]
    case .transpose(let permutation):
      let strides = DenseArray.strides(x.shape)
      return [x.view(permutation.map { x.shape[$0] }, strides: permutation.map { strides[$0] })]
    case .expand(let shape): return [x.broadcast(to: try sizes(shape))]
    case .slice(let axes, let starts, let ends, let steps): return [try slice(x, axes, starts, ends, steps, fail)]
    case .gather(let axis): return [try gather(x, try input(1), axis < 0 ? axis + x.shape.count : axis, fail)]
    case .concat(let axis):
      var parts: [DenseArray] = []
      for index in inputs.indices { parts.append(try input(index)) }
      return [concatenated(parts, axis < 0 ? axis + x.shape.count : axis)]
    case .split(let axis, let sizes):
      let along = axis < 0 ? axis + x.shape.count : axis
      var start = 0
      var parts: [DenseArray] = []
      for size in sizes {
        parts.append(try slice(x, [along], [start], [start + size], [1], fail))
        start += size
      }
      return parts
    case .cast(let type): return [cast(x, to: type)]
    case .select:
      let (a, b) = (try input(1), try input(2))
      let chosen = elementwise(a, b) { first, _ in first }
      let other = elementwise(a, b) { $1 }
      let masked = elementwise(x, chosen) { $0 != 0 ? $1 : 0 }
      return [elementwise(masked, elementwise(x, other) { $0 != 0 ? 0 : $1 }) { $0 + $1 }]
    case .linear(let transposeWeight, let activation):
      let weight = transposeWeight ? transposed(try input(1)) : try input(1)
      var result = product(flattenedRows(x), weight)
      result.shape = x.shape.dropLast() + [weight.shape[1]]
      if let bias = optional(2) { result = elementwise(result, bias, +) }
      return [activated(result, activation)]
    case .batchedLinear(let activation):
      var result = product(x, try input(1))
      if let bias = optional(2) { result = elementwise(result, bias, +) }
      return [activated(result, activation)]
    case .defined(let defined):
      guard let attributes = defined.attributes.at(rows: rows) else { throw fail("an attribute is out of range at \(rows) rows") }
      var arguments: [DenseArray] = []
      for index in inputs.indices { arguments.append(try input(index)) }
      return try evaluated(defined.definition, attributes, arguments, node)
    case .costed: return []
    }
  }

  /// x as a matrix of its last dimension.
  func flattenedRows(_ x: DenseArray) -> DenseArray {
    let depth = x.shape.last ?? 1
    return DenseArray(unchecked: [depth == 0 ? 0 : x.values.count / depth, depth], x.values)
  }

  func transposed(_ x: DenseArray) -> DenseArray { x.view([x.shape[1], x.shape[0]], strides: [1, x.shape[1]]) }

  /// [..., m, k] x [..., k, n] with broadcast leading dimensions.
  func product(_ a: DenseArray, _ b: DenseArray) -> DenseArray {
    let (m, k, n) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1], b.shape[b.shape.count - 1])
    let leadingA = DenseArray(unchecked: Array(a.shape.dropLast(2)), offsets(a, block: m * k))
    let leadingB = DenseArray(unchecked: Array(b.shape.dropLast(2)), offsets(b, block: k * n))
    let blocks = elementwise(leadingA, leadingB) { first, _ in first }
    let others = elementwise(leadingA, leadingB) { $1 }
    var values: [Double] = []
    values.reserveCapacity(blocks.values.count * m * n)
    for (first, second) in zip(blocks.values, others.values) {
      let (offsetA, offsetB) = (Int(saturating: first), Int(saturating: second))
      for row in 0..<m {
        // Row by row of b, sums of a row beside each other: the order of each sum is that of `index`, and neighbours in memory follow.
        var sums = [Double](repeating: 0, count: n)
        sums.withUnsafeMutableBufferPointer { sums in
          a.values.withUnsafeBufferPointer { a in
            b.values.withUnsafeBufferPointer { b in
              var index = 0
              while index < k {
                let (factor, start) = (a[offsetA + row * k + index], offsetB + index * n)
                var column = 0
                while column < n {
                  sums[column] += factor * b[start + column]
                  column += 1
                }
                index += 1
              }
            }
          }
        }
        values += sums
      }
    }
    return DenseArray(unchecked: blocks.shape + [m, n], values)
  }

  private func offsets(_ x: DenseArray, block: Int) -> [Double] {
    (0..<x.shape.dropLast(2).reduce(1, *)).map { Double($0 * block) }
  }

  func elementwise(_ a: DenseArray, _ b: DenseArray, _ function: (Double, Double) -> Double) -> DenseArray {
    if a.shape == b.shape { return DenseArray(unchecked: a.shape, zip(a.values, b.values).map(function)) }
    let shape = Shapes.broadcast(a.shape.map { .fixed($0) }, b.shape.map { .fixed($0) })?.map(\.constant) ?? a.shape
    return DenseArray(unchecked: shape, zip(a.broadcast(to: shape).values, b.broadcast(to: shape).values).map(function))
  }

  func activated(_ x: DenseArray, _ activation: Activation) -> DenseArray {
    let function: UnaryOperation =
      switch activation {
      case .none: .identity
      case .relu: .relu
      case .gelu: .gelu
      case .geluTanh: .geluTanh
      case .tanh: .tanh
      case .sigmoid: .sigmoid
      }
    return DenseArray(unchecked: x.shape, x.values.map { function($0) })
  }

  func softmax(_ x: DenseArray, _ axis: Int) -> DenseArray {
    let inner = x.shape[(axis + 1)...].reduce(1, *)
    let size = x.shape[axis]
    var result = x
    for outer in 0..<x.shape[..<axis].reduce(1, *) {
      for offset in 0..<inner {
        let places = (0..<size).map { (outer * size + $0) * inner + offset }
        let largest = places.map { x.values[$0] }.max() ?? 0
        let powers = places.map { exp(x.values[$0] - largest) }
        let sum = powers.reduce(0, +)
        for (place, power) in zip(places, powers) { result.values[place] = power / sum }
      }
    }
    return result
  }

  func normalized(_ x: DenseArray, _ axis: Int, _ epsilon: Double, _ scale: DenseArray, _ bias: DenseArray?) -> DenseArray {
    let first = axis < 0 ? axis + x.shape.count : axis
    let size = x.shape[first...].reduce(1, *)
    var result = x
    for start in stride(from: 0, to: x.values.count, by: max(1, size)) {
      let row = x.values[start..<(start + size)]
      let mean = row.reduce(0, +) / Double(size)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(size)
      let inverse = 1 / (variance + epsilon).squareRoot()
      for index in start..<(start + size) { result.values[index] = (x.values[index] - mean) * inverse }
    }
    result = elementwise(result, scale, *)
    return bias.map { elementwise(result, $0, +) } ?? result
  }

  func slice(
    _ x: DenseArray, _ axes: [Int], _ starts: [Int], _ ends: [Int], _ steps: [Int], _ fail: (String) -> GraphError
  ) throws(GraphError) -> DenseArray {
    var first = [Int](repeating: 0, count: x.shape.count)
    var step = [Int](repeating: 1, count: x.shape.count)
    var shape = x.shape
    for index in axes.indices {
      let axis = axes[index] < 0 ? axes[index] + shape.count : axes[index]
      guard let bounds = ShapeInference.sliceBounds(size: x.shape[axis], start: starts[index], end: ends[index], step: steps[index]),
        let count = ShapeInference.sliceCount(size: x.shape[axis], start: starts[index], end: ends[index], step: steps[index])
      else { throw fail("a slice's step is zero") }
      (first[axis], step[axis], shape[axis]) = (bounds.start, steps[index], count)
    }
    let strides = DenseArray.strides(x.shape)
    return x.view(shape, strides: zip(strides, step).map(*), offset: zip(strides, first).reduce(0) { $0 + $1.0 * $1.1 })
  }

  func gather(_ x: DenseArray, _ indices: DenseArray, _ axis: Int, _ fail: (String) -> GraphError) throws(GraphError) -> DenseArray {
    let size = x.shape[axis]
    for index in indices.values where index < Double(-size) || index >= Double(size) {
      throw fail("index \(index) is out of range for dimension \(axis) of size \(size)")
    }
    return DenseArray.build(Array(x.shape[..<axis]) + indices.shape + Array(x.shape[(axis + 1)...])) { position in
      let index = Int(saturating: indices[Array(position[axis..<(axis + indices.shape.count)])])
      return x[Array(position[..<axis]) + [index < 0 ? index + size : index] + Array(position[(axis + indices.shape.count)...])]
    }
  }

  func concatenated(_ parts: [DenseArray], _ axis: Int) -> DenseArray {
    var shape = parts[0].shape
    shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
    return DenseArray.build(shape) { position in
      var rest = position[axis]
      for part in parts {
        if rest < part.shape[axis] {
          var place = position
          place[axis] = rest
          return part[place]
        }
        rest -= part.shape[axis]
      }
      return .nan
    }
  }

  func cast(_ x: DenseArray, to type: DataType) -> DenseArray {
    let convert: (Double) -> Double =
      switch type {
      case .float64, .float16, .bfloat16: { $0 }
      case .float32: { Double(Float($0)) }
      case .int64, .int32: { $0.rounded(.towardZero) }
      case .bool: { $0 == 0 ? 0 : 1 }
      default: { $0 }
      }
    return DenseArray(unchecked: x.shape, x.values.map(convert))
  }
}
