import CheckedNumbers
import Glibc
import KServe
import Synchronization

/// What the server tells its operator, on standard error or in a file, by the protocol's log settings.
public final class ServerLog: Sendable {
  private let state: Mutex<LogSettings>
  /// Messages are quoted, so that each is one line; off where the operator asks for them as they are, as tritonserver takes it.
  private let isEscaped: Bool

  /// A log with these settings.
  public init(_ settings: LogSettings = LogSettings()) {
    state = Mutex(settings)
    isEscaped = getenv("TRITON_SERVER_ESCAPE_LOG_MESSAGES").map { String(cString: $0) != "0" } ?? true
  }

  /// The settings.
  public var settings: LogSettings { state.withLock { $0 } }

  /// Changes them all.
  public func set(_ settings: LogSettings) { state.withLock { $0 = settings } }

  /// What happened.
  public func info(_ text: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
    if settings.info { write("I", text(), file, line) }
  }
  /// What may surprise.
  public func warning(_ text: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
    if settings.warning { write("W", text(), file, line) }
  }
  /// What failed.
  public func error(_ text: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
    if settings.error { write("E", text(), file, line) }
  }
  /// Details, from that level on.
  public func verbose(_ level: UInt32, _ text: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
    if settings.verboseLevel >= level { write("I", text(), file, line) }
  }

  /// A line on standard error, whatever the log settings: scripts wait for it. A record where records are JSON, else the line alone.
  public func say(_ text: String, severity: Character = "I", file: StaticString = #fileID, line: Int = #line) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let record =
      settings.format == Self.jsonFormat
      ? Self.record(
        severity, Self.quoted(text), source: "\(file)", line: line, format: Self.jsonFormat, process: getpid(), at: now)
      : Self.oneLine(text) + "\n"
    _ = Array(record.utf8).withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
  }

  private func write(_ severity: Character, _ text: String, _ file: StaticString, _ line: Int) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let isQuoted = isEscaped || settings.format == Self.jsonFormat
    let record = Self.record(
      severity, isQuoted ? Self.quoted(text) : text, source: "\(file)", line: line, format: settings.format, process: getpid(), at: now)
    state.withLock { settings in
      var file = settings.file.isEmpty ? 2 : open(settings.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      // A log that cannot be opened is no reason to say nothing.
      if file < 0 { file = 2 }
      _ = Array(record.utf8).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if file != 2 { close(file) }
    }
  }

  /// `log_format` of one JSON object per line, which tritonserver has not.
  public static let jsonFormat = "json"
  /// Every `log_format`.
  public static let formats = ["default", "ISO8601", jsonFormat]

  /// One record in tritonserver's form (triton-inference-server/common `src/logging.cc`): glog's, or ISO 8601, as `log_format` says; or a JSON
  /// object, whose message then is one that `quoted` made.
  static func record(
    _ severity: Character, _ message: String, source: String, line: Int, format: String, process: Int32, at instant: timespec
  ) -> String {
    var parts = tm()
    var seconds = instant.tv_sec
    gmtime_r(&seconds, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let time = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    // The name alone, of letters that readers of such lines take for a name's.
    let name = source.split(separator: "/").last.map { String($0.map { $0 == "+" ? "_" : $0 }) } ?? source
    let place = "\(process) \(name):\(line)]"
    let micros = String(1_000_000 + Int(clamping: max(0, instant.tv_nsec)) / 1000).dropFirst()
    let date = "\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    if format == jsonFormat {
      let words: [Character: String] = ["I": "info", "W": "warning", "E": "error"]
      return
        "{\"time\":\"\(date)T\(time).\(micros)Z\",\"severity\":\"\(words[severity] ?? "info")\",\"process\":\(process),"
        + "\"source\":\(quoted("\(name):\(line)")),\"message\":\(message)}\n"
    }
    if format == "ISO8601" {
      return "\(date)T\(time)Z \(severity) \(place) \(message)\n"
    }
    return "\(severity)\(two(parts.tm_mon + 1))\(two(parts.tm_mday)) \(time).\(micros) \(place) \(message)\n"
  }

  /// A text as a JSON string: whoever reads the log can have it back, and it is one line.
  static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case _ where isControl(scalar):
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
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
