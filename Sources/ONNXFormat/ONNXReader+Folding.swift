import CheckedNumbers
import ModelGraph

/// What exporters compute from shapes (Shape, Gather, Concat, ... in front of Reshape and Expand) is worked out while reading, with the
/// rows as a symbol. Nothing of it remains in the graph.
extension ONNXReader {
  /// Folds the node when its results are known numbers; false leaves it to become an operation.
  mutating func fold(_ node: NodeMessage, _ place: String) throws(ONNXError) -> Bool {
    guard node.outputs.contains(where: { !$0.isEmpty }) else { throw fail(place, "has no output") }
    // An operator with several results may leave out its first; none of those is folded.
    guard let output = node.outputs.first, !output.isEmpty else { return false }
    func attribute(_ name: String) -> Int? { node.attributes[name]?.integer.flatMap { Int(exactly: $0) } }
    func input(_ index: Int) -> String? { index < node.inputs.count && !node.inputs[index].isEmpty ? node.inputs[index] : nil }
    func known(_ index: Int) -> Numbers? { input(index).flatMap { self.known($0) } }
    func integers(_ index: Int) -> [Int]? {
      guard let values = known(index)?.values else { return nil }
      let sizes = values.compactMap(\.fixedSize)
      return sizes.count == values.count ? sizes : nil
    }

    switch node.type {
    case "Constant":
      if let message = node.attributes["value"]?.tensor {
        values[output] = graph.addConstant(output, try tensor(message, place))
      } else if let number = node.attributes["value_int"]?.integer {
        numbers[output] = Numbers(values: [.fixed(Int(number))], isScalar: true)
      } else if let list = node.attributes["value_ints"]?.integers {
        numbers[output] = Numbers(values: list.map { .fixed(Int($0)) }, isScalar: false)
      } else if let number = node.attributes["value_float"]?.float {
        values[output] = graph.addConstant(output, Tensor(scalar: number))
      } else if let list = node.attributes["value_floats"]?.floats, let tensor = Tensor(float32: list, shape: [list.count]) {
        values[output] = graph.addConstant(output, tensor)
      } else {
        throw fail(place, "holds no number; strings and sparse constants are not supported")
      }
      return true

    case "Shape":
      guard let name = input(0) else { throw fail(place, "has no input") }
      let shape: Shape
      if let known = self.known(name), values[name] == nil {
        shape = known.isScalar ? [] : [.fixed(known.values.count)]
      } else {
        guard let id = values[name] else { throw unknownInput(name, place) }
        shape = graph[id].shape
      }
      let bounds = (attribute("start") ?? 0, attribute("end") ?? shape.count)
      let start = min(max(bounds.0 < 0 ? bounds.0 &+ shape.count : bounds.0, 0), shape.count)
      let end = min(max(bounds.1 < 0 ? bounds.1 &+ shape.count : bounds.1, start), shape.count)
      numbers[output] = Numbers(values: Array(shape[start..<end]), isScalar: false)
      return true

    case "ConstantOfShape":
      guard let sizes = integers(0), let count = Tensor.elementCount(of: sizes) else {
        throw fail(place, "its shape must be known and not depend on the rows")
      }
      let fill = try node.attributes["value"]?.tensor.map { message throws(ONNXError) in try tensor(message, place) }
      if count <= Self.maximumNumbers, sizes.count <= 1, let value = fill?.integers?.first {
        numbers[output] = Numbers(values: Array(repeating: .fixed(value), count: count), isScalar: sizes.isEmpty)
        return true
      }
      // Real data of this kind (masks, zero states) is small; a claim of gigabytes is not believed.
      guard count <= 1 << 24 else { throw fail(place, "\(count) elements are more than 2^24") }
      let element = fill ?? Tensor(scalar: 0)
      let bytes = element.storage.withBytes { Array($0) }
      guard element.elementCount == 1,
        let tensor = Tensor(type: element.type, shape: sizes, storage: ArrayStorage((0..<count).flatMap { _ in bytes }))
      else { throw fail(place, "its value must have one element") }
      values[output] = graph.addConstant(output, tensor)
      return true

    default: break
    }

    // The rest folds only integer numbers that are already known.
    guard !node.inputs.isEmpty, node.inputs.allSatisfy({ $0.isEmpty || self.known($0) != nil }), let first = known(0) else { return false }
    let result: Numbers?
    switch node.type {
    case "Identity", "Cast":
      // A cast to floating point makes data of it.
      if node.type == "Cast", let to = node.attributes["to"]?.integer, ONNXTypes.type(to) != .int64 && ONNXTypes.type(to) != .int32 {
        return false
      }
      result = first
    case "Gather":
      guard let indices = known(1), let places = integers(1), !first.isScalar else { return false }
      var picked: [Dimension] = []
      for index in places {
        let position = index < 0 ? index &+ first.values.count : index
        guard position >= 0, position < first.values.count else {
          throw fail(place, "index \(index) is out of range for \(first.values.count) elements")
        }
        picked.append(first.values[position])
      }
      result = Numbers(values: picked, isScalar: indices.isScalar)
    case "Concat":
      let all = node.inputs.compactMap { self.known($0) }
      result = Numbers(values: all.flatMap(\.values), isScalar: false)
    case "Unsqueeze": result = first.isScalar ? Numbers(values: first.values, isScalar: false) : nil
    case "Squeeze": result = first.values.count == 1 ? Numbers(values: first.values, isScalar: true) : nil
    case "Reshape": result = known(1)?.values.count == 1 ? Numbers(values: first.values, isScalar: false) : nil
    case "Slice":
      guard let start = integers(1)?.first, let end = integers(2)?.first, !first.isScalar else { return false }
      let step = integers(4)?.first ?? 1
      let size = first.values.count
      let from = min(max(start < 0 ? start &+ size : start, 0), size)
      let to = min(max(end < 0 ? end &+ size : end, 0), size)
      guard step == 1 else { return false }
      result = Numbers(values: from < to ? Array(first.values[from..<to]) : [], isScalar: false)
    case "Add", "Sub", "Mul", "Div", "Equal":
      guard let second = known(1) else { return false }
      result = try arithmetic(node.type, first, second, place)
    case "Where":
      guard let yes = known(1), let no = known(2) else { return false }
      let count = max(first.values.count, yes.values.count, no.values.count)
      func at(_ list: Numbers, _ index: Int) -> Dimension? {
        list.values.count == 1 ? list.values[0] : index < list.values.count ? list.values[index] : nil
      }
      var chosen: [Dimension] = []
      for index in 0..<count {
        guard let condition = at(first, index)?.fixedSize, let value = condition != 0 ? at(yes, index) : at(no, index) else { return false }
        chosen.append(value)
      }
      result = Numbers(values: chosen, isScalar: first.isScalar && yes.isScalar && no.isScalar)
    default: result = nil
    }
    guard let result, result.values.count <= Self.maximumNumbers else { return false }
    numbers[output] = result
    return true
  }

