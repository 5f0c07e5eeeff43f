import Glibc
import ModelGraph

/// Loops of `OperatorDefinition.axisOperators`: one lane at a time, by ONNX's name.
enum AxisLoops {
  /// The elements along the axis, and where what is made of them goes.
  struct Lane {
    var source: UnsafePointer<Float>
    /// Its first element.
    var target: UnsafeMutableRawPointer
    var size: Int
    /// Between neighbours, in elements: of the source, and of a target that has as many.
    var stride: Int

    var floats: UnsafeMutablePointer<Float> { target.assumingMemoryBound(to: Float.self) }

    /// Index of the first element (or the last) that none is better than; 0 of none.
    func extreme(isLast: Bool, _ isBetter: (Float, Float) -> Bool) -> Int {
      var found = 0
      for index in 0..<size {
        let (element, best) = (source[index * stride], source[found * stride])
        if isBetter(element, best) || isLast && element == best { found = index }
      }
      return found
    }
  }

  typealias Loop = @Sendable (Lane) -> Void

  /// With the operator's attributes, once a model is bound.
  static let all: [String: @Sendable (OperatorAttributes) -> Loop] = [
    "LogSoftmax": { _ in
      { lane in
        var largest = -Float.infinity
        for index in 0..<lane.size { largest = max(largest, lane.source[index * lane.stride]) }
        var sum: Float = 0
        for index in 0..<lane.size { sum += expf(lane.source[index * lane.stride] - largest) }
        let logarithm = logf(sum)
        for index in 0..<lane.size { lane.floats[index * lane.stride] = lane.source[index * lane.stride] - largest - logarithm }
      }
    },
    "Hardmax": { _ in
      { lane in
        let first = lane.extreme(isLast: false, >)
        for index in 0..<lane.size { lane.floats[index * lane.stride] = index == first ? 1 : 0 }
      }
    },
    "CumSum": { attributes in
      let (isExclusive, isReverse) = (attributes.integer("exclusive") != 0, attributes.integer("reverse") != 0)
      return { lane in
        var sum: Float = 0
        for step in 0..<lane.size {
          let place = (isReverse ? lane.size - 1 - step : step) * lane.stride
          let element = lane.source[place]
          if isExclusive { lane.floats[place] = sum }
          sum += element
          if !isExclusive { lane.floats[place] = sum }
        }
      }
    },
    "LpNormalization": { attributes in
      let isAbsolute = attributes.integer("p") == 1
      return { lane in
        var sum: Float = 0
        for index in 0..<lane.size {
          let element = lane.source[index * lane.stride]
          sum += isAbsolute ? abs(element) : element * element
        }
        let norm = isAbsolute ? sum : sum.squareRoot()
        for index in 0..<lane.size { lane.floats[index * lane.stride] = norm == 0 ? 0 : lane.source[index * lane.stride] / norm }
      }
    },
    "ArgMax": { attributes in
      let isLast = attributes.integer("select_last_index") != 0
      return { $0.target.storeBytes(of: Int64(clamping: $0.extreme(isLast: isLast, >)), as: Int64.self) }
    },
    "ArgMin": { attributes in
      let isLast = attributes.integer("select_last_index") != 0
      return { $0.target.storeBytes(of: Int64(clamping: $0.extreme(isLast: isLast, <)), as: Int64.self) }
    },
  ]

  /// Every lane of a dense source of `count` elements.
  static func run(
    _ loop: Loop, _ source: UnsafePointer<Float>, count: Int, size: Int, stride: Int, _ target: UnsafeMutableRawPointer, _ view: TensorView
  ) {
    guard count > 0 else { return }
    let (outer, width) = (count / (size * stride), view.type.memorySize)
    // As many elements as the source has along the axis, or one.
    let kept = view.count / (outer * stride)
    for block in 0..<outer {
      for place in 0..<stride {
        loop(
          Lane(
            source: source + (block * size * stride + place), target: target + (block * kept * stride + place) * width, size: size,
            stride: stride))
      }
    }
  }
}
