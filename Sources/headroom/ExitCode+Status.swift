import ArgumentParser
import ProcessContract

extension ExitCode {
  /// As the program's processes end.
  init(_ status: ExitStatus) { self.init(status.rawValue) }
}
