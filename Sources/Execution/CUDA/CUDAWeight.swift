import CheckedNumbers
import ModelGraph

/// A weight matrix on the device, row-major as the model has it; slices of one tensor lie one behind the other.
enum CUDAWeight {
  /// What a program has to know of it.
  struct Shape: Sendable, Hashable {
    var k: Int
    var n: Int
    /// Stored [n][k].
    var isTransposed: Bool
    var value: ValueID
    var slice: Int

    /// Whether it is the slice so many behind another one of the same tensor.
    func follows(_ other: Shape, by count: Int) -> Bool {
      value == other.value && isTransposed == other.isTransposed && slice == other.slice + count && k == other.k && n == other.n
    }
  }

  /// The shapes of a graph's weights, by their numbers.
  static func shapes(_ sources: [CPUWeightSource], _ index: [CPUWeightKey: Int]) -> [Shape] {
    var shapes = sources.map { Shape(k: $0.k, n: $0.n, isTransposed: $0.isTransposed, value: ValueID(-1), slice: 0) }
    for (key, number) in index { (shapes[number].value, shapes[number].slice) = (key.value, key.slice) }
    return shapes
  }

  /// All elements in a type.
  static func bytes(_ source: CPUWeightSource, as type: DataType) throws(DeviceError) -> [UInt8] {
    try source.withFloats { floats throws(DeviceError) in
      if type == .float32 { return Array(UnsafeRawBufferPointer(floats)) }
      var all = [UInt8](repeating: 0, count: floats.count * 2)
      all.withUnsafeMutableBytes { raw in
        for (index, value) in floats.enumerated() {
          raw.storeBytes(
            of: type == .float16 ? CUDALowering.half(value) : CUDALowering.bf16(value), toByteOffset: index * 2, as: UInt16.self)
        }
      }
      return all
    }
  }

  /// Packed for a chain's kernel: [column / 16][k / 32][column % 16 / 8][lane] x 8 elements of 16 bits, lane = column % 8 * 4 + k % 32 / 8 (see
  /// chain.cuh). `bytes`: as `bytes(_:as:)` gives them.
  static func packed(_ bytes: [UInt8], _ shape: Shape) -> [UInt8] {
    let (k, n) = (shape.k, shape.n)
    var packed = [UInt8](repeating: 0, count: bytes.count)
    bytes.withUnsafeBytes { source in
      packed.withUnsafeMutableBytes { target in
        for column in 0..<n {
          for place in 0..<k {
            let element = source.loadUnaligned(
              fromByteOffset: 2 * (shape.isTransposed ? column * k + place : place * n + column), as: UInt16.self)
            let lane = column % 8 * 4 + place % 32 / 8
            let chunk = ((column / 16 * (k / 32) + place / 32) * 2 + column % 16 / 8) * 32 + lane
            target.storeBytes(of: element, toByteOffset: chunk * 16 + place % 8 * 2, as: UInt16.self)
          }
        }
      }
    }
    return packed
  }
}
