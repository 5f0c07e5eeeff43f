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
      ? "\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(time)Z \(severity) \(text)\n"
      : "\(severity)\(two(parts.tm_mon + 1))\(two(parts.tm_mday)) \(time) \(text)\n"
    state.withLock { settings in
      let file = settings.file.isEmpty ? 2 : open(settings.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      guard file >= 0 else { return }
      _ = Array(line.utf8).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if file != 2 { close(file) }
    }
  }
}
