import CheckedNumbers
import Glibc
import ModelGraph

/// Element offsets of a view in row-major order of its shape, or of its first axes.
struct StridedReader {
  private let view: TensorView
  private let axes: Range<Int>
  private let isDense: Bool

  /// `droppingLast`: axes at the end that are somebody else's.
  init(_ view: TensorView, droppingLast: Int = 0) {
    self.view = view
    axes = 0..<max(0, view.shape.count - droppingLast)
    isDense = view.isContiguous(axes: axes)
  }

  var count: Int { view.shape[axes].reduce(1, *) }

  /// The offset of the index-th element.
  subscript(index: Int) -> Int {
    if isDense { return index }
    var (rest, offset) = (index, 0)
    for axis in axes.reversed() where view.shape[axis] > 1 {
      offset += rest % view.shape[axis] * view.strides[axis]
      rest /= view.shape[axis]
    }
    return offset
  }

  func forEach(_ body: (Int, Int) -> Void) {
    for index in 0..<count { body(index, self[index]) }
  }
}

extension TensorView {
  /// Elements after which a view repeats itself from the start; the whole for one that does not. nil where it is neither.
  var period: Int? {
    if isContiguous { return count }
    var repeated = 0
    while repeated < shape.count, shape[repeated] == 1 || strides[repeated] == 0 { repeated += 1 }
    guard isContiguous(axes: repeated..<shape.count) else { return nil }
    return max(1, shape[repeated...].reduce(1, *))
  }
}

extension BinaryOperation {
  /// The kernels' number; nil where there is none.
  var kernelCode: Int32? {
    switch self {
    case .add: 0
    case .subtract: 1
    case .multiply: 2
    case .divide: 3
    case .power, .minimum, .maximum: nil
    }
  }
}

/// Plain loops for what is rare or small.
enum ElementLoops {
  static func apply(_ operation: BinaryOperation, _ a: Float, _ b: Float) -> Float {
    switch operation {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .power: b == 2 ? a * a : powf(a, b)
    // NaN stays NaN, as in ONNX Runtime.
    case .minimum: a.isNaN || b.isNaN ? .nan : min(a, b)
    case .maximum: a.isNaN || b.isNaN ? .nan : max(a, b)
    }
  }

  /// With the function's attributes in their order.
  static func attributed(
    _ function: AttributedFunction, _ first: Float, _ second: Float, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ count: Int
  ) {
    switch function {
    case .leakyRelu: for index in 0..<count { y[index] = x[index] < 0 ? first * x[index] : x[index] }
    case .elu: for index in 0..<count { y[index] = x[index] < 0 ? first * expm1f(x[index]) : x[index] }
    case .celu: for index in 0..<count { y[index] = max(0, x[index]) + min(0, first * expm1f(x[index] / first)) }
    case .selu: for index in 0..<count { y[index] = second * (x[index] > 0 ? x[index] : first * expm1f(x[index])) }
    case .hardSigmoid: for index in 0..<count { y[index] = max(0, min(1, first * x[index] + second)) }
    case .thresholdedRelu: for index in 0..<count { y[index] = x[index] > first ? x[index] : 0 }
    }
  }

  static func unary(_ operation: UnaryOperation, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    switch operation {
    case .squareRoot: for index in 0..<count { y[index] = x[index].squareRoot() }
    case .erf: for index in 0..<count { y[index] = erff(x[index]) }
    case .tanh: for index in 0..<count { y[index] = tanhf(x[index]) }
    case .sigmoid: for index in 0..<count { y[index] = 1 / (1 + expf(-x[index])) }
    case .relu: for index in 0..<count { y[index] = x[index] < 0 ? 0 : x[index] }
    case .identity: y.update(from: x, count: count)
    case .gelu: for index in 0..<count { y[index] = 0.5 * x[index] * (1 + erff(x[index] * 0.707_106_77)) }
    case .absolute: for index in 0..<count { y[index] = abs(x[index]) }
    case .negate: for index in 0..<count { y[index] = -x[index] }
    case .exponential: for index in 0..<count { y[index] = expf(x[index]) }
    case .logarithm: for index in 0..<count { y[index] = logf(x[index]) }
    case .reciprocal: for index in 0..<count { y[index] = 1 / x[index] }
    case .floor: for index in 0..<count { y[index] = x[index].rounded(.down) }
    case .ceiling: for index in 0..<count { y[index] = x[index].rounded(.up) }
    case .round: for index in 0..<count { y[index] = x[index].rounded(.toNearestOrEven) }
    case .sign: for index in 0..<count { y[index] = x[index] > 0 ? 1 : x[index] < 0 ? -1 : x[index] }
    case .sine: for index in 0..<count { y[index] = sinf(x[index]) }
    case .cosine: for index in 0..<count { y[index] = cosf(x[index]) }
    // With the larger of x and 0 taken out, no power overflows.
    case .softplus: for index in 0..<count { y[index] = max(x[index], 0) + log1pf(expf(-abs(x[index]))) }
    case .softsign: for index in 0..<count { y[index] = x[index] / (1 + abs(x[index])) }
    case .hardSwish: for index in 0..<count { y[index] = x[index] * max(0, min(1, x[index] / 6 + 0.5)) }
    case .geluTanh:
      for index in 0..<count {
        y[index] = 0.5 * x[index] * (1 + tanhf(0.797_884_6 * (x[index] + 0.044_715 * x[index] * x[index] * x[index])))
      }
    }
  }

