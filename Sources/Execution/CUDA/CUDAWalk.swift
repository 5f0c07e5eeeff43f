import CCUDAKernels
import CheckedNumbers
import ModelGraph

/// How element-wise kernels walk their operands: sizes and strides, dimensions joined where every operand allows it.
struct CUDAWalk {
  private(set) var sizes: [Int] = []
  private(set) var strides: [[Int]]

  /// `strides`: one list per operand, each as long as `sizes`.
  init(_ shape: [Int], _ operands: [[Int]]) {
    strides = operands.map { _ in [] }
    for axis in shape.indices where shape[axis] != 1 {
      if let last = sizes.indices.last, operands.indices.allSatisfy({ strides[$0][last] == operands[$0][axis] * shape[axis] }) {
        sizes[last] *= shape[axis]
        for operand in operands.indices { strides[operand][last] = operands[operand][axis] }
      } else {
        sizes.append(shape[axis])
        for operand in operands.indices { strides[operand].append(operands[operand][axis]) }
      }
    }
    if sizes.isEmpty {
      sizes = [1]
      for operand in operands.indices { strides[operand] = [0] }
    }
  }

  /// For the kernel; nil where there are more dimensions than it walks, or larger ones.
  func argument(count: Int) -> HRWalk? {
    guard sizes.count <= Int(HR_MAX_RANK), sizes.allSatisfy({ Int32(exactly: $0) != nil }) else { return nil }
    var walk = HRWalk()
    walk.rank = Int32(clamping: sizes.count)
    walk.count = Int64(count)
    withUnsafeMutableBytes(of: &walk.sizes) { bytes in
      for (axis, size) in sizes.enumerated() { bytes.storeBytes(of: Int32(clamping: size), toByteOffset: axis * 4, as: Int32.self) }
    }
    func store(_ operand: Int, _ bytes: UnsafeMutableRawBufferPointer) {
      guard operand < strides.count else { return }
      for (axis, stride) in strides[operand].enumerated() { bytes.storeBytes(of: Int64(stride), toByteOffset: axis * 8, as: Int64.self) }
    }
    withUnsafeMutableBytes(of: &walk.a) { store(0, $0) }
    withUnsafeMutableBytes(of: &walk.b) { store(1, $0) }
    withUnsafeMutableBytes(of: &walk.c) { store(2, $0) }
    return walk
  }
}

extension ElementMove.Lookup {
  /// For the kernel; nil where there are more axes than it takes.
  func argument(isLong: Bool) -> HRLookup? {
    guard axes.count <= Int(HR_MAX_RANK) else { return nil }
    var argument = HRLookup()
    (argument.count, argument.isLong) = (Int32(clamping: axes.count), isLong ? 1 : 0)
    (argument.isOfTarget, argument.isLenient) = (isOfTarget ? 1 : 0, isLenient ? 1 : 0)
    argument.step = Int64(step)
    withUnsafeMutableBytes(of: &argument.sizes) { bytes in
      for (place, axis) in axes.enumerated() { bytes.storeBytes(of: Int64(axis.size), toByteOffset: place * 8, as: Int64.self) }
    }
    withUnsafeMutableBytes(of: &argument.strides) { bytes in
      for (place, axis) in axes.enumerated() { bytes.storeBytes(of: Int64(axis.stride), toByteOffset: place * 8, as: Int64.self) }
    }
    return argument
  }
}
