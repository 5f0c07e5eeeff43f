/// A constant's elements: weights, folded shapes, lookup tables. Little-endian, row-major, dense.
///
/// The bytes are shared, never changed: copying a tensor copies a reference. They may be memory-mapped from a model file.
public struct Tensor: Sendable {
  /// Element type.
  public let type: DataType
  /// Sizes, outermost first. Empty: a scalar.
  public let shape: [Int]
  /// The elements' bytes; exactly `elementCount * type.bytesPerElement` of them.
  public let storage: any TensorStorage

  /// A tensor over existing bytes. Nil when the shape has a negative or overflowing size or does not match the byte count.
  public init?(type: DataType, shape: [Int], storage: any TensorStorage) {
    guard let count = Tensor.elementCount(of: shape) else { return nil }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: type.bytesPerElement)
    if overflow || bytes != storage.byteCount { return nil }
    self.type = type
    self.shape = shape
    self.storage = storage
  }

  /// Number of elements.
  public var elementCount: Int { storage.byteCount / type.bytesPerElement }

  /// Product of the sizes; nil when one is negative or the product overflows.
  public static func elementCount(of shape: [Int]) -> Int? {
    var count = 1
    for size in shape {
      if size < 0 { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      if overflow { return nil }
      count = product
    }
    return count
  }
}

/// Immutable bytes behind a tensor.
public protocol TensorStorage: AnyObject, Sendable {
  /// How many bytes there are.
  var byteCount: Int { get }
  /// Calls `body` with all bytes. The pointer need not be aligned: use `loadUnaligned`.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result
}

/// Bytes held in an array.
public final class ArrayStorage: TensorStorage {
  /// The bytes.
  public let bytes: [UInt8]
  /// Takes over `bytes`.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  /// How many bytes there are.
  public var byteCount: Int { bytes.count }
  /// Calls `body` with all bytes.
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try bytes.withUnsafeBytes(body)
  }
}
