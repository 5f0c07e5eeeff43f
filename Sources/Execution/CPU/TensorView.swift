import ModelGraph

/// Where a value's elements are: a buffer, an offset, sizes and strides. Reshapes, transposes, slices and expansions are views: they move
/// nothing.
struct TensorView: Sendable, Hashable {
  /// Whose memory it is.
  enum Buffer: Sendable, Hashable {
    case arena
    case input(Int)
    case output(Int)
    case constant(Int)
  }

  var buffer: Buffer
  /// Bytes from the buffer's start.
  var offset: Int
  var type: DataType
  var shape: [Int]
  /// In elements.
  var strides: [Int]

  var count: Int { shape.reduce(1, *) }
  var byteCount: Int { count * type.memorySize }

  // A batch asks these of every step: plain loops, nothing on the heap.

  /// Row-major and without gaps.
  var isContiguous: Bool { isContiguous(axes: shape.indices) }

  /// The same of some neighbouring axes alone.
  func isContiguous(axes: Range<Int>) -> Bool {
    var expected = 1
    for axis in axes.reversed() where shape[axis] != 1 {
      if strides[axis] != expected { return false }
      expected *= shape[axis]
    }
    return true
  }

  static func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for index in shape.indices.dropLast().reversed() { strides[index] = strides[index + 1] * max(1, shape[index + 1]) }
    return strides
  }

  /// The same elements in another shape, if no element has to move.
  func reshaped(_ shape: [Int]) -> TensorView? {
    guard isContiguous else { return nil }
    var view = self
    view.shape = shape
    view.strides = Self.contiguousStrides(shape)
    return view
  }

  /// Broadcast to a shape: repeated dimensions have stride 0.
  func broadcast(to target: [Int]) -> TensorView {
    var view = self
    let missing = target.count - shape.count
    view.shape = target
    view.strides = target.indices.map { index in
      let own = index - missing
      return own < 0 || shape[own] == 1 && target[index] != 1 ? 0 : strides[own]
    }
    return view
  }

  /// m, k and the distance of rows where the last dimension is dense and the leading ones are evenly spaced: what a product reads.
  var matrixRows: (rows: Int, width: Int, distance: Int)? {
    guard let width = shape.last else { return nil }
    guard width <= 1 || strides.last == 1 else { return nil }
    var (rows, distance): (Int, Int?) = (1, nil)
    for axis in shape.indices.dropLast().reversed() where shape[axis] != 1 {
      if let distance, strides[axis] != distance * rows { return nil }
      if distance == nil { distance = strides[axis] }
      rows *= shape[axis]
    }
    return (rows, width, distance ?? width)
  }
}

extension DataType {
  /// Bytes an element takes on this device: booleans are bytes.
  var memorySize: Int { bytesPerElement }
}
