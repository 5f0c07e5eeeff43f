public import FileAccess

/// A mapped file as tensor bytes.
public final class MappedStorage: TensorStorage {
  private let file: MappedFile

  /// The whole file.
  public init(_ file: MappedFile) { self.file = file }

  /// How many bytes there are.
  public var byteCount: Int { file.count }

  /// Calls `body` with all bytes.
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result { try file.withBytes(body) }
}

/// A part of other bytes.
public final class SliceStorage: TensorStorage {
  private let base: any TensorStorage
  private let offset: Int
  /// How many bytes there are.
  public let byteCount: Int

  /// `count` bytes from `offset`; nil where they are not all inside.
  public init?(_ base: any TensorStorage, offset: Int, count: Int) {
    guard offset >= 0, count >= 0, offset <= base.byteCount, count <= base.byteCount - offset else { return nil }
    self.base = base
    self.offset = offset
    byteCount = count
  }

  /// Calls `body` with all bytes.
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try base.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[offset..<(offset + byteCount)])) }
  }
}

/// Weights that a plan file left out: their size is known, their values are not. Reading them gives zeros, made only then; a plan that
/// holds such storage says so, and nothing that computes outputs may run it.
public final class AbsentStorage: TensorStorage {
  /// How many bytes the weights would take.
  public let byteCount: Int

  /// Weights of this size, left out.
  public init(byteCount: Int) { self.byteCount = byteCount }

  /// Calls `body` with zeros.
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try [UInt8](repeating: 0, count: byteCount).withUnsafeBytes(body)
  }
}
