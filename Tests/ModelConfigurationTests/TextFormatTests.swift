import Testing

@testable import ModelConfiguration

@Suite struct TextFormatTests {
  static func value(_ text: String) throws -> TextValue.Content {
    try #require(try TextParser.parse("x: " + text, file: "t").first?.values.first).content
  }

  static func failure(_ text: String) -> String {
    do {
      _ = try TextParser.parse(text, file: "t")
      return "accepted"
    } catch { return error.description }
  }

  @Test(arguments: [
    ("0", 0), ("17", 17), ("-17", -17), ("- 17", -17), ("0x1F", 31), ("-0x1f", -31), ("017", 15), ("-0", 0),
    ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
  ]) func integers(text: String, expected: Int64) throws {
    guard case .integer(let literal) = try Self.value(text) else {
      Issue.record("\(text) is not an integer")
      return
    }
    #expect(literal.signed == expected)
  }

  @Test func integersBeyondTheirWidthHaveNoValue() throws {
    guard case .integer(let maximum) = try Self.value("18446744073709551615"),
      case .integer(let over) = try Self.value("18446744073709551616"),
      case .integer(let under) = try Self.value("-9223372036854775809")
    else {
      Issue.record("not integers")
      return
    }
    #expect(maximum.unsigned == UInt64.max && maximum.signed == nil)
    #expect(over.unsigned == nil && over.signed == nil)
    #expect(under.signed == nil && under.unsigned == nil)
  }

  @Test(arguments: [
    ("1.5", 1.5), ("1.", 1), (".5", 0.5), ("1.05", 1.05), ("-2e3", -2000), ("1.e2", 100), ("2.5E-1f", 0.25), ("3f", 3), ("0.25", 0.25),
    ("1e999", Double.infinity),
  ]) func numbers(text: String, expected: Double) throws {
    #expect(try Self.value(text) == .number(expected))
  }

