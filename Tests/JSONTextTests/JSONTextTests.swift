import JSONText
import Testing

@Suite struct JSONTextTests {
  @Test func writingAndReadingBackKeepsEverything() throws {
    let document: JSONValue = [
      "schema": "headroom.plan/1", "count": 3, "share": 0.1, "none": nil, "yes": true,
      "names": ["a\"b\\c\n\u{1}é", "🙂"], "nested": ["empty": [:], "list": [[1, 2], [:]]],
    ]
    #expect(try JSONValue.parse(document.serialized()) == document)
    #expect(try JSONValue.parse(document.serialized(pretty: false)) == document)
  }

  @Test func notANumberIsWrittenAsNull() {
    #expect(JSONValue(Double.nan) == .null)
    #expect(JSONValue.number(.infinity).serialized() == "null")
  }

  @Test func escapesAndSurrogatesAreDecoded() throws {
    #expect(try JSONValue.parse(#""\u0041\ud83d\ude42\/""#) == .string("A🙂/"))
  }

  @Test(arguments: [
    ("", "line 1, column 1"), ("{\"a\":1,\n \"a\":2}", "line 2, column 2"), ("[1,]", "line 1, column 4"), ("01", "line 1, column 1"),
    ("1e999", "line 1, column 1"), ("\"\\ud800\"", "surrogate"), ("[1] x", "line 1, column 5"), ("\"abc", "closing quote"), ("nul", "null"),
    ("-", "value"), ("\"\u{1}\"", "control"),
  ])
  func badTextIsRefusedWithItsPlace(text: String, expected: String) {
    let error = #expect(throws: JSONError.self) { try JSONValue.parse(text) }
    #expect(error?.description.contains(expected) == true)
  }

  @Test func deepNestingIsAnErrorNotACrash() {
    #expect(throws: JSONError.self) { try JSONValue.parse(String(repeating: "[", count: 100_000)) }
  }

  @Test func invalidUnicodeIsRefused() {
    #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xFF, 0x22]) }
  }
}
