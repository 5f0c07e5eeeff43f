import CheckedNumbers
import Glibc

/// Standard output and error, and what they are attached to.
package enum Terminal {
  /// Writes all of `text`. A reader that went away (`| head`) is no error worth a message: the program ends as other tools do.
  package static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

  /// A line on standard error.
  package static func note(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

  /// Part of a line on standard error.
  package static func progress(_ text: String) { write(text, to: STDERR_FILENO) }

  /// Columns of standard output; 80 where it is no terminal, as answers are read that others paste.
  package static var width: Int {
    var size = winsize()
    guard isatty(STDOUT_FILENO) == 1, ioctl(STDOUT_FILENO, UInt(clamping: TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else { return 80 }
    return Int(size.ws_col)
  }

  /// Columns of standard error; 120 where it is no terminal.
  package static var errorWidth: Int {
    var size = winsize()
    guard errorIsTerminal, ioctl(STDERR_FILENO, UInt(clamping: TIOCGWINSZ), &size) == 0, size.ws_col >= 20 else { return 120 }
    return Int(size.ws_col)
  }

  /// Whether standard error is a terminal, where a progress line may be rewritten.
  package static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return }
      written += count
    }
  }
}