  private func arithmetic(_ type: String, _ left: Numbers, _ right: Numbers, _ place: String) throws(ONNXError) -> Numbers? {
    let count = left.values.count == 1 ? right.values.count : left.values.count
    guard right.values.count == 1 || right.values.count == count else { throw fail(place, "shapes do not broadcast") }
    var values: [Dimension] = []
    for index in 0..<count {
      let a = left.values.count == 1 ? left.values[0] : left.values[index]
      let b = right.values.count == 1 ? right.values[0] : right.values[index]
      let value: Dimension?
      switch type {
      case "Add": value = a.adding(b)
      case "Sub": value = b.multiplied(by: .fixed(-1)).flatMap { a.adding($0) }
      case "Mul": value = a.multiplied(by: b)
      case "Equal": value = .fixed(a == b ? 1 : 0)
      default:
        // Integer division truncates; with the rows in it, it must come out even.
        if let x = a.fixedSize, let y = b.fixedSize, y != 0, !(x == .min && y == -1) {
          value = .fixed(x / y)
        } else {
          value = a.divided(by: b)
        }
      }
      guard let value else { throw fail(place, "\(a) and \(b): the result overflows or is not affine in the rows") }
      values.append(value)
    }
    return Numbers(values: values, isScalar: left.isScalar && right.isScalar)
  }
}
