import KServe
import Testing

/// The framing of a chunked body, byte for byte, against bodies that were made from what they must give.
@Suite struct ChunkedBodyTests {
  /// SplitMix64: random, and the same each time.
  private struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  private static func read(_ text: [UInt8], by sizes: (Int) -> Int) -> (bytes: [UInt8], used: Int, runs: Int, body: ChunkedBody) {
    var body = ChunkedBody()
    var (bytes, used, runs): ([UInt8], Int, Int) = ([], 0, 0)
    while used < text.count, !body.hasEnded, !body.isMalformed {
      let piece = Array(text[used..<min(text.count, used + max(1, sizes(text.count - used)))])
      used += piece.withUnsafeBytes { raw in
        body.read(raw) {
          bytes += piece[$0]
          runs += 1
        }
      }
    }
    return (bytes, used, runs, body)
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func aBodyIsItsChunksHoweverItArrives(seed: UInt64) {
    var numbers = Numbers(state: seed)
    var (expected, text): ([UInt8], [UInt8]) = ([], [])
    for _ in 0..<Int.random(in: 0...12, using: &numbers) {
      let data = (0..<Int.random(in: 1...40, using: &numbers)).map { _ in UInt8.random(in: 0...255, using: &numbers) }
      let size = String(data.count, radix: 16, uppercase: Bool.random(using: &numbers))
      let zeros = String(repeating: "0", count: Int.random(in: 0...3, using: &numbers))
      text += Array((zeros + size + ["", ";a=b", " ;c", "\t"][Int.random(in: 0...3, using: &numbers)] + "\r\n").utf8) + data + [13, 10]
      expected += data
    }
    text += Array((["0", "000"][Int.random(in: 0...1, using: &numbers)] + "\r\n").utf8)
    for _ in 0..<Int.random(in: 0...2, using: &numbers) { text += Array("Trailer: x\r\n".utf8) }
    text += [13, 10]
    let behind = Array("GET / HTTP/1.1\r\n".utf8)
    let (bytes, used, _, body) = Self.read(text + behind) { Int.random(in: 1...max(1, $0), using: &numbers) }
    #expect(bytes == expected)
    #expect(body.hasEnded && !body.isMalformed)
    #expect(used == text.count, "what follows is the next request's")
  }

  /// Any byte that is dropped or doubled at a place where the framing counts must not go unnoticed.
  @Test func everyByteOfTheFramingCounts() {
    let text = Array("3\r\nabc\r\n0\r\n\r\n".utf8)
    for index in text.indices {
      var short = text
      short.remove(at: index)
      let read = Self.read(short) { $0 }
      #expect(!read.body.hasEnded, "without byte \(index): \(String(decoding: read.bytes, as: UTF8.self))")
    }
  }

  @Test func dataArrivesInWholeRuns() {
    let (bytes, _, runs, _) = Self.read(Array("a\r\n0123456789\r\n2\r\nxy\r\n0\r\n\r\n".utf8)) { $0 }
    #expect(bytes.count == 12 && runs == 2)
  }

  @Test func aSizeHasFifteenDigitsAtMost() {
    #expect(Self.read(Array("000000000000001\r\nx\r\n0\r\n\r\n".utf8)) { $0 }.body.hasEnded)
    #expect(Self.read(Array("0000000000000001\r\nx\r\n0\r\n\r\n".utf8)) { $0 }.body.isMalformed)
    let huge = Self.read(Array("fffffffffffffff\r\nabc".utf8)) { $0 }
    #expect(!huge.body.isMalformed && !huge.body.hasEnded && huge.bytes.count == 3)
  }

  /// 64 KiB of what is dropped, exactly.
  @Test(arguments: [("1;", "\r\nx\r\n0\r\n\r\n"), ("0\r\n", "\r\n\r\n")])
  func whatIsDroppedIsBounded(start: String, end: String) {
    func reads(_ count: Int) -> ChunkedBody {
      Self.read(Array((start + String(repeating: "x", count: count) + end).utf8)) { $0 }.body
    }
    // The semicolon itself ends the size and is not counted.
    #expect(reads(1 << 16).hasEnded)
    #expect(reads(1 << 16 + 1).isMalformed)
  }

  @Test func nothingIsReadBehindTheEnd() {
    var body = ChunkedBody()
    let end = Array("0\r\n\r\n".utf8)
    #expect(end.withUnsafeBytes { body.read($0) { _ in } } == 5)
    #expect(body.hasEnded)
    #expect(end.withUnsafeBytes { body.read($0) { _ in Issue.record("data behind the end") } } == 0)
  }
}
