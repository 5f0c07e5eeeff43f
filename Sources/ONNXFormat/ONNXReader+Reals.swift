import CheckedNumbers
import Glibc
import ModelGraph

/// Exporters work sizes out in floating point (an upsampling by 2: Shape, Cast, Mul, Floor, Cast): such numbers are followed too.
extension ONNXReader {
  /// Known numbers of any kind behind a name: small constants, and what was worked out.
  func real(_ name: String) -> Reals? {
    if let known = reals[name] { return known }
    if let known = numbers[name] {
      let fixed = known.values.compactMap(\.fixedSize)
      return fixed.count == known.values.count ? Reals(values: fixed.map { Double($0) }, isScalar: known.isScalar) : nil
    }
    guard let id = values[name], let tensor = graph.constants[id], tensor.type.isExecutable, tensor.shape.count <= 1,
      tensor.elementCount <= Self.maximumNumbers
    else { return nil }
    return Reals(values: tensor.doubles, isScalar: tensor.shape.isEmpty)
  }

  /// Folds a node of known numbers, of which some are no integers (those that are, `fold` knows), or whose operator is for such.
  mutating func foldReal(_ node: NodeMessage) -> Bool {
    guard node.outputs.count == 1, let output = node.outputs.first, !node.inputs.isEmpty, node.domain.isEmpty || node.domain == "ai.onnx"
    else {
      return false
    }
    let given = node.inputs.compactMap { real($0) }
    guard given.count == node.inputs.count, let first = given.first else { return false }
    let isIntegral = node.inputs.allSatisfy { known($0) != nil }
    func keep(_ values: [Double], scalar: Bool) -> Bool {
      guard values.count <= Self.maximumNumbers else { return false }
      reals[output] = Reals(values: values, isScalar: scalar)
      return true
    }
    func pairs(_ function: (Double, Double) -> Double) -> [Double]? {
      guard given.count == 2 else { return nil }
      let (a, b) = (given[0].values, given[1].values)
      guard a.count == b.count || a.count == 1 || b.count == 1 else { return nil }
      return (0..<max(a.count, b.count)).map { function(a.count == 1 ? a[0] : a[$0], b.count == 1 ? b[0] : b[$0]) }
    }
    /// Integers, where every value is one.
    func keepIntegers(_ values: [Double], scalar: Bool) -> Bool {
      let whole = values.compactMap { Int(exactly: $0) }
      guard whole.count == values.count, whole.count <= Self.maximumNumbers else { return false }
      numbers[output] = Numbers(values: whole.map { .fixed($0) }, isScalar: scalar)
      return true
    }
    switch node.type {
    case "Cast":
      guard let type = node.attributes["to"]?.integer.flatMap({ ONNXTypes.type($0) }) else { return false }
      if type.isFloatingPoint { return keep(first.values, scalar: first.isScalar) }
      if type == .bool { return keepIntegers(first.values.map { $0 == 0 ? 0 : 1 }, scalar: first.isScalar) }
      return !isIntegral && keepIntegers(first.values.map { $0.rounded(.towardZero) }, scalar: first.isScalar)
    case "Floor": return keep(first.values.map { $0.rounded(.down) }, scalar: first.isScalar)
    case "Ceil": return keep(first.values.map { $0.rounded(.up) }, scalar: first.isScalar)
    case "Sqrt": return keep(first.values.map { $0.squareRoot() }, scalar: first.isScalar)
    case "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or":
      let compared: [String: (Double, Double) -> Bool] = [
        "Less": { $0 < $1 }, "Greater": { $0 > $1 }, "LessOrEqual": { $0 <= $1 }, "GreaterOrEqual": { $0 >= $1 },
        "And": { $0 != 0 && $1 != 0 }, "Or": { $0 != 0 || $1 != 0 },
      ]
      guard let compare = compared[node.type], let values = pairs({ compare($0, $1) ? 1 : 0 }) else { return false }
      return keepIntegers(values, scalar: given.allSatisfy(\.isScalar))
    case "Not": return keepIntegers(first.values.map { $0 == 0 ? 1 : 0 }, scalar: first.isScalar)
    case "Neg", "Abs", "Min", "Max", "Mod", "ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin":
      return foldAny(node, given) { values, scalar in
        isIntegral ? keepIntegers(values, scalar: scalar) : keep(values, scalar: scalar)
      }
    case "Range":
      guard isIntegral, given.count == 3, given.allSatisfy({ $0.values.count == 1 }), given[2].values[0] != 0 else { return false }
      let (start, limit, step) = (given[0].values[0], given[1].values[0], given[2].values[0])
      let count = ((limit - start) / step).rounded(.up)
      guard count <= Double(Self.maximumNumbers) else { return false }
      return keepIntegers((0..<max(0, Int(saturating: count))).map { start + Double($0) * step }, scalar: false)
    default: break
    }
    // Arithmetic and moves of integers are folded with the rows as a symbol elsewhere.
    if isIntegral { return false }
    switch node.type {
    case "Add": return pairs(+).map { keep($0, scalar: given.allSatisfy(\.isScalar)) } ?? false
    case "Sub": return pairs(-).map { keep($0, scalar: given.allSatisfy(\.isScalar)) } ?? false
    case "Mul": return pairs(*).map { keep($0, scalar: given.allSatisfy(\.isScalar)) } ?? false
    case "Div": return pairs(/).map { keep($0, scalar: given.allSatisfy(\.isScalar)) } ?? false
    case "Concat": return keep(given.flatMap(\.values), scalar: false)
    case "Unsqueeze": return first.isScalar && keep(first.values, scalar: false)
    case "Squeeze": return first.values.count == 1 && keep(first.values, scalar: true)
    case "Gather":
      guard given.count == 2, !first.isScalar else { return false }
      let count = first.values.count
      let places = given[1].values.compactMap { Int(exactly: $0) }.map { $0 < 0 ? $0 + count : $0 }
      guard places.count == given[1].values.count, places.allSatisfy({ $0 >= 0 && $0 < count }) else { return false }
      return keep(places.map { first.values[$0] }, scalar: given[1].isScalar)
    default: return false
    }
  }

  private func foldAny(
    _ node: NodeMessage, _ given: [Reals], _ keep: ([Double], Bool) -> Bool
  ) -> Bool {
    let type = node.type
    guard let first = given.first, !first.values.isEmpty else { return false }
    switch type {
    case "Neg": return keep(first.values.map { -$0 }, first.isScalar)
    case "Abs": return keep(first.values.map { abs($0) }, first.isScalar)
    case "Min", "Max", "Mod":
      guard given.count == 2, given[0].values.count == given[1].values.count || given[1].values.count == 1 else { return false }
      let values = first.values.enumerated().map { index, a -> Double in
        let b = given[1].values.count == 1 ? given[1].values[0] : given[1].values[index]
        // ONNX's Mod has the sign of the divisor.
        return type == "Min" ? min(a, b) : type == "Max" ? max(a, b) : a - b * (a / b).rounded(.down)
      }
      return keep(values, given.allSatisfy(\.isScalar))
    default:
      // Over the one axis that such numbers have.
      guard given.count == 1 || given[1].values.count == 1 else { return false }
      let values = first.values
      let result =
        type == "ReduceProd"
        ? values.reduce(1, *) : type == "ReduceSum" ? values.reduce(0, +) : type == "ReduceMax" ? values.max() ?? 0 : values.min() ?? 0
      return keep([result], first.isScalar || node.attributes["keepdims"]?.integer == 0)
    }
  }
}
