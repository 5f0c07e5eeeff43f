import KServe
import NIOCore
import Testing
import TimeBase

@testable import GRPCFrontEnd
@testable import Serving

@Suite struct GRPCFramingTests {
  static func frame(_ message: [UInt8], compressed: Bool = false) -> [UInt8] {
    let count = UInt32(clamping: message.count)
    return [compressed ? 1 : 0] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * UInt32(clamping: $0))) } + message
  }

  @Test(arguments: 0..<200) func anyCutGivesTheSameMessages(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let messages = (0..<Int.random(in: 1...6, using: &random)).map { _ in
      (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
    var rest = messages.flatMap { Self.frame($0) }[...]
    var assembler = GRPCMessageAssembler(maximumBytes: 1_000)
    var got: [[UInt8]] = []
    while !rest.isEmpty {
      let cut = rest.prefix(Int.random(in: 1...400, using: &random))
      rest = rest.dropFirst(cut.count)
      assembler.append(ByteBuffer(bytes: cut))
      while let message = try assembler.next() { got.append(Array(message.bytes.readableBytesView)) }
    }
    #expect(got == messages)
    #expect(!assembler.isInsideMessage)
  }

  @Test func aClaimIsNotBelieved() throws {
    var assembler = GRPCMessageAssembler(maximumBytes: Int(Int32.max))
    assembler.append(ByteBuffer(bytes: [0, 0x7F, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 1, count: 100)))
    #expect(try assembler.next() == nil)
    assembler.append(ByteBuffer(bytes: [UInt8](repeating: 1, count: 100)))
    #expect(try assembler.next() == nil)
    #expect(assembler.isInsideMessage)
    #expect(throws: GRPCStatus(code: 8, "Received message larger than max (2147483648 vs. 2147483647)")) {
      var assembler = GRPCMessageAssembler(maximumBytes: Int(Int32.max))
      assembler.append(ByteBuffer(bytes: [0, 0x80, 0, 0, 0]))
      _ = try assembler.next()
    }
    #expect(throws: GRPCStatus.self) {
      var assembler = GRPCMessageAssembler(maximumBytes: 10)
      assembler.append(ByteBuffer(bytes: [2, 0, 0, 0, 0]))
      _ = try assembler.next()
    }
  }

  @Test func timeouts() {
    #expect(GRPCTimeout.parse("1S") == .seconds(1))
    #expect(GRPCTimeout.parse("99999999u") == .microseconds(99_999_999))
    #expect(GRPCTimeout.parse("250m") == .milliseconds(250))
    #expect(GRPCTimeout.parse("7n") == .nanoseconds(7))
    #expect(GRPCTimeout.parse("2M") == .minutes(2))
    #expect(GRPCTimeout.parse("3H") == .hours(3))
    #expect(GRPCTimeout.parse("99999999H") == .nanoseconds(3_155_760_000_000_000_000))
    for wrong in ["", "S", "1", "1s", "-1S", "123456789S", "1.5S", "1 S", "é"] { #expect(GRPCTimeout.parse(wrong) == nil, "\(wrong)") }
  }

  @Test func messagesAreEncoded() {
    #expect(GRPCStatus(code: 3, "plain 'text'").encodedMessage == "plain 'text'")
    #expect(GRPCStatus(code: 3, "100 %\n–").encodedMessage == "100 %25%0A%E2%80%93")
  }

  @Test func versions() throws {
    #expect(try VersionText.normalized("") == "")
    #expect(try VersionText.normalized(" +12x") == "12")
    for (text, details) in [
      ("abc", " (details: stol)"), ("99999999999999999999", " (details: stol)"), ("-", " (details: stol)"), ("-1", ""),
    ] {
      #expect(
        throws: GRPCStatus.invalidArgument(
          "failed to get model version from specified version string '\(text)'\(details), version should be an integral value > 0")
      ) { try VersionText.normalized(text) }
    }
  }

  @Test func everyTypeOfTheConfigurationIsKnown() {
    let schema = ModelConfigSchema.standard
    let scalars: Set = ["bool", "int32", "int64", "uint32", "uint64", "float", "double", "string"]
    #expect(schema.messages["ModelConfig"]?.count == 25)
    for (message, fields) in schema.messages {
      for (name, field) in fields {
        #expect(
          scalars.contains(field.type) || schema.messages[field.type] != nil || schema.enums[field.type] != nil, "\(message).\(name)")
      }
      #expect(Set(fields.values.map(\.number)).count == fields.count, "\(message) uses a number twice")
    }
  }
}
