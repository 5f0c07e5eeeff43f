import Synchronization
import TimeBase

/// Initial weights that are computed when somebody first reads them: planning a model never does, so that the 400 MB of the stacked head
/// cost nothing until it is exported or run.
///
/// Uniform in +-bound, float32, from SplitMix64: the upper 24 bits of a draw over 2^23, less one, times the bound. Only multiplication and
/// subtraction of exactly representable numbers: the same bits on every machine, no mathematical library involved.
public final class SeededStorage: TensorStorage {
  /// How many bytes there are.
  public let byteCount: Int
  private let seed: UInt64
  private let bound: Float
  private let offset: Float
  private let cache = Mutex<[UInt8]?>(nil)

  /// `elementCount` float32 values in `offset` +- `bound`.
  public init(elementCount: Int, bound: Float, offset: Float = 0, seed: UInt64) {
    byteCount = elementCount * 4
    self.bound = bound
    self.offset = offset
    self.seed = seed
  }

  /// sqrt(6 / fan_in), the bound of He's uniform initialization ("Delving deep into rectifiers", ICCV 2015): it keeps the activations'
  /// size through a stack of ReLU layers. Division and square root are exact in IEEE 754.
  public static func heBound(fanIn: Int) -> Float { (Float(6) / Float(max(1, fanIn))).squareRoot() }

  /// Calls `body` with all bytes, computed on the first call.
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    let bytes = cache.withLock { cached in
      if let cached { return cached }
      var generator = SplitMix64(seed: seed)
      let count = byteCount / 4
      var made = [UInt8](repeating: 0, count: byteCount)
      made.withUnsafeMutableBytes { buffer in
        for index in 0..<count {
          let unit = Float(generator.next() >> 40) * 0x1p-23 - 1
          buffer.storeBytes(of: offset + unit * bound, toByteOffset: index * 4, as: Float.self)
        }
      }
      cached = made
      return made
    }
    return try bytes.withUnsafeBytes(body)
  }
}