  static func softmax(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, shape: [Int], axis: Int) {
    let (size, inner) = (shape[axis], shape[(axis + 1)...].reduce(1, *))
    for outer in 0..<shape[..<axis].reduce(1, *) {
      for offset in 0..<inner {
        let start = outer * size * inner + offset
        var maximum = -Float.infinity
        for index in 0..<size { maximum = max(maximum, x[start + index * inner]) }
        var sum: Float = 0
        for index in 0..<size {
          y[start + index * inner] = expf(x[start + index * inner] - maximum)
          sum += y[start + index * inner]
        }
        for index in 0..<size { y[start + index * inner] /= sum }
      }
    }
  }

  static func copy<Element>(
    _: Element.Type, _ source: UnsafeRawPointer, _ from: TensorView, _ target: UnsafeMutableRawPointer, _ to: TensorView
  ) {
    let (x, y) = (source.assumingMemoryBound(to: Element.self), target.assumingMemoryBound(to: Element.self))
    // The last dimension in a tight loop, the others by their offsets.
    guard let width = from.shape.last, width > 0 else {
      if from.shape.isEmpty { y[0] = x[0] }
      return
    }
    let (step, stepOut) = (from.strides[from.strides.count - 1], to.strides[to.strides.count - 1])
    let (rowsIn, rowsOut) = (StridedReader(from, droppingLast: 1), StridedReader(to, droppingLast: 1))
    for row in 0..<rowsIn.count {
      let (a, b) = (x + rowsIn[row], y + rowsOut[row])
      if step == 1 && stepOut == 1 {
        b.update(from: a, count: width)
      } else {
        for index in 0..<width { b[index * stepOut] = a[index * step] }
      }
    }
  }

  /// What an x86 conversion gives, and with it ONNX Runtime: the fraction dropped, and the smallest integer for NaN and for all that does not
  /// fit (Intel's manual, CVTTSS2SI). ONNX leaves those undefined; a model answers the same whoever runs it.
  private static func integer<Integer: FixedWidthInteger>(_ value: Float) -> Integer {
    Integer(exactly: value.rounded(.towardZero)) ?? .min
  }

  static func cast(_ source: UnsafeRawPointer, _ from: DataType, _ target: UnsafeMutableRawPointer, _ to: DataType, _ count: Int) {
    for index in 0..<count {
      let (whole, real): (Int64, Float?) =
        switch from {
        case .int64: (source.load(fromByteOffset: index * 8, as: Int64.self), nil)
        case .int32: (Int64(source.load(fromByteOffset: index * 4, as: Int32.self)), nil)
        case .bool: (source.load(fromByteOffset: index, as: UInt8.self) == 0 ? 0 : 1, nil)
        default: (0, source.load(fromByteOffset: index * 4, as: Float.self))
        }
      switch to {
      case .int64: target.storeBytes(of: real.map { integer($0) } ?? whole, toByteOffset: index * 8, as: Int64.self)
      case .int32:
        target.storeBytes(of: real.map { integer($0) } ?? Int32(truncatingIfNeeded: whole), toByteOffset: index * 4, as: Int32.self)
      case .bool: target.storeBytes(of: (real.map { $0 != 0 } ?? (whole != 0)) ? 1 : 0, toByteOffset: index, as: UInt8.self)
      default: target.storeBytes(of: real ?? Float(whole), toByteOffset: index * 4, as: Float.self)
      }
    }
  }
}
