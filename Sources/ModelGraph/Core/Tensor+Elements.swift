import CheckedNumbers

extension Tensor {
  /// A float32 tensor of these values; nil when the count does not match the shape.
  public init?(float32 values: [Float], shape: [Int]) {
    self.init(type: .float32, shape: shape, storage: ArrayStorage(values.withUnsafeBytes { Array($0) }))
  }

  /// An int64 tensor of these values; nil when the count does not match the shape.
  public init?(int64 values: [Int64], shape: [Int]) {
    self.init(type: .int64, shape: shape, storage: ArrayStorage(values.withUnsafeBytes { Array($0) }))
  }

  /// A float32 or int64 scalar.
  public init(scalar value: Float) {
    self.init(unchecked: .float32, [], ArrayStorage(withUnsafeBytes(of: value) { Array($0) }))
  }

  /// All elements as Double; int64 beyond 2^53 loses its last bits, which no weight or index here has.
  public var doubles: [Double] {
    storage.withBytes { bytes in
      (0..<elementCount).map { index in
        switch type {
        case .float32: Double(bytes.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
        case .float64: bytes.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
        case .float16: Tensor.double(float16: bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
        case .bfloat16:
          Double(Float(bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) << 16))
        case .int64: Double(bytes.loadUnaligned(fromByteOffset: index * 8, as: Int64.self))
        case .int32: Double(bytes.loadUnaligned(fromByteOffset: index * 4, as: Int32.self))
        case .bool: bytes[index] == 0 ? 0 : 1
        case .int16: Double(bytes.loadUnaligned(fromByteOffset: index * 2, as: Int16.self))
        case .int8: Double(bytes.loadUnaligned(fromByteOffset: index, as: Int8.self))
        case .uint64: Double(bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        case .uint32: Double(bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
        case .uint16: Double(bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
        case .uint8: Double(bytes[index])
        // No numbers, or none that anything computes with: plans read no values of these.
        case .string, .complex64, .complex128, .float8, .bits4: Double.nan
        }
      }
    }
  }

  /// The elements of an int64, int32 or bool tensor; nil for others.
  public var integers: [Int]? {
    storage.withBytes { bytes in
      switch type {
      case .int64: (0..<elementCount).map { Int(bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
      case .int32: (0..<elementCount).map { Int(bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
      case .bool: (0..<elementCount).map { bytes[$0] == 0 ? 0 : 1 }
      default: nil
      }
    }
  }

  /// The nearest bfloat16, ties to even.
  public static func brainFloat(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }

  /// IEEE 754 binary16, by its definition: 1 sign, 5 exponent (bias 15), 10 fraction bits.
  static func double(float16 bits: UInt16) -> Double {
    let sign: Double = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 0x1F)
    let fraction = Double(bits & 0x3FF)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default: return sign * Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
    }
  }

  private init(unchecked type: DataType, _ shape: [Int], _ storage: any TensorStorage) {
    self.type = type
    self.shape = shape
    self.storage = storage
  }
}

extension DataType {
  /// An element of an executable type, rounded (integers: towards zero, and to the nearest end where it does not fit); zeros for the others.
  public func bytes(of value: Double) -> [UInt8] {
    func raw<Element: BitwiseCopyable>(_ element: Element) -> [UInt8] { withUnsafeBytes(of: element) { Array($0) } }
    return switch self {
    case .float32: raw(Float(value))
    case .float64: raw(value)
    case .float16: raw(Float16(value).bitPattern)
    case .bfloat16: raw(Tensor.brainFloat(Float(value)))
    case .int64: raw(Int64(saturating: value))
    case .int32: raw(Int32(saturating: value))
    case .bool: [value == 0 ? 0 : 1]
    default: [UInt8](repeating: 0, count: bytesPerElement)
    }
  }
}
