import ModelGraph

/// Loops of `OperatorDefinition.elementOperators`, by ONNX's name: up to three operands, each broadcast to the target's shape.
enum CombinationLoops {
  /// An operand and where its elements are.
  struct Operand {
    var elements: UnsafePointer<Float>
    var places: StridedReader
  }

  typealias Loop = @Sendable ([Operand], UnsafeMutablePointer<Float>, _ count: Int) -> Void

  /// With the operator's attributes, once a model is bound.
  static let all: [String: @Sendable (OperatorAttributes) -> Loop] = [
    // NaN stays: neither comparison holds.
    "Clip": { _ in
      ternary { element, low, high in
        let raised = element < low ? low : element
        return raised > high ? high : raised
      }
    },
    "PRelu": { _ in binary { $0 < 0 ? $1 * $0 : $0 } },
  ]

  @inline(__always) private static func binary(_ function: @escaping @Sendable (Float, Float) -> Float) -> Loop {
    { operands, target, count in
      let (a, b) = (operands[0], operands[1])
      for index in 0..<count { target[index] = function(a.elements[a.places[index]], b.elements[b.places[index]]) }
    }
  }

  @inline(__always) private static func ternary(_ function: @escaping @Sendable (Float, Float, Float) -> Float) -> Loop {
    { operands, target, count in
      let (a, b, c) = (operands[0], operands[1], operands[2])
      for index in 0..<count {
        target[index] = function(a.elements[a.places[index]], b.elements[b.places[index]], c.elements[c.places[index]])
      }
    }
  }
}
