import CheckedNumbers
import CKernels

/// Rows of an elementwise or row-wise kernel, cut into parts for the pool's threads.
struct RowWork: PoolWork {
  /// What is done to each row, with its operands; addresses are those of row 0.
  enum Kernel {
    case layerNorm(
      source: UnsafePointer<Float>, scale: UnsafePointer<Float>, bias: UnsafePointer<Float>?, epsilon: Float, activation: Int32,
      target: UnsafeMutablePointer<Float>)
    case softmax(source: UnsafePointer<Float>, target: UnsafeMutablePointer<Float>)
    case activate(Int32, source: UnsafePointer<Float>, target: UnsafeMutablePointer<Float>)
    /// Both operands have every row.
    case binary(Int32, UnsafePointer<Float>, UnsafePointer<Float>, target: UnsafeMutablePointer<Float>)
    /// The second operand is one row for all.
    case binaryRepeated(Int32, UnsafePointer<Float>, UnsafePointer<Float>, target: UnsafeMutablePointer<Float>)
    /// `distance`: elements from row to row of the source; the target's rows hold an even number.
    case toBrain(source: UnsafePointer<Float>, distance: Int, target: UnsafeMutablePointer<UInt16>)
  }

  let kernel: Kernel
  let level: Int32
  let rows: Int
  /// Elements of a row.
  let width: Int
  let parts: Int

  /// `cost`: rough work an element.
  init(_ kernel: Kernel, level: Int32, rows: Int, width: Int, cost: Int, threads: Int) {
    (self.kernel, self.level, self.rows, self.width) = (kernel, level, rows, width)
    // A region costs some microseconds; below this one thread is as fast.
    let work = rows * width * cost
    parts = work > 1 << 16 && threads > 1 && rows > 1 ? min(rows, threads * 4, max(1, work >> 14)) : 1
  }

  func run(_ part: Int) {
    let first = rows * part / parts
    let (count, start) = (rows * (part + 1) / parts - first, first * width)
    let (height, length) = (Int64(count), Int64(width))
    switch kernel {
    case .layerNorm(let source, let scale, let bias, let epsilon, let activation, let target):
      headroom_layernorm(level, source + start, scale, bias, epsilon, activation, target + start, height, length)
    case .softmax(let source, let target): headroom_softmax(level, source + start, target + start, height, length)
    case .activate(let code, let source, let target): headroom_activate(level, code, source + start, target + start, height * length)
    case .binary(let code, let a, let b, let target):
      headroom_binary(level, code, a + start, b + start, target + start, height * length, height * length)
    case .binaryRepeated(let code, let a, let b, let target):
      headroom_binary(level, code, a + start, b, target + start, height * length, length)
    case .toBrain(let source, let distance, let target):
      headroom_to_bf16(level, source + first * distance, Int64(distance), height, length, target + first * ((width + 1) / 2 * 2))
    }
  }
}
