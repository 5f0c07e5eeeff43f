import CheckedNumbers

/// The numbers of one block, read in order. A number that is cut off or too long ends the block: `isBad` says so, and what follows is 0.
struct CUDACaptureBlock {
  private let bytes: UnsafeRawBufferPointer
  private var at = 0
  private(set) var isBad = false
  // What steps are counted from.
  private var lastTime: UInt64 = 0
  private var lastCorrelation: UInt32 = 0
  private var lastThread: UInt32 = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { isBad || at >= bytes.count }

  /// Takes this block for damaged.
  mutating func spoil() { isBad = true }

  mutating func number() -> UInt64 {
    var (value, shift): (UInt64, UInt64) = (0, 0)
    while at < bytes.count, shift < 64 {
      let byte = bytes[at]
      at += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    isBad = true
    return 0
  }

  mutating func int32() -> Int32 { Int32(truncatingIfNeeded: number()) }
  mutating func int64() -> Int64 { Int64(clamping: number()) }

  private mutating func step() -> UInt64 {
    let value = number()
    return value >> 1 ^ (0 &- (value & 1))
  }

  mutating func tag() -> UInt8 {
    let tag = bytes[at]
    at += 1
    return tag
  }

  mutating func text() -> String {
    let count = Int(clamping: number())
    guard count <= bytes.count - at else {
      isBad = true
      return ""
    }
    defer { at += count }
    return String(decoding: bytes[at..<at + count], as: UTF8.self)
  }

  /// Start and end as they were recorded, whatever they are.
  mutating func times() -> (start: UInt64, end: UInt64) {
    lastTime = lastTime &+ step()
    return (lastTime, lastTime &+ step())
  }

  mutating func correlation() -> UInt32 {
    lastCorrelation = lastCorrelation &+ UInt32(truncatingIfNeeded: step())
    return lastCorrelation
  }

  mutating func thread() -> UInt32 {
    lastThread = lastThread &+ UInt32(truncatingIfNeeded: step())
    return lastThread
  }

  /// FNV-1a over the number of records, lowest byte first, and all bytes.
  static func checksum(records: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var sum: UInt32 = 2_166_136_261
    for shift in stride(from: UInt32(0), to: 32, by: 8) { sum = (sum ^ (records >> shift & 255)) &* 16_777_619 }
    return bytes.reduce(sum) { ($0 ^ UInt32($1)) &* 16_777_619 }
  }
}
