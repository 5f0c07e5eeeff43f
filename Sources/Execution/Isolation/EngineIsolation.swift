public import TimeBase

/// How engines' processes are started.
public struct EngineIsolation: Sendable {
  /// The program: this one, at the place it was started from, whatever lies there by now.
  public var executable: String
  /// What makes it an engine's process; the number of this process is added.
  public var arguments: [String]
  /// The program's version, for messages.
  public var program: String
  /// How long a batch may take before the process is ended: the server's limit for instances.
  public var timeLimit: TimeSpan
  /// How long a model may take to load.
  public var loadLimit: TimeSpan
  /// When a process is started again.
  public var limits: EngineLifecycle.Limits
  /// How much it matters.
  public enum Severity: Sendable, Hashable {
    /// A process ended.
    case error
    /// One was started again.
    case info
  }

  /// Told what the server's operator should know.
  public var log: @Sendable (Severity, String) -> Void

  /// The usual way.
  public init(
    executable: String = "/proc/self/exe", arguments: [String] = ["engine-host", "--parent"], program: String,
    timeLimit: TimeSpan = .milliseconds(300_000), loadLimit: TimeSpan = .milliseconds(900_000),
    limits: EngineLifecycle.Limits = EngineLifecycle.Limits(), log: @escaping @Sendable (Severity, String) -> Void = { _, _ in }
  ) {
    self.executable = executable
    self.arguments = arguments
    self.program = program
    self.timeLimit = timeLimit
    self.loadLimit = loadLimit
    self.limits = limits
    self.log = log
  }
}
