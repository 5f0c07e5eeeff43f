import ArgumentParser
import Console
import Glibc
import JSONText
import ProcessContract
import ServerProcess

/// The program. Commands are registered when they work, not before.
@main
struct Headroom: ParsableCommand {
  /// The program's version, in `--version` and in every JSON output.
  static let version = ProgramVersion.current

  static let configuration = CommandConfiguration(
    commandName: "headroom",
    abstract: "How much of an accelerator sits idle, why, and what each change would buy.",
    discussion: """
      EXAMPLES
        headroom bench
        headroom plan seqlen --gpu rtx-pro-6000 --batch 256
        headroom plan model.onnx --gpu l40s,h100,rtx-pro-6000 --batch 1,8,64,256
        headroom export linear -o linear.onnx
        headroom serve --model seqlen=builtin:seqlen
        headroom check models/
        headroom load --model seqlen --users 64
        headroom profile --os -- ./server
        headroom explain report.sqlite
        headroom compare before.sqlite after.sqlite --fail-on 'kernel_time>+3%'

      EXIT CODES
        0 ok, 1 failed, 2 a threshold crossed, 3 inconclusive, 64 wrong usage,
        130 interrupted
      """,
    version: version,
    subcommands: [
      BenchCommand.self, PlanCommand.self, ExportCommand.self, CalibrateCommand.self, ServeCommand.self, CheckCommand.self,
      LoadCommand.self, ProfileCommand.self, TopCommand.self, ExplainCommand.self, CompareCommand.self, DoctorCommand.self,
      EngineHostCommand.self,
    ])
}

extension Headroom {
  static func main() {
    do {
      let given = Array(CommandLine.arguments.dropFirst())
      if let mistake = CommandMistake(commandOf: given, in: commands(withOptions: false)) { end(as: mistake) }
      // Where a value may be negative, its option is told by the parser's own description, which takes a while.
      let joined = given.contains(where: CommandMistake.isNegative) ? CommandMistake.joined(given, options: valued(given.first)) : given
      let arguments = joined.first == "serve" ? try TritonFlags.completed(joined) : joined
      var command: any ParsableCommand
      do { command = try parseAsRoot(arguments) } catch {
        if let mistake = CommandMistake(valueOf: arguments, complaint: message(for: error)) { end(as: mistake) }
        if exitCode(for: error) == .validationFailure, let mistake = CommandMistake(optionOf: arguments, in: commands(withOptions: true)) {
          end(as: mistake)
        }
        throw error
      }
      do { try command.run() } catch let error as ValidationError {
        endAsUsage(error.message, of: type(of: command))
      } catch let error as UsageError { endAsUsage(error.description, of: type(of: command)) }
    } catch let error as UsageError {
      endAsUsage(error.description, of: ServeCommand.self)
    } catch {
      exit(withError: error)
    }
  }

  private static func end(as mistake: CommandMistake) -> Never {
    Terminal.note(mistake.message)
    Glibc.exit(ExitStatus.usage.rawValue)
  }

  /// The parser would name the program's own help: it no longer knows which command ran.
  private static func endAsUsage(_ message: String, of command: any ParsableCommand.Type) -> Never {
    let name = command.configuration.commandName.map { " \($0)" } ?? ""
    Terminal.note("Error: \(message)\nSee 'headroom\(name) --help' for more information.")
    Glibc.exit(ExitStatus.usage.rawValue)
  }

  /// The commands. Their options' long names come from the parser's own description, which takes a while: it is asked where one is wrong.
  private static func commands(withOptions: Bool) -> [CommandMistake.Command] {
    configuration.subcommands.map { command in
      CommandMistake.Command(
        command.configuration.commandName ?? "", isListed: command.configuration.shouldDisplay,
        options: withOptions ? options(of: command) : [])
    }
  }

  /// Options of a command that take a value.
  private static func valued(_ name: String?) -> Set<String> {
    configuration.subcommands.first { $0.configuration.commandName == name }.map { options(of: $0, ofKind: "option") } ?? []
  }

  private static func options(of command: any ParsableCommand.Type, ofKind kind: String? = nil) -> Set<String> {
    let arguments = (try? JSONValue.parse(command._dumpHelp()))?["command"]?["arguments"]?.arrayValue ?? []
    let names = arguments.filter { kind == nil || $0["kind"]?.stringValue == kind }.flatMap { $0["names"]?.arrayValue ?? [] }
      .filter { $0["kind"]?.stringValue == "long" }
    return Set(names.compactMap { $0["name"]?.stringValue }).union(kind == nil ? ["help", "version"] : [])
  }
}
