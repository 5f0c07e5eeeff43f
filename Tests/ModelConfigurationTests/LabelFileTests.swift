import ModelConfiguration
import Testing

@Suite struct LabelFileTests {
  @Test(
    arguments: [
      ("cat\ndog\n", ["cat", "dog"]), ("cat\ndog", ["cat", "dog"]), ("cat\n\nbird\n", ["cat", "", "bird"]), ("\n", [""]), ("", []),
      ("cat\r\ndog\r\n", ["cat", "dog"]), ("cat\r\n\r\nbird", ["cat", "", "bird"]), ("\u{FEFF}cat\ndog", ["cat", "dog"]),
      ("cat\rdog\n", ["cat\rdog"]), (" cat \n", [" cat "]), ("cat\n\n", ["cat", ""]), ("a\u{2028}b\u{0B}c\n", ["a\u{2028}b\u{0B}c"]),
    ] as [(String, [String])]) func lineNNamesClassN(text: String, expected: [String])
  {
    #expect(LabelFile.labels(Array(text.utf8)) == expected)
  }

  @Test func otherEncodingsLoseLettersAndNoLines() {
    #expect(LabelFile.labels([0x63, 0x61, 0x66, 0xE9, 0x0A, 0x64]) == ["caf\u{FFFD}", "d"])
  }
}
