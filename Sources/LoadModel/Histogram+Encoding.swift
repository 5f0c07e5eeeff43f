import CheckedNumbers
import CZlib

/// Why a histogram, a log or a recording could not be read.
public struct LoadInputError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was wrong.
  public let description: String

  init(_ description: String) { self.description = description }
}

/// HdrHistogram's V2 form (HdrHistogram/HdrHistogram `EncodableHistogram.java`, `AbstractHistogram.java`: cookies, a 40-byte header, counts
/// as zig-zag LEB128 of at most nine bytes, runs of zeros as negative numbers), then zlib, then base64.
extension Histogram {
  private static let cookie: UInt32 = 0x1C84_9303
  private static let compressedCookie: UInt32 = 0x1C84_9304
  /// The word size in a cookie; V2 ignores it, writers put 0x10 there.
  private static let wordSize: UInt32 = 0x10
  private static let wordSizeMask: UInt32 = 0xF0
  private static let headerLength = 40
  private static let inflatedLimit = 64 << 20

  /// Compressed V2 in base64: a log's last column.
  public var encoded: String {
    let plain = encodedPlain
    let packed = Self.deflated(plain)
    var bytes: [UInt8] = []
    Self.append(Self.compressedCookie | Self.wordSize, to: &bytes)
    Self.append(UInt32(clamping: packed.count), to: &bytes)
    return Base64.encode(bytes + packed)
  }

  /// V2 without compression.
  var encodedPlain: [UInt8] {
    var payload: [UInt8] = []
    var zeros: Int64 = 0
    let used = counts.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
    for index in 0..<used {
      if counts[index] == 0 {
        zeros += 1
        continue
      }
      if zeros > 0 { Self.appendVarint(-zeros, to: &payload) }
      zeros = 0
      Self.appendVarint(counts[index], to: &payload)
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.headerLength + payload.count)
    Self.append(Self.cookie | Self.wordSize, to: &bytes)
    Self.append(UInt32(clamping: payload.count), to: &bytes)
    Self.append(UInt32(0), to: &bytes)
    Self.append(UInt32(clamping: significantDigits), to: &bytes)
    Self.append(UInt64(bitPattern: lowestDiscernible), to: &bytes)
    Self.append(UInt64(bitPattern: highestTrackable), to: &bytes)
    Self.append((1.0).bitPattern, to: &bytes)
    return bytes + payload
  }

  /// Reads what `encoded` wrote, or another implementation.
  public init(encoded text: some StringProtocol) throws(LoadInputError) {
    guard let bytes = Base64.decode(text) else { throw LoadInputError("the histogram is not base64") }
    guard let cookie: UInt32 = Self.integer(bytes, at: 0), let length: UInt32 = Self.integer(bytes, at: 4) else {
      throw LoadInputError("the histogram is shorter than its header")
    }
    guard cookie & ~Self.wordSizeMask == Self.compressedCookie else {
      throw LoadInputError("the histogram is not in the compressed V2 form (cookie 0x\(String(cookie, radix: 16)))")
    }
    guard bytes.count - 8 >= Int(length) else { throw LoadInputError("the histogram ends early") }
    try self.init(plain: try Self.inflated(Array(bytes[8..<8 + Int(length)])))
  }

