import ModelGraph

/// Loops of `OperatorDefinition.normalizationOperators`: one row at a time, by ONNX's name.
enum NormalizationLoops {
  /// A row, and the parameters that are its own.
  struct Row {
    var source: UnsafePointer<Float>
    var target: UnsafeMutablePointer<Float>
    var layout: RowLayout
    /// Where in parameters its own begin.
    var start: Int
    /// In the order of the inputs behind x.
    var parameters: [UnsafePointer<Float>]

    /// Neighbours with one element of each parameter, and its place.
    @inline(__always) func forEachRun(_ body: (_ range: Range<Int>, _ place: Int) -> Void) {
      var (index, place) = (0, start)
      while index < layout.width {
        let end = min(layout.width, index + layout.share)
        body(index..<end, place)
        (index, place) = (end, place + 1)
      }
    }

    /// The mean of a function of its elements. Rows may be whole planes: added up in Double.
    @inline(__always) func mean(_ function: (Double) -> Double) -> Double {
      var sum = 0.0
      for index in 0..<layout.width { sum += function(Double(source[index])) }
      return sum / Double(layout.width)
    }

    /// By its own mean and variance, then scale and bias.
    func centre(_ epsilon: Float) {
      let mean = mean { $0 }
      let variance = self.mean { ($0 - mean) * ($0 - mean) }
      let (offset, factor) = (Float(mean), Float(1 / (variance + Double(epsilon)).squareRoot()))
      let (scale, bias) = (parameters[0], parameters[1])
      forEachRun { range, place in
        for index in range { target[index] = (source[index] - offset) * factor * scale[place] + bias[place] }
      }
    }
  }

  typealias Loop = @Sendable (Row) -> Void

  /// With the operator's attributes, once a model is bound.
  static let all: [String: @Sendable (OperatorAttributes) -> Loop] = [
    "RMSNormalization": { attributes in
      let epsilon = Double(attributes.real("epsilon"))
      return { row in
        let factor = Float(1 / (row.mean { $0 * $0 } + epsilon).squareRoot())
        let scale = row.parameters[0]
        row.forEachRun { range, place in
          for index in range { row.target[index] = row.source[index] * factor * scale[place] }
        }
      }
    },
    "InstanceNormalization": { attributes in
      let epsilon = attributes.real("epsilon")
      return { $0.centre(epsilon) }
    },
    "GroupNormalization": { attributes in
      let epsilon = attributes.real("epsilon")
      return { $0.centre(epsilon) }
    },
    "BatchNormalization": { attributes in
      let epsilon = attributes.real("epsilon")
      return { row in
        let (scale, bias, mean, variance) = (row.parameters[0], row.parameters[1], row.parameters[2], row.parameters[3])
        row.forEachRun { range, place in
          let factor = scale[place] / (variance[place] + epsilon).squareRoot()
          for index in range { row.target[index] = (row.source[index] - mean[place]) * factor + bias[place] }
        }
      }
    },
  ]
}

/// A normalization's rows, cut into parts for the pool's threads.
struct NormalizationWork: PoolWork {
  let loop: NormalizationLoops.Loop
  let layout: RowLayout
  let rows: Int
  let parts: Int
  let source: UnsafePointer<Float>
  let parameters: [UnsafePointer<Float>]
  let target: UnsafeMutablePointer<Float>

  func run(_ part: Int) {
    for row in rows * part / parts..<rows * (part + 1) / parts {
      loop(
        NormalizationLoops.Row(
          source: source + row * layout.width, target: target + row * layout.width, layout: layout, start: layout.start(of: row),
          parameters: parameters))
    }
  }
}
