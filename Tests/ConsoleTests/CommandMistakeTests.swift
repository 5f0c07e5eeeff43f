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

  @Test("a value that begins with a minus is its option's, not an option")
  func negativeValues() {
    func joined(_ words: String...) -> [String] { CommandMistake.joined(words, options: ["rate", "for"]) }
    #expect(joined("bench", "--rate", "-5", "--json") == ["bench", "--rate=-5", "--json"])
    #expect(joined("explain", "--for", "-.5") == ["explain", "--for=-.5"])
    // Flags and what follows "--" stay.
    #expect(joined("bench", "--json", "-5") == ["bench", "--json", "-5"])
    #expect(joined("profile", "--", "x", "--rate", "-5") == ["profile", "--", "x", "--rate", "-5"])
    #expect(joined("bench", "--rate", "-h") == ["bench", "--rate", "-h"])
  }

  @Test(
    "a value that is no number: the option, what was given, what is expected",
    arguments: [
      ("abc", "a number"), ("", "a number"), ("1.5", "a whole number"), ("-1", "a whole number of at least 0"), ("1e3", "a whole number"),
    ])
  func noNumber(_ given: String, _ expected: String) {
    let mistake = CommandMistake(
      valueOf: ["bench", "--users", given], complaint: "The value '\(given)' is invalid for '--users <users>'")
    #expect(mistake?.message == "Error: --users \(given): expected \(expected)\nSee 'headroom bench --help' for more information.")
  }

  @Test func otherComplaintsStay() {
    for complaint in [
      "", "The value '", "' is invalid for '--x", "Missing value for '--users <users>'",
      "The value 'x' is invalid for '--goal <goal>'. Please provide one of 'throughput', 'latency' and 'cost'.",
    ] {
      #expect(CommandMistake(valueOf: ["bench"], complaint: complaint) == nil, "\(complaint)")
    }
  }
}
