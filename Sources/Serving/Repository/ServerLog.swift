import CheckedNumbers
import Glibc
import KServe
import Synchronization

/// What the server tells its operator, on standard error or in a file, by the protocol's log settings.
public final class ServerLog: Sendable {
  private let state: Mutex<LogSettings>

  /// A log with these settings.
  public init(_ settings: LogSettings = LogSettings()) { state = Mutex(settings) }

  /// The settings.
  public var settings: LogSettings { state.withLock { $0 } }

  /// Changes them all.
  public func set(_ settings: LogSettings) { state.withLock { $0 = settings } }

  /// What happened.
  public func info(_ text: @autoclosure () -> String) { if settings.info { write("I", text()) } }
  /// What may surprise.
  public func warning(_ text: @autoclosure () -> String) { if settings.warning { write("W", text()) } }
  /// What failed.
  public func error(_ text: @autoclosure () -> String) { if settings.error { write("E", text()) } }
  /// Details, from that level on.
  public func verbose(_ level: UInt32, _ text: @autoclosure () -> String) { if settings.verboseLevel >= level { write("V", text()) } }

  private func write(_ severity: Character, _ text: String) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var parts = tm()
    gmtime_r(&now.tv_sec, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let micros = String(1_000_000 + Int(now.tv_nsec) / 1000).dropFirst()
    let time = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(micros)"
    // glog's line ("I0102 10:11:12.000000 text") or ISO 8601, as `log_format` says.
    let line =
      settings.format == "ISO8601"
      ? "\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(time)Z \(severity) \(Self.oneLine(text))\n"
      : "\(severity)\(two(parts.tm_mon + 1))\(two(parts.tm_mday)) \(time) \(Self.oneLine(text))\n"
    state.withLock { settings in
      var file = settings.file.isEmpty ? 2 : open(settings.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      // A log that cannot be opened is no reason to say nothing.
      if file < 0 { file = 2 }
      _ = Array(line.utf8).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if file != 2 { close(file) }
    }
  }

  /// A text as one line of a log: line ends and other control characters escaped. Engines' errors have several lines, and names and texts of clients
  /// may hold anything; a line that looks like the log's own must be one.
  public static func oneLine(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var line = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": line += "\\n"
      case "\r": line += "\\r"
      case "\t": line += "\\t"
      case _ where isControl(scalar): line += "\\u{\(String(scalar.value, radix: 16))}"
      default: line.unicodeScalars.append(scalar)
      }
    }
    return line
  }

  /// Also what ends a line for some readers: U+0085, U+2028, U+2029.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
  }
}
