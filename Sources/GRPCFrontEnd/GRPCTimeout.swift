import CheckedNumbers
import NIOCore

/// The `grpc-timeout` header: up to eight digits and a unit (grpc/grpc `doc/PROTOCOL-HTTP2.md`, Timeout).
enum GRPCTimeout {
  /// nil for what is not a timeout.
  static func parse(_ text: some StringProtocol) -> TimeAmount? {
    let bytes = Array(text.utf8)
    guard let unit = bytes.last, (2...9).contains(bytes.count) else { return nil }
    var value: Int64 = 0
    for byte in bytes.dropLast() {
      guard (0x30...0x39).contains(byte) else { return nil }
      // At most eight digits, and 99,999,999 hours are 3.6e20 ns: only hours and minutes can leave Int64, and are clamped below.
      value = value &* 10 &+ Int64(byte &- 0x30)
    }
    let scale: Int64
    switch unit {
    case UInt8(ascii: "n"): scale = 1
    case UInt8(ascii: "u"): scale = 1_000
    case UInt8(ascii: "m"): scale = 1_000_000
    case UInt8(ascii: "S"): scale = 1_000_000_000
    case UInt8(ascii: "M"): scale = 60_000_000_000
    case UInt8(ascii: "H"): scale = 3_600_000_000_000
    default: return nil
    }
    let (product, overflow) = value.multipliedReportingOverflow(by: scale)
    // A hundred years: far enough to be never, and no sum with a clock's reading overflows.
    let longest: Int64 = 3_155_760_000_000_000_000
    return .nanoseconds(overflow ? longest : min(product, longest))
  }
}
