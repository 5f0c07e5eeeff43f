import Glibc
import ModelGraph

/// Loops of `OperatorDefinition.axisOperators` and `multipleResultOperators`: one lane at a time, by ONNX's name.
enum AxisLoops {
  /// The elements along the axis, and where what is made of them goes.
  struct Lane {
    var source: UnsafePointer<Float>
    /// Its first element, in the first result.
    var target: UnsafeMutableRawPointer
    /// The same of every result.
    var targets: UnsafeMutableBufferPointer<UnsafeMutableRawPointer>
    var size: Int
    /// How many elements each result has.
    var kept: Int
    /// Between neighbours, in elements: of the source and of targets.
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
    "TopK": { attributes in
      let sign: Float = attributes.integer("largest") != 0 ? 1 : -1
      return { lane in
        func key(_ index: Int) -> Float {
          let element = lane.source[index * lane.stride]
          return element.isNaN ? -.infinity : sign * element
        }
        // Of equal ones the first.
        func isBetter(_ left: Int, _ right: Int) -> Bool { key(left) == key(right) ? left < right : key(left) > key(right) }
        let places = lane.targets[1].assumingMemoryBound(to: Int64.self)
        withUnsafeTemporaryAllocation(of: Int.self, capacity: lane.kept) { best in
          // A heap whose top is the worst of what is kept; each of the others takes its place where it is better.
          func settle(_ start: Int, count: Int) {
            var parent = start
            while true {
              var worst = parent
              for child in [2 * parent + 1, 2 * parent + 2] where child < count && isBetter(best[worst], best[child]) { worst = child }
              if worst == parent { return }
              best.swapAt(parent, worst)
              parent = worst
            }
          }
          for index in 0..<lane.kept { best.initializeElement(at: index, to: index) }
          for parent in (0..<(lane.kept / 2)).reversed() { settle(parent, count: lane.kept) }
          if lane.kept > 0 {
            for index in lane.kept..<lane.size where isBetter(index, best[0]) {
              best[0] = index
              settle(0, count: lane.kept)
            }
          }
          for last in (0..<lane.kept).reversed() {
            best.swapAt(0, last)
            settle(0, count: last)
          }
          for (place, index) in best.enumerated() {
            lane.floats[place * lane.stride] = lane.source[index * lane.stride]
            places[place * lane.stride] = Int64(clamping: index)
          }
        }
      }
    },
  ]

  /// Every lane of a dense source of `count` elements, to results of `kept` elements along the axis, of so many bytes each.
  static func run(
    _ loop: Loop, _ source: UnsafePointer<Float>, count: Int, size: Int, stride: Int, kept: Int,
    _ targets: [(address: UnsafeMutableRawPointer, width: Int)]
  ) {
    guard count > 0 else { return }
    let outer = count / (size * stride)
    withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer.self, capacity: targets.count) { places in
      for block in 0..<outer {
        for place in 0..<stride {
          for (number, target) in targets.enumerated() {
            places.initializeElement(at: number, to: target.address + (block * kept * stride + place) * target.width)
          }
          loop(
            Lane(
              source: source + (block * size * stride + place), target: places[0], targets: places, size: size, kept: kept, stride: stride))
        }
      }
    }
  }
}
