import ArgumentParser
import JSONText
import ModelConfiguration

/// An option that a command does not have. The argument parser looks at values and arguments first, so that it would blame what stands behind a
/// misspelt option.
struct UnknownOption {
  /// What is wrong, and what was probably meant.
  let message: String

  /// nil where every option before "--" is known, or the command is not.
  init?(_ arguments: [String], of root: any ParsableCommand.Type) {
    guard let message = Self.message(arguments, root.configuration.subcommands) else { return nil }
    self.message = message
  }

  private static func message(_ arguments: [String], _ commands: [any ParsableCommand.Type]) -> String? {
    var known: [String: Set<String>] = [:]
    for command in commands {
      if let name = command.configuration.commandName { known[name] = options(of: command) }
    }
    guard let name = arguments.first, let own = known[name] else { return nil }
    for text in arguments.dropFirst().prefix(while: { $0 != "--" }) where text.hasPrefix("--") {
      let option = String(text.dropFirst(2).prefix { $0 != "=" })
      if option.isEmpty || own.contains(option) { continue }
      let advice = advice(for: option, of: name, own, known)
      return "Error: \(name) has no option --\(option)\(advice)\nSee 'headroom \(name) --help' for more information."
    }
    return nil
  }

  private static func advice(for option: String, of name: String, _ own: Set<String>, _ known: [String: Set<String>]) -> String {
    if let other = instead[name]?[option] { return "; here it is \(other)" }
    if let nearest = NameSuggestion.nearest(to: option, in: own.sorted()) { return "; did you mean --\(nearest)?" }
    let others = known.filter { $0.value.contains(option) }.keys.sorted()
    return others.isEmpty ? "" : "; it is an option of \(others.joined(separator: ", "))"
  }

  /// What other commands call what this one has by another name.
  static let instead: [String: [String: String]] = [
    "bench": ["gpu": "--device sim:NAME", "duration": "--seconds"],
    "load": ["seconds": "--duration", "slo": "--find-rate 'p99<50ms', or --fail-on 'p99>50ms'"],
    "plan": ["device": "--gpu NAME", "rows": "--batch SIZES", "batch-size": "--batch SIZES"],
    "serve": ["gpu": "--device cuda:0, or --device sim:NAME", "port": "--http-port", "model-path": "--model NAME=FILE"],
    "explain": ["device": "--gpu NAME"],
  ]

  /// Long names, from the parser's own description of the command.
  private static func options(of command: any ParsableCommand.Type) -> Set<String> {
    let tree = try? JSONValue.parse(Array(command._dumpHelp().utf8))
    let arguments = tree?["command"]?["arguments"]?.arrayValue ?? []
    let names = arguments.flatMap { $0["names"]?.arrayValue ?? [] }
    return Set(names.filter { $0["kind"]?.stringValue == "long" }.compactMap { $0["name"]?.stringValue }).union(["help", "version"])
  }
}
