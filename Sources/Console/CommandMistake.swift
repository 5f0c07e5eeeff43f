import Vocabulary

/// What the words of a command line get wrong, where an argument parser would blame another word: it counts the words after an unknown command
/// as surplus, and looks at values and arguments before it looks at options.
package struct CommandMistake: Sendable, Hashable {
  /// A command, as a command line may name it.
  package struct Command: Sendable, Hashable {
    /// "serve".
    package var name: String
    /// Listed by the help.
    package var isListed: Bool
    /// Long names, without hyphens.
    package var options: Set<String>

    /// With every field stated.
    package init(_ name: String, isListed: Bool = true, options: Set<String> = []) {
      (self.name, self.isListed, self.options) = (name, isListed, options)
    }
  }

  /// What is wrong, what was probably meant, and where the help is.
  package let message: String

  /// A first word that names no command; nil where it is one, an option, or missing.
  package init?(commandOf arguments: [String], in commands: [Command]) {
    // The argument parser adds "help".
    let known = commands.filter(\.isListed).map(\.name).sorted() + ["help"]
    guard let word = arguments.first, !word.hasPrefix("-"), !known.contains(word), !commands.contains(where: { $0.name == word }) else {
      return nil
    }
    let advice =
      NameSuggestion.nearest(to: word, in: known).map { "did you mean '\($0)'?" }
      ?? (word.hasSuffix(".onnx")
        ? "that is a model: headroom plan \(word) --gpu h200, or headroom bench --model \(word)"
        : "there are \(known.joined(separator: ", "))")
    message = "Error: no command is called '\(word)'; \(advice)\nSee 'headroom --help' for more information."
  }

  /// The first option before "--" that the command does not have; nil where there is none, or no such command.
  package init?(optionOf arguments: [String], in commands: [Command]) {
    guard let name = arguments.first, let command = commands.first(where: { $0.name == name }) else { return nil }
    let given = arguments.dropFirst().prefix { $0 != "--" }.filter { $0.hasPrefix("--") }.map { $0.dropFirst(2).prefix { $0 != "=" } }
    guard let option = given.map(String.init).first(where: { !$0.isEmpty && !command.options.contains($0) }) else { return nil }
    let advice = Self.advice(for: option, of: command, commands)
    message = "Error: \(name) has no option --\(option)\(advice)\nSee 'headroom \(name) --help' for more information."
  }

  /// A value that is not a number, where an option takes one; `complaint` is the argument parser's, which adds to it for every other kind of value
  /// what the values are. nil for any other complaint.
  package init?(valueOf arguments: [String], complaint: String) {
    guard let name = arguments.first, let start = complaint.firstRange(of: "The value '")?.upperBound,
      let middle = complaint.firstRange(of: "' is invalid for '--"), start <= middle.lowerBound, !complaint.contains(". Please")
    else { return nil }
    let given = complaint[start..<middle.lowerBound]
    let option = complaint[middle.upperBound...].prefix { $0 != " " && $0 != "'" }
    let expected: String
    switch Double(given) {
    case nil: expected = "a number"
    case let value? where value < 0 && value == value.rounded(): expected = "a whole number of at least 0"
    case .some: expected = "a whole number"
    }
    message = "Error: --\(option) \(given): expected \(expected)\nSee 'headroom \(name) --help' for more information."
  }

  /// The arguments with values that begin with a minus joined to their options: an argument parser would take "-5" for an option, and say that
  /// the one before it has no value. `options`: those that take a value, without hyphens.
  package static func joined(_ arguments: [String], options: Set<String>) -> [String] {
    var joined: [String] = []
    for (index, argument) in arguments.enumerated() {
      if isNegative(argument), !arguments.prefix(index).contains("--"), let option = joined.last, option.hasPrefix("--"),
        options.contains(String(option.dropFirst(2)))
      {
        joined[joined.count - 1] = option + "=" + argument
      } else {
        joined.append(argument)
      }
    }
    return joined
  }

  /// "-5", "-0.5", "-.5".
  package static func isNegative(_ argument: String) -> Bool {
    argument.hasPrefix("-") && argument.dropFirst().first.map { $0.isNumber || $0 == "." } ?? false
  }

  private static func advice(for option: String, of command: Command, _ commands: [Command]) -> String {
    if let other = instead[command.name]?[option] { return "; here it is \(other)" }
    if let nearest = NameSuggestion.nearest(to: option, in: command.options.sorted()) { return "; did you mean --\(nearest)?" }
    let others = commands.filter { $0.options.contains(option) }.map(\.name).sorted()
    return others.isEmpty ? "" : "; it is an option of \(others.joined(separator: ", "))"
  }

  /// What other commands call what this one has by another name.
  package static let instead: [String: [String: String]] = [
    "bench": ["gpu": "--device sim:NAME", "duration": "--seconds"],
    "load": ["seconds": "--duration", "slo": "--find-rate 'p99<50ms', or --fail-on 'p99>50ms'"],
    "plan": ["device": "--gpu NAME", "rows": "--batch SIZES", "batch-size": "--batch SIZES"],
    "serve": ["gpu": "--device cuda:0, or --device sim:NAME", "port": "--http-port", "model-path": "--model NAME=FILE"],
    "explain": ["device": "--gpu NAME"],
  ]
}
