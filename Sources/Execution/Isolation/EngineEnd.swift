import Glibc

/// How a process that runs an engine ended.
public enum EngineEnd: Sendable, Hashable, CustomStringConvertible {
  /// By itself.
  case exit(code: Int32)
  /// By a signal, its own fault's or another's.
  case signal(Int32)
  /// Ended by its keeper, before it was ready: why.
  case whileLoading(String)
  /// Its status could not be had.
  case unknown

  /// From what `waitpid` reports.
  init(waitStatus: Int32) {
    let signal = waitStatus & 0x7F
    self = signal == 0 ? .exit(code: waitStatus >> 8 & 0xFF) : .signal(signal)
  }

  /// "exit code 3", "signal 9 (SIGKILL)".
  public var description: String {
    switch self {
    case .exit(let code): "exit code \(code)"
    case .signal(let number): "signal \(number)" + (Self.names[number].map { " (\($0))" } ?? "")
    case .whileLoading(let reason): reason
    case .unknown: "an unknown end"
    }
  }

  /// With what it means, where the words alone do not say it.
  var explanation: String {
    self == .signal(SIGKILL) ? "\(self), as the kernel ends processes when memory runs out: the kernel's log says so" : description
  }

  /// Whether the process ended for a reason of its own, rather than by the signal that its keeper sends.
  var isItsOwn: Bool { self != .signal(SIGKILL) && self != .unknown }

  private static let names: [Int32: String] = [
    SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGILL: "SIGILL", SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGTERM: "SIGTERM",
    SIGTRAP: "SIGTRAP", SIGSYS: "SIGSYS", SIGXCPU: "SIGXCPU",
  ]
}
