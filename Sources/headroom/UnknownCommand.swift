import ArgumentParser
import ModelConfiguration

/// A first word that names no command. The argument parser would count the words after it as surplus arguments, and not say which word is wrong.
struct UnknownCommand {
  /// What is wrong, and the command that was probably meant.
  let message: String

  /// nil where the first argument is a command, an option, or missing.
  init?(_ arguments: [String], of root: any ParsableCommand.Type) {
    // The argument parser adds "help".
    let commands = root.configuration.subcommands.map { $0.configuration }
    let known = commands.filter(\.shouldDisplay).compactMap(\.commandName).sorted() + ["help"]
    let all = Set(commands.compactMap(\.commandName) + known)
    guard let word = arguments.first, !word.hasPrefix("-"), !all.contains(word) else { return nil }
    let advice =
      NameSuggestion.nearest(to: word, in: known).map { "did you mean '\($0)'?" }
      ?? (word.hasSuffix(".onnx")
        ? "that is a model: headroom plan \(word) --gpu h200, or headroom bench --model \(word)"
        : "there are \(known.joined(separator: ", "))")
    message = "Error: no command is called '\(word)'; \(advice)\nSee 'headroom --help' for more information."
  }
}
