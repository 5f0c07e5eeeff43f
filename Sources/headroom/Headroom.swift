import ArgumentParser
import Console
import Glibc
import ProcessContract
import Serving

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
  /// tritonserver takes its switches bare or with a value ("--allow-client-shm", "--allow-client-shm=true"); the argument parser takes only
  /// the latter, so that a bare one is completed first.
  static func main() {
    do {
      let arguments = Array(CommandLine.arguments.dropFirst())
      if let mistake = UnknownCommand(arguments, of: Self.self) {
        Terminal.note(mistake.message)
        Glibc.exit(EX_USAGE)
      }
      var command: any ParsableCommand
      do { command = try parseAsRoot(completed(arguments)) } catch {
        if exitCode(for: error) == .validationFailure, let mistake = UnknownOption(arguments, of: Self.self) {
          Terminal.note(mistake.message)
          Glibc.exit(EX_USAGE)
        }
        throw error
      }
      do { try command.run() } catch let error as ValidationError {
        endAsUsage(error.message, of: type(of: command))
      } catch let error as UsageError { endAsUsage(error.description, of: type(of: command)) }
    } catch {
      exit(withError: error)
    }
  }

  /// The parser would name the program's own help: it no longer knows which command ran.
  private static func endAsUsage(_ message: String, of command: any ParsableCommand.Type) -> Never {
    let name = command.configuration.commandName.map { " \($0)" } ?? ""
    Terminal.note("Error: \(message)\nSee 'headroom\(name) --help' for more information.")
    Glibc.exit(ExitStatus.usage.rawValue)
  }

  static func completed(_ arguments: [String]) -> [String] {
    guard arguments.first == "serve" else { return arguments }
    return arguments.indices.map { index in
      let argument = arguments[index]
      // What follows and is no option is meant as the value: one that is none is an error about this option.
      guard index + 1 == arguments.count || arguments[index + 1].hasPrefix("-") else { return argument }
      if argument == "--isolate-engines" { return argument + "=always" }
      return ServeCommand.switches.contains(argument) ? argument + "=true" : argument
    }
  }
}
