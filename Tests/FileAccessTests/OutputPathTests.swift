import FileAccess
import Testing

/// Names of files that are written for several things at once.
@Suite struct OutputPathTests {
  @Test(arguments: [
    ("run.sqlite", "seqlen", "run-seqlen.sqlite"), ("out/run.sqlite", "a", "out/run-a.sqlite"), ("run", "a", "run-a"),
    ("a.b/run", "x", "a.b/run-x"), (".hidden", "x", ".hidden-x"), ("run.sqlite", "a/b c", "run-a-b-c.sqlite"),
  ]) func theNameStandsBeforeTheExtension(path: String, name: String, expected: String) {
    #expect(OutputPath.adding(name, to: path) == expected)
  }
}
