/// Numbers and texts out of borrowed bytes. Callers have checked the ranges; a slip gives zeros and no trap.
struct OSCallBytes {
  private let bytes: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var count: Int { bytes.count }

  @inline(__always) private func load<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: Number.Type) -> Number {
    guard offset >= 0, offset <= bytes.count - MemoryLayout<Number>.size else { return 0 }
    return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
  }

  @inline(__always) func uint32(_ offset: Int) -> UInt32 { load(offset, UInt32.self) }
  @inline(__always) func uint64(_ offset: Int) -> UInt64 { load(offset, UInt64.self) }
  @inline(__always) func int64(_ offset: Int) -> Int64 { load(offset, Int64.self) }

  func tally(_ offset: Int) -> OSCallFile.Tally {
    OSCallFile.Tally(calls: Int64(clamping: uint64(offset)), nanoseconds: Int64(clamping: uint64(offset + 8)))
  }

  func isZero(_ range: Range<Int>) -> Bool { range.clamped(to: 0..<count).allSatisfy { bytes[$0] == 0 } }

  /// Up to the first zero byte; what is no UTF-8 becomes replacement characters, as a path need not be text.
  func text(_ offset: Int, limit: Int) -> String { text([offset..<(offset + limit)]) }

  func text(_ ranges: [Range<Int>]) -> String {
    let all = ranges.flatMap { bytes[$0.clamped(to: 0..<count)] }
    return String(decoding: all.prefix { $0 != 0 }, as: UTF8.self)
  }
}
