import ArgumentParser
import Console
import ProcessContract

/// What a settings value refuses, as the argument parser says it.
func checked<Value>(_ body: () throws(UsageError) -> Value) throws -> Value {
  do { return try body() } catch { throw ValidationError(error.description) }
}

/// Says why a command failed; the exit code to throw.
func failed(_ command: any ParsableCommand.Type, _ error: any Error, _ status: ExitStatus = .failed) -> ExitCode {
  Terminal.note("headroom \(command.configuration.commandName ?? ""): \(error)")
  return ExitCode(status.rawValue)
}

extension ExitCode {
  /// As the program's processes end.
  init(_ status: ExitStatus) { self.init(status.rawValue) }
}
