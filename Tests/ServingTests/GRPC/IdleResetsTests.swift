import NIOCore
import Testing
import TimeBase

@testable import GRPCFrontEnd
@testable import Serving

@Suite struct IdleResetsTests {
  private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  private static func frame(_ type: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
    let size = UInt32(clamping: payload.count)
    return withUnsafeBytes(of: size.bigEndian) { Array($0.dropFirst()) } + [type, 0] + withUnsafeBytes(of: stream.bigEndian) { Array($0) }
      + payload
  }

  private static func passed(_ bytes: [UInt8], cut: (Int) -> Int) -> (bytes: [UInt8], dropped: Int) {
    var (resets, out, offset) = (IdleResets(), [UInt8](), 0)
    while offset < bytes.count {
      let end = min(bytes.count, offset + max(1, cut(offset)))
      for piece in resets.pass(ByteBuffer(bytes: bytes[offset..<end])) { out += Array(piece.readableBytesView) }
      offset = end
    }
    return (out, resets.dropped)
  }

  /// A call that was cancelled before its headers were written.
  @Test func aResetOfAStreamThatNeverBeganIsTakenOut() {
    let before = Self.preface + Self.frame(4, 0, []) + Self.frame(1, 1, [1, 2, 3])
    let after = Self.frame(1, 5, [4]) + Self.frame(0, 5, [UInt8](repeating: 3, count: 300))
    let (bytes, dropped) = Self.passed(before + Self.frame(3, 3, [0, 0, 0, 8]) + after) { _ in .max }
    #expect(bytes == before + after && dropped == 1)
  }

  @Test func otherFramesPassAsTheyAre() {
    // A reset of a stream that began, one of another length (an error of its own), and what looks like a reset inside another frame.
    let bytes =
      Self.preface + Self.frame(1, 7, [1]) + Self.frame(3, 7, [0, 0, 0, 8]) + Self.frame(3, 5, [0, 0, 0, 8]) + Self.frame(3, 9, [0])
      + Self.frame(0, 7, Self.frame(3, 99, [0, 0, 0, 8]))
    let (passed, dropped) = Self.passed(bytes) { _ in .max }
    #expect(passed == bytes && dropped == 0)
  }

  @Test func cutsDoNotMatter() {
    var random = SplitMix64(seed: 11)
    func draw(_ limit: UInt64) -> Int { Int(clamping: random.next() % limit) }
    for _ in 0..<200 {
      var (bytes, expected, highest, resets) = (Self.preface, Self.preface, UInt32(0), 0)
      for _ in 0..<draw(20) {
        let (type, stream) = (UInt8(clamping: draw(5)), UInt32(clamping: draw(40)))
        let payload = [UInt8](repeating: 3, count: type == 3 ? 4 : draw(30))
        let frame = Self.frame(type, stream, payload)
        bytes += frame
        if type == 1 { highest = max(highest, stream) }
        if type == 3, stream > highest { resets += 1 } else { expected += frame }
      }
      let (passed, dropped) = Self.passed(bytes) { _ in 1 + draw(24) }
      #expect(passed == expected && dropped == resets)
    }
  }
}