  init(plain bytes: [UInt8]) throws(LoadInputError) {
    guard let cookie: UInt32 = Self.integer(bytes, at: 0), let length: UInt32 = Self.integer(bytes, at: 4),
      let offset: UInt32 = Self.integer(bytes, at: 8), let digits: UInt32 = Self.integer(bytes, at: 12),
      let lowest: UInt64 = Self.integer(bytes, at: 16), let highest: UInt64 = Self.integer(bytes, at: 24),
      let ratio: UInt64 = Self.integer(bytes, at: 32)
    else { throw LoadInputError("the histogram is shorter than its header") }
    guard cookie & ~Self.wordSizeMask == Self.cookie else {
      throw LoadInputError("the histogram is not in the V2 form (cookie 0x\(String(cookie, radix: 16)))")
    }
    guard offset == 0 else { throw LoadInputError("the histogram's values are shifted, which is not supported") }
    guard Double(bitPattern: ratio) == 1 else { throw LoadInputError("the histogram holds fractions, which is not supported") }
    guard
      let empty = Histogram(
        lowestDiscernible: Int64(bitPattern: lowest), highestTrackable: Int64(bitPattern: highest), significantDigits: Int(digits))
    else { throw LoadInputError("the histogram's range \(lowest)...\(highest) with \(digits) digits is none") }
    self = empty
    guard bytes.count - Self.headerLength >= Int(length) else { throw LoadInputError("the histogram's counts end early") }
    var position = Self.headerLength
    let end = Self.headerLength + Int(length)
    var index = 0
    let limit = indexLimit
    while position < end {
      guard let value = Self.varint(bytes, &position, end) else { throw LoadInputError("the histogram's counts end early") }
      if value < 0 {
        // Other writers pad to the whole layout with zeros.
        let (next, overflow) = index.subtractingReportingOverflow(Int(value))
        guard !overflow, next <= limit + (2 << subBucketHalfMagnitude) else {
          throw LoadInputError("the histogram has counts beyond its range")
        }
        index = next
      } else {
        if value > 0, !addDecoded(value, at: index) { throw LoadInputError("the histogram has counts beyond its range") }
        index += 1
        if index > limit + (2 << subBucketHalfMagnitude) { throw LoadInputError("the histogram has counts beyond its range") }
      }
    }
  }

  private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  private static func integer<Integer: FixedWidthInteger>(_ bytes: [UInt8], at offset: Int) -> Integer? {
    let size = MemoryLayout<Integer>.size
    guard bytes.count >= offset + size else { return nil }
    return bytes[offset..<offset + size].reduce(0) { $0 << 8 | Integer($1) }
  }

  /// Seven bits a byte, the ninth byte whole.
  static func appendVarint(_ value: Int64, to bytes: inout [UInt8]) {
    var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
    for _ in 0..<8 {
      if rest < 0x80 {
        bytes.append(UInt8(clamping: rest))
        return
      }
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  static func varint(_ bytes: [UInt8], _ position: inout Int, _ end: Int) -> Int64? {
    var value: UInt64 = 0
    for group in 0..<9 {
      guard position < end else { return nil }
      let byte = UInt64(bytes[position])
      position += 1
      if group == 8 {
        value |= byte << 56
      } else {
        value |= (byte & 0x7F) << UInt64(clamping: 7 * group)
        if byte < 0x80 { break }
      }
    }
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }

  private static func deflated(_ bytes: [UInt8]) -> [UInt8] {
    var length = compressBound(uLong(clamping: bytes.count))
    var packed = [UInt8](repeating: 0, count: Int(clamping: length))
    // Fails only without memory; an empty text then reads as broken rather than as another histogram.
    guard compress2(&packed, &length, bytes, uLong(clamping: bytes.count), Z_DEFAULT_COMPRESSION) == Z_OK else { return [] }
    return Array(packed[0..<Int(clamping: length)])
  }

  private static func inflated(_ bytes: [UInt8]) throws(LoadInputError) -> [UInt8] {
    var capacity = max(1 << 12, bytes.count * 8)
    while capacity <= inflatedLimit {
      var plain = [UInt8](repeating: 0, count: capacity)
      var length = uLong(clamping: capacity)
      switch uncompress(&plain, &length, bytes, uLong(clamping: bytes.count)) {
      case Z_OK: return Array(plain[0..<Int(clamping: length)])
      case Z_BUF_ERROR: capacity *= 4
      default: throw LoadInputError("the histogram's compressed bytes are broken")
      }
    }
    throw LoadInputError("the histogram's compressed bytes are broken or larger than \(inflatedLimit) bytes")
  }
}
