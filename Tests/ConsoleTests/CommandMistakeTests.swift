import Console
import Testing

/// A slip on the command line is named where it is.
@Suite struct CommandMistakeTests {
  private static let commands = [
    CommandMistake.Command("bench", options: ["device", "seconds", "help"]),
    CommandMistake.Command("plan", options: ["gpu", "batch", "help"]),
    CommandMistake.Command("serve", options: ["model", "http-port", "help"]),
    CommandMistake.Command("engine-host", isListed: false, options: ["parent"]),
  ]

  private static func command(_ words: String...) -> String? { CommandMistake(commandOf: words, in: commands)?.message }
  private static func option(_ words: String...) -> String? { CommandMistake(optionOf: words, in: commands)?.message }

  @Test func aCommandThatIsThereIsNoMistake() {
    #expect(Self.command() == nil && Self.command("--help") == nil && Self.command("bench") == nil && Self.command("help") == nil)
    // Not listed, and there.
    #expect(Self.command("engine-host") == nil)
  }

  @Test func aMisspeltCommandIsNamedWithTheNearest() {
    #expect(Self.command("bnech")?.hasPrefix("Error: no command is called 'bnech'; did you mean 'bench'?\n") == true)
    #expect(Self.command("quack")?.contains("there are bench, plan, serve, help") == true)
    #expect(Self.command("model.onnx")?.contains("headroom plan model.onnx --gpu h200") == true)
    #expect(Self.command("engine-hots")?.contains("did you mean") == false)
  }

  @Test func theFirstUnknownOptionIsNamed() {
    #expect(
      Self.option("bench", "--device", "cpu") == nil && Self.option("bench", "--seconds=3") == nil && Self.option("quack", "--x") == nil)
    #expect(
      Self.option("bench", "--devise", "cpu", "--nothing")?.hasPrefix("Error: bench has no option --devise; did you mean --device?") == true
    )
    #expect(Self.option("bench", "--", "--devise") == nil && Self.option("bench", "--") == nil)
  }

  @Test func anOptionOfAnotherCommandIsSaidToBeThat() {
    #expect(Self.option("bench", "--http-port", "1")?.contains("it is an option of serve") == true)
    #expect(Self.option("bench", "--gpu", "h200")?.contains("here it is --device sim:NAME") == true)
    #expect(Self.option("plan", "--zzzzzzzzzzzz")?.hasPrefix("Error: plan has no option --zzzzzzzzzzzz\n") == true)
  }
}