  @Test(arguments: [
    (#""plain""#, "plain"), (#"'single "inside"'"#, "single \"inside\""), (#""it's""#, "it's"), (#""a" 'b' "c""#, "abc"),
    (#""\a\b\f\n\r\t\v\\\'\"\?""#, "\u{7}\u{8}\u{C}\n\r\t\u{B}\\'\"?"), (#""\101\7\0607""#, "A\u{7}07"), (#""\x41\x9g""#, "A\tg"),
    (#""\u00e9\U0001F642\ud83d\ude42""#, "é🙂🙂"), ("\"é # not a comment\"", "é # not a comment"), ("\"\"", ""),
  ]) func texts(text: String, expected: String) throws {
    #expect(try Self.value(text) == .string(Array(expected.utf8)))
  }

  @Test func everyFormOfAMessageReadsTheSame() throws {
    func shape(_ fields: [TextField]) -> [String] {
      fields.flatMap { field in
        field.values.map { value in
          if case .message(let inner) = value.content { return "\(field.name){\(shape(inner).joined(separator: " "))}" }
          return field.name
        }
      }
    }
    for text in [
      "m { a: 1 }", "m: { a: 1 }", "m < a: 1 >", "m: < a: 1; >,", "m [ { a: 1, } ]", "m: [ < a: 1 > ];", "m{a:1}#x", "\u{FEFF}m{a:1}",
    ] {
      #expect(shape(try TextParser.parse(text, file: "t")) == ["m{a}"], "\(text)")
    }
    #expect(try TextParser.parse("m []", file: "t").first?.values.isEmpty == true)
  }

  @Test func placesCountFromOne() throws {
    let fields = try TextParser.parse("a: 1 # x\n\r\n  bc: [2,\n 3]", file: "t")
    #expect(fields.map(\.place) == [.position(line: 1, column: 1), .position(line: 3, column: 3)])
    #expect(fields.last?.values.map(\.place) == [.position(line: 3, column: 8), .position(line: 4, column: 2)])
  }

  @Test(arguments: [
    ("a", "t:1:2: expected ':' or '{' after 'a', found the end of the text"), ("a 1", "t:1:3: expected ':' or '{' after 'a', found '1'"),
    ("a:", "t:1:3: expected a value for 'a', found the end of the text"), ("a: }", "t:1:4: expected a value for 'a', found '}'"),
    ("m {\n a: 1", "t:2:6: the text ends inside the message that opens in line 1; close it"),
    ("m { a: 1 >", "t:1:10: expected a field's name, found '>'"), ("}", "t:1:1: expected a field's name, found '}'"),
    ("[ext.name]: 1", "t:1:1: extensions are not supported, found '['"), ("1: 2", "t:1:1: expected a field's name, found '1'"),
    ("a: [1, 2", "t:1:9: expected ',' or ']' in the list of 'a', found the end of the text"),
    ("a: [1 2]", "t:1:7: expected ',' or ']' in the list of 'a', found '2'"), ("a: [[1]]", "t:1:5: a list cannot hold a list"),
    ("a: [1,]", "t:1:7: expected a value for 'a', found ']'"), ("a: \"x", "t:1:4: this text has no closing quote"),
    ("a: \"x\n\"", "t:1:4: a text must end in the line it starts in; write \\n for a line break"),
    (#"a: "\q""#, #"t:1:5: this escape is unknown; write \\ for a backslash"#), (#"a: "\400""#, #"t:1:5: an octal escape is at most \377"#),
    (#"a: "\xg""#, #"t:1:5: expected hexadecimal digits after \x"#), (#"a: "\u12""#, "t:1:5: expected 4 hexadecimal digits in this escape"),
    (#"a: "\ud800""#, "t:1:5: this escape is not a Unicode character"),
    (#"a: "\ud800\u0041""#, "t:1:5: a high surrogate must be followed by a low one"),
    (#"a: "\U00110000""#, "t:1:5: this escape is not a Unicode character"), (#"a: "\"#, "t:1:5: the text ends in an escape"),
    ("a: 09", "t:1:4: a number that starts with 0 is octal and has only the digits 0 to 7"),
    ("a: 0x", "t:1:4: expected hexadecimal digits after 0x"), ("a: 1e", "t:1:6: expected digits in the exponent"),
    ("a: 12ab", "t:1:4: a number ends in 'a'; put a space after it, or the text in quotes"),
    ("a: 1.2.3", "t:1:4: a number ends in '.'; put a space after it, or the text in quotes"),
    ("a: -\"x\"", "t:1:5: expected a value for 'a', found a text in quotes"), ("a: +1", "t:1:4: unexpected character '+'"),
    ("a: é", "t:1:4: unexpected character outside ASCII"), ("a: \u{1}", "t:1:4: unexpected control character (byte 1)"),
  ]) func badTextIsRefusedWithItsPlace(text: String, expected: String) {
    #expect(Self.failure(text).hasPrefix(expected), "\(Self.failure(text))")
  }

  @Test(arguments: [
    (
      "max_batch_size:\ninput [ { } ]",
      "t:2:1: 'max_batch_size' takes a number, not the word input, which begins the next field; its value is missing"
    ),
    (
      "name:\nplatform: \"x\"",
      "t:2:1: 'name' takes a text in quotes, not the word platform, which begins the next field; its value is missing"
    ), ("a {\n b: \n c { } }", "t:3:2: 'b' takes a value, not the word c, which begins the next field; its value is missing"),
    ("a: b: 1", "t:1:4: 'a' takes a value, not the word b"),
  ]) func aMissingValueIsSaidToBeMissing(text: String, expected: String) {
    #expect(Self.failure(text).hasPrefix(expected), "\(Self.failure(text))")
  }

  @Test(arguments: [
    ("a: ${rows}", "t:1:4: '${rows}'"), ("a: $rows", "t:1:4: '$rows'"), ("a: $(rows)", "t:1:4: '$(rows)'"),
    ("a: {{ rows }}", "t:1:4: '{{ rows }}'"), ("a: @ROWS@", "t:1:4: '@ROWS@'"), ("a: %ROWS%", "t:1:4: '%ROWS%'"),
    ("${fields}", "t:1:1: '${fields}'"), ("a: KIND_${kind}", "t:1:9: '${kind}'"), ("m { a: [1, ${b}] }", "t:1:12: '${b}'"),
  ]) func placeholdersAreCalledSo(text: String, expected: String) {
    #expect(Self.failure(text) == expected + " is a placeholder that was not filled in; write its value in its place")
  }

  @Test func anyByteMayStandInAComment() throws {
    let bytes = Array("a: 1 # ".utf8) + [0xD7, 0xEE, 0xB4, 0xF3, 0x00, 0xFF] + Array("\nb: \"".utf8) + [0xFF] + Array("\"".utf8)
    let fields = try TextParser.parse(bytes: bytes, file: "t")
    #expect(fields.map(\.name) == ["a", "b"])
    #expect(fields.last?.values.first?.content == .string([0xFF]))
    let outside = Array("a: 1\n ".utf8) + [0xD7] + Array(" b: 1".utf8)
    let error = #expect(throws: ModelConfigurationError.self) { try TextParser.parse(bytes: outside, file: "t") }
    #expect(error?.description.hasPrefix("t:2:2: unexpected character outside ASCII") == true)
  }

  @Test func nestingEndsAtAHundredLevels() {
    func nested(_ count: Int) -> String { String(repeating: "m{", count: count) + String(repeating: "}", count: count) }
    #expect(Self.failure(nested(100)) == "accepted")
    #expect(Self.failure(nested(101)) == "t:1:202: nested deeper than 100 levels")
    #expect(Self.failure(String(repeating: "m<", count: 1_000_000)).contains("nested deeper"))
    #expect(Self.failure(String(repeating: "m:[{", count: 1_000_000)).contains("nested deeper"))
    #expect(Self.failure(String(repeating: "[", count: 1_000_000)).contains("extensions are not supported"))
  }
}
