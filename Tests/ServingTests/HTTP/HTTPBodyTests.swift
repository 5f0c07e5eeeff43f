import KServe
import NIOCore
import Testing

@testable import HTTPFrontEnd
@testable import Serving

/// Bytes of a body in the order they came, however they are cut and taken.
@Suite struct HTTPBodyTests {
  private static func body(_ bytes: [UInt8], pieces: [Int]) -> HTTPBody {
    var body = HTTPBody()
    var rest = bytes[...]
    for piece in pieces {
      body.append(ByteBuffer(bytes: rest.prefix(piece)))
      rest = rest.dropFirst(piece)
    }
    body.append(ByteBuffer(bytes: rest))
    return body
  }

  private static func bytes(_ parts: [ByteBuffer]) -> [UInt8] { parts.flatMap { Array($0.readableBytesView) } }

  @Test(arguments: [[], [1], [500, 1, 1, 600], [513, 513], [0, 3, 0], Array(repeating: 7, count: 90)])
  func whatIsTakenIsWhatCame(pieces: [Int]) {
    let bytes = (0..<2000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for takes in [[2000], [1, 1999], [700, 0, 700, 600], Array(repeating: 100, count: 20)] {
      var body = Self.body(bytes, pieces: pieces)
      #expect(body.byteCount == 2000)
      var taken: [UInt8] = []
      for (index, count) in takes.enumerated() {
        if index.isMultiple(of: 2) {
          taken += body.take(count).map(Self.bytes) ?? []
        } else {
          taken += body.takeJoined(count).map { Array($0.readableBytesView) } ?? []
        }
        #expect(body.byteCount == 2000 - taken.count)
      }
      #expect(taken == bytes, "\(pieces) \(takes)")
      #expect(body.slices.isEmpty && body.take(0)?.isEmpty == true)
    }
  }

  @Test func moreThanIsThereIsNotGiven() {
    var body = Self.body([1, 2, 3], pieces: [1])
    #expect(body.take(4) == nil && body.take(-1) == nil && body.takeJoined(4) == nil)
    #expect(body.byteCount == 3)
    #expect(body.takeJoined(3) == ByteBuffer(bytes: [1, 2, 3]))
  }

  /// Large pieces stay where they are: they are copied once, into a batch.
  @Test func largePiecesAreNotJoined() {
    let body = Self.body(Array(repeating: 1, count: 3000), pieces: [1000, 1000])
    #expect(body.slices.map(\.readableBytes) == [1000, 1000, 1000])
    let small = Self.body(Array(repeating: 1, count: 300), pieces: Array(repeating: 1, count: 299))
    #expect(small.slices.count <= 2)
  }
}

/// Whole bodies through zlib, with a bound on what they may become.
@Suite struct BodyCodingTests {
  @Test(arguments: [ContentCoding.gzip, .deflate], [0, 1, 100, 70_000, 1_000_000])
  func whatIsPackedIsUnpacked(coding: ContentCoding, count: Int) throws {
    // Half of it repeats, half does not.
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0.isMultiple(of: 2) ? 7 : ($0 &* $0) >> 3) }
    let packed = try #require(
      BodyCoding.deflated([ByteBuffer(bytes: bytes[..<(count / 3)]), ByteBuffer(bytes: bytes[(count / 3)...])], coding))
    #expect(try BodyCoding.inflated([packed], coding, limit: count) == ByteBuffer(bytes: bytes))
    // In pieces of any size, the same.
    var pieces: [ByteBuffer] = []
    var rest = packed
    while let piece = rest.readSlice(length: min(max(1, packed.readableBytes / 7), rest.readableBytes)), piece.readableBytes > 0 {
      pieces.append(piece)
    }
    #expect(try BodyCoding.inflated(pieces, coding, limit: count) == ByteBuffer(bytes: bytes))
    if count > 0 {
      #expect(throws: BodyCoding.Failure.tooLarge) { try BodyCoding.inflated([packed], coding, limit: count - 1) }
    }
    let torn = packed.getSlice(at: 0, length: packed.readableBytes - 1) ?? ByteBuffer()
    #expect(throws: BodyCoding.Failure.malformed) { try BodyCoding.inflated([torn], coding, limit: count) }
  }

  /// gzip's members one behind the other are one body (RFC 1952, 2.2); anything else behind a stream is not passed over.
  @Test func membersFollowOneAnother() throws {
    let members = try ["[1,", "2", "]"].map { try #require(BodyCoding.deflated([ByteBuffer(string: $0)], .gzip)) }
    var joined = ByteBuffer()
    for member in members { joined.writeImmutableBuffer(member) }
    #expect(try BodyCoding.inflated([joined], .gzip, limit: 100) == ByteBuffer(string: "[1,2]"))
    #expect(try BodyCoding.inflated(members, .gzip, limit: 100) == ByteBuffer(string: "[1,2]"))
    #expect(throws: BodyCoding.Failure.tooLarge) { try BodyCoding.inflated(members, .gzip, limit: 4) }
    for coding in [ContentCoding.gzip, .deflate] {
      var followed = try #require(BodyCoding.deflated([ByteBuffer(string: "[1]")], coding))
      followed.writeString("junk")
      #expect(throws: BodyCoding.Failure.malformed) { try BodyCoding.inflated([followed], coding, limit: 100) }
    }
  }

  @Test func whatIsNoStreamIsMalformed() {
    for coding in [ContentCoding.gzip, .deflate] {
      for text in ["", "nonsense", "\u{1f}"] {
        #expect(throws: BodyCoding.Failure.malformed) { try BodyCoding.inflated([ByteBuffer(string: text)], coding, limit: 1000) }
      }
    }
  }
}
