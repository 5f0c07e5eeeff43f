import CheckedNumbers

/// Types and shapes of an operation's results from those of its inputs, symbolic in the rows. The rules are ONNX's
/// (onnx/onnx docs/Operators.md), opset 13 meanings.
public enum ShapeInference {
  /// Result types and shapes. `inputs` holds nil for an optional input left out.
  static func infer(_ operation: Operation, _ inputs: [Value?], node: String) throws(GraphError) -> [(DataType, Shape)] {
    func fail(_ reason: String) -> GraphError {
      let shapes = inputs.map { $0.map { "\($0.type.rawValue) \(Shapes.text($0.shape))" } ?? "none" }.joined(separator: ", ")
      return GraphError(node: node, operation: operation.name, reason: "\(reason); inputs are \(shapes)")
    }
    func input(_ index: Int) throws(GraphError) -> Value {
      guard index < inputs.count, let value = inputs[index] else { throw fail("input \(index) is missing") }
      return value
    }
    func axis(_ axis: Int, rank: Int) throws(GraphError) -> Int {
      let positive = axis < 0 ? axis &+ rank : axis
      guard positive >= 0, positive < rank else { throw fail("axis \(axis) is out of range for \(rank) dimensions") }
      return positive
    }
    func expectFloating(_ value: Value) throws(GraphError) {
      if !value.type.isFloatingPoint { throw fail("\(value.type.rawValue) is not a floating-point type") }
    }
    func sameType(_ values: [Value]) throws(GraphError) -> DataType {
      guard let type = values.first?.type else { throw fail("no inputs") }
      if values.contains(where: { $0.type != type }) { throw fail("element types differ") }
      return type
    }
    let maximum: Int
    switch operation {
    case .unary, .clip, .attributed, .softmax, .reduceMean, .reduce, .reshape, .transpose, .expand, .slice, .split, .squeeze, .unsqueeze,
      .cast, .flatten:
      maximum = 1
    case .binary, .matMul, .gather: maximum = 2
    case .gemm, .select, .layerNormalization, .linear, .batchedLinear, .normalizedActivation: maximum = 3
    case .defined(let defined): maximum = defined.definition.inputCount
    case .concat, .costed: maximum = .max
    }
    let minimum: Int
    switch operation {
    case .select: minimum = 3
    case .defined(let defined): minimum = defined.definition.inputCount
    case .costed: minimum = 0
    default: minimum = 1
    }
    if inputs.count > maximum || inputs.count < minimum { throw fail("\(inputs.count) inputs") }

    switch operation {
    case .matMul:
      let (a, b) = (try input(0), try input(1))
      let type = try sameType([a, b])
      try expectFloating(a)
      guard a.shape.count >= 2, b.shape.count >= 2 else { throw fail("both inputs need at least two dimensions") }
      if a.shape[a.shape.count - 1] != b.shape[b.shape.count - 2] { throw fail("inner dimensions differ") }
      guard let leading = Shapes.broadcast(Array(a.shape.dropLast(2)), Array(b.shape.dropLast(2))) else {
        throw fail("leading dimensions do not broadcast")
      }
      return [(type, leading + [a.shape[a.shape.count - 2], b.shape[b.shape.count - 1]])]

    case .gemm(_, _, let transposeA, let transposeB):
      let (a, b) = (try input(0), try input(1))
      let type = try sameType([a, b])
      try expectFloating(a)
      guard a.shape.count == 2, b.shape.count == 2 else { throw fail("A and B need two dimensions each") }
      let (m, k) = transposeA ? (a.shape[1], a.shape[0]) : (a.shape[0], a.shape[1])
      let (depth, n) = transposeB ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
      if k != depth { throw fail("inner dimensions differ") }
      if inputs.count > 2, let c = inputs[2], Shapes.broadcast([m, n], c.shape) != [m, n] { throw fail("C does not broadcast to [m, n]") }
      return [(type, [m, n])]

    case .binary:
      let (a, b) = (try input(0), try input(1))
      let type = try sameType([a, b])
      if type == .bool { throw fail("bool has no arithmetic") }
      guard let shape = Shapes.broadcast(a.shape, b.shape) else { throw fail("shapes do not broadcast") }
      return [(type, shape)]

    case .unary(let function):
      let value = try input(0)
      if function != .identity && !(function == .relu && value.type != .bool) { try expectFloating(value) }
      return [(value.type, value.shape)]

    case .clip(let minimum, let maximum):
      let value = try input(0)
      try expectFloating(value)
      if minimum.isNaN || maximum.isNaN { throw fail("a bound is not a number") }
      return [(value.type, value.shape)]

    case .attributed(let function, let first, let second):
      if !first.isFinite || !second.isFinite || (function == .celu && first == 0) { throw fail("an attribute is out of range") }
      let value = try input(0)
      try expectFloating(value)
      return [(value.type, value.shape)]

    case .softmax(let along):
      let value = try input(0)
      try expectFloating(value)
      _ = try axis(along, rank: value.shape.count)
      return [(value.type, value.shape)]

    case .layerNormalization(let from, _), .normalizedActivation(let from, _, _):
      let value = try input(0)
      try expectFloating(value)
      let first = try axis(from, rank: value.shape.count)
      let normalized = Array(value.shape[first...])
      if normalized.contains(where: { $0.fixedSize == nil }) { throw fail("a normalized dimension depends on the rows") }
      for index in 1..<max(2, inputs.count) {
        guard index < inputs.count, let parameter = inputs[index] else {
          if index == 1 { throw fail("input 1, the scale, is missing") }
          continue
        }
        if Shapes.broadcast(normalized, parameter.shape) != normalized {
          throw fail("input \(index) does not fit the normalized dimensions")
        }
      }
      return [(value.type, value.shape)]

    case .reduceMean(let axes, let keep), .reduce(_, let axes, let keep):
      let value = try input(0)
      try expectFloating(value)
      var reduced: Set<Int> = []
      for item in axes { reduced.insert(try axis(item, rank: value.shape.count)) }
      if reduced.isEmpty { throw fail("no axes to reduce") }
      let shape = value.shape.enumerated().compactMap { index, dimension in
        reduced.contains(index) ? (keep ? Dimension.fixed(1) : nil) : dimension
      }
      return [(value.type, shape)]

    case .reshape(let shape):
      let value = try input(0)
      guard let from = Shapes.elementPolynomial(value.shape), let to = Shapes.elementPolynomial(shape), from == to else {
        throw fail("\(Shapes.text(shape)) has another number of elements")
      }
      if shape.contains(where: { $0.constant < 0 || $0.perRow < 0 }) { throw fail("\(Shapes.text(shape)) has a negative dimension") }
      return [(value.type, shape)]

    case .transpose(let permutation):
      let value = try input(0)
      guard permutation.sorted() == Array(0..<value.shape.count) else { throw fail("\(permutation) is no permutation of the dimensions") }
      return [(value.type, permutation.map { value.shape[$0] })]

    case .expand(let shape):
      let value = try input(0)
      guard Shapes.broadcast(value.shape, shape) == shape else { throw fail("does not expand to \(Shapes.text(shape))") }
      return [(value.type, shape)]

    case .slice(let axes, let starts, let ends, let steps):
      let value = try input(0)
      guard axes.count == starts.count, axes.count == ends.count, axes.count == steps.count else { throw fail("attribute lengths differ") }
      var shape = value.shape
      var seen: Set<Int> = []
      for index in axes.indices {
        let along = try axis(axes[index], rank: shape.count)
        if !seen.insert(along).inserted { throw fail("axis \(along) is given twice") }
        guard let size = shape[along].fixedSize else {
          // A whole slice along the rows changes nothing; a part of the rows is not affine.
          if starts[index] == 0 && ends[index] == .max && steps[index] == 1 { continue }
          throw fail("the rows cannot be sliced")
        }
        guard let count = Self.sliceCount(size: size, start: starts[index], end: ends[index], step: steps[index]) else {
          throw fail("a slice's step is zero")
        }
        shape[along] = .fixed(count)
      }
      return [(value.type, shape)]

    case .gather(let along):
      let (data, indices) = (try input(0), try input(1))
      if indices.type != .int64 && indices.type != .int32 { throw fail("indices must be int32 or int64") }
      let position = try axis(along, rank: data.shape.count)
      return [(data.type, Array(data.shape[..<position]) + indices.shape + Array(data.shape[(position + 1)...]))]

    case .concat(let along):
      var values: [Value] = []
      for index in inputs.indices { values.append(try input(index)) }
      let type = try sameType(values)
      guard var shape = values.first?.shape else { throw fail("no inputs") }
      let position = try axis(along, rank: shape.count)
      for value in values.dropFirst() {
        guard value.shape.count == shape.count else { throw fail("numbers of dimensions differ") }
        for index in shape.indices where index != position && shape[index] != value.shape[index] {
          throw fail("dimension \(index) differs")
        }
        guard let sum = shape[position].adding(value.shape[position]) else { throw fail("the sum of sizes overflows") }
        shape[position] = sum
      }
      return [(type, shape)]

    case .split(let along, let sizes):
      let value = try input(0)
      let position = try axis(along, rank: value.shape.count)
      var sum = 0
      for size in sizes {
        let (next, overflow) = sum.addingReportingOverflow(size)
        if overflow || size < 0 { throw fail("sizes \(sizes) are out of range") }
        sum = next
      }
      if sizes.isEmpty || value.shape[position].fixedSize != sum { throw fail("sizes \(sizes) do not add up to dimension \(position)") }
      return sizes.map { size in
        var shape = value.shape
        shape[position] = .fixed(size)
        return (value.type, shape)
      }

    case .squeeze(let axes):
      let value = try input(0)
      var removed: Set<Int> = []
      for item in axes {
        let position = try axis(item, rank: value.shape.count)
        if value.shape[position] != .fixed(1) { throw fail("dimension \(position) is not 1") }
        removed.insert(position)
      }
      return [(value.type, value.shape.enumerated().filter { !removed.contains($0.offset) }.map(\.element))]

    case .unsqueeze(let axes):
      let value = try input(0)
      let rank = value.shape.count + axes.count
      var added: Set<Int> = []
      for item in axes {
        if !added.insert(try axis(item, rank: rank)).inserted { throw fail("an axis is given twice") }
      }
      var rest = value.shape[...]
      let shape = (0..<rank).map { added.contains($0) ? Dimension.fixed(1) : rest.removeFirst() }
      return [(value.type, shape)]

    case .cast(let type):
      return [(type, try input(0).shape)]

    case .select:
      let (condition, a, b) = (try input(0), try input(1), try input(2))
      if condition.type != .bool { throw fail("the condition must be bool") }
      let type = try sameType([a, b])
      guard let values = Shapes.broadcast(a.shape, b.shape), let shape = Shapes.broadcast(values, condition.shape) else {
        throw fail("shapes do not broadcast")
      }
      return [(type, shape)]

    case .flatten(let from):
      let value = try input(0)
      let position = from == value.shape.count ? from : try axis(from, rank: value.shape.count)
      guard let outer = Shapes.elementCount(Array(value.shape[..<position])),
        let inner = Shapes.elementCount(Array(value.shape[position...]))
      else { throw fail("two dimensions depend on the rows") }
      return [(value.type, [outer, inner])]

    case .linear(let transposed, _):
      let (x, weight) = (try input(0), try input(1))
      let type = try sameType([x, weight])
      try expectFloating(x)
      guard weight.shape.count == 2, let depth = x.shape.last else { throw fail("the weight needs two dimensions, x at least one") }
      let (k, n) = transposed ? (weight.shape[1], weight.shape[0]) : (weight.shape[0], weight.shape[1])
      if k != depth { throw fail("inner dimensions differ") }
      if inputs.count > 2, let bias = inputs[2], Shapes.broadcast([n], bias.shape) != [n] { throw fail("the bias does not fit [n]") }
      return [(type, Array(x.shape.dropLast()) + [n])]

    case .batchedLinear:
      let (x, weight) = (try input(0), try input(1))
      let type = try sameType([x, weight])
      try expectFloating(x)
      guard weight.shape.count == 3, x.shape.count == 2 || x.shape.count == 3 else {
        throw fail("x needs two or three dimensions, the weight three")
      }
      let m = x.shape[x.shape.count - 2]
      if x.shape[x.shape.count - 1] != weight.shape[1] { throw fail("inner dimensions differ") }
      if x.shape.count == 3 && x.shape[0] != weight.shape[0] { throw fail("numbers of heads differ") }
      let result = [weight.shape[0], m, weight.shape[2]]
      if inputs.count > 2, let bias = inputs[2], Shapes.broadcast(result, bias.shape) != result { throw fail("the bias does not fit") }
      return [(type, result)]

    case .defined(let defined):
      if defined.definition.isFloatingPoint { try expectFloating(try input(0)) }
      if case .indexed(let indexing) = defined.definition.form, ![.int64, .int32].contains(try input(indexing.indices).type) {
        throw fail("indices must be int32 or int64")
      }
      do throws(OperatorRefusal) { return try defined.results(inputs) } catch { throw fail(error.reason) }

    case .costed(let costed):
      for result in costed.results where result.shape.contains(where: { $0.constant < 0 || $0.perRow < 0 }) {
        throw fail("\(Shapes.text(result.shape)) has a negative dimension")
      }
      return costed.results.map { ($0.type, $0.shape) }
    }
  }

  /// Elements a slice takes, numpy's rule: bounds are counted from the end when negative, then clamped. Nil for a zero step.
  public static func sliceCount(size: Int, start: Int, end: Int, step: Int) -> Int? {
    guard let bounds = sliceBounds(size: size, start: start, end: end, step: step) else { return nil }
    if step > 0 { return bounds.start < bounds.end ? (bounds.end - bounds.start - 1) / step + 1 : 0 }
    return bounds.start > bounds.end ? (bounds.start - bounds.end - 1) / -max(step, -Int.max) + 1 : 0
  }

  /// First element and one past the last, clamped.
  public static func sliceBounds(size: Int, start: Int, end: Int, step: Int) -> (start: Int, end: Int)? {
    if step == 0 { return nil }
    func clamp(_ value: Int) -> Int {
      let counted = value < 0 ? max(value, -size - 1) + size : value
      return step > 0 ? min(max(counted, 0), size) : min(max(counted, -1), size - 1)
    }
    return (clamp(start), clamp(end))
  }
}
