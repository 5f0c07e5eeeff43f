import CheckedNumbers
import Glibc
public import TimeBase

/// A command run under an environment, its signals forwarded, waited for with one thread and no polling.
public struct RecordedCommand: Sendable {
  /// How a command ended.
  public enum Ending: Sendable, Hashable {
    /// By itself, with this status.
    case exited(Int32)
    /// By this signal.
    case killed(Int32)
  }

  /// What became of it.
  public struct Outcome: Sendable, Hashable {
    /// How it ended.
    public var ending: Ending
    /// Its process.
    public var process: Int64
    /// When it was started.
    public var started: Instant
    /// When the recording began: with the command, after the delay, or at the signal; nil where it never did.
    public var armed: Instant?
    /// When the recording ended: with the command, or when its time was over.
    public var recordingEnded: Instant
    /// When it was found to have ended.
    public var ended: Instant
    /// Its time was over, and it was asked to end.
    public var wasEnded: Bool
  }

  /// Path of the program.
  public var path: String
  /// What it is told; its own name first.
  public var arguments: [String]
  /// Its whole environment.
  public var environment: [String]
  /// So long after the recording began the command is asked to end, by SIGTERM; nil for never.
  public var limit: TimeSpan?
  /// So long after the command's start the recording begins; nil for at once, unless a signal is waited for.
  public var delay: TimeSpan?
  /// Sent to this process, it begins the recording, and the next one ends it while the command goes on; it is not handed on.
  public var armingSignal: Int32?
  /// Its standard output goes to standard error: ours is kept for one JSON object.
  public var movesOutput: Bool

  /// Between SIGTERM and SIGKILL.
  public static let grace = TimeSpan.milliseconds(10_000)

  /// A command.
  public init(
    path: String, arguments: [String], environment: [String], limit: TimeSpan? = nil, delay: TimeSpan? = nil, armingSignal: Int32? = nil,
    movesOutput: Bool = false
  ) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.limit = limit
    self.delay = delay
    self.armingSignal = armingSignal
    self.movesOutput = movesOutput
  }

  /// Signals that a person or a supervisor sends and the command is to get.
  private static let forwarded = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH]

  /// Runs it to its end. `whenArmed` is called when a recording begins that did not with the command, `whenOver` once: when its time is over, or
  /// the command has ended, whichever comes first.
  public func run(clock: () -> Instant, whenArmed: () -> Void = {}, whenOver: () -> Void) throws(CaptureError) -> Outcome {
    var waited = sigset_t()
    var before = sigset_t()
    sigemptyset(&waited)
    for signal in Self.forwarded + [SIGCHLD] + (armingSignal.map { [$0] } ?? []) { sigaddset(&waited, signal) }
    pthread_sigmask(SIG_BLOCK, &waited, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let started = clock()
    let process = try spawn(mask: before)
    var armed = delay == nil && armingSignal == nil ? started : nil
    // Of the beginning, of the recording's end, or of the time until SIGKILL.
    var deadline = armed == nil ? delay.map { started + $0 } : limit.map { started + $0 }
    var (recordingEnded, wasEnded): (Instant?, Bool) = (nil, false)
    func arm() {
      let now = clock()
      whenArmed()
      armed = now
      deadline = limit.map { now + $0 }
    }
    while true {
      if let ending = Self.reap(process) {
        let now = clock()
        if recordingEnded == nil { whenOver() }
        return Outcome(
          ending: ending, process: Int64(process), started: started, armed: armed, recordingEnded: recordingEnded ?? now, ended: now,
          wasEnded: wasEnded)
      }
      var information = siginfo_t()
      var signal: Int32 = -1
      if let deadline {
        let left = max(0, (deadline - clock()).nanoseconds)
        var timeout = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
        signal = sigtimedwait(&waited, &information, &timeout)
      } else {
        signal = sigwaitinfo(&waited, &information)
      }
      if signal > 0, signal == armingSignal {
        if armed == nil {
          arm()
        } else if recordingEnded == nil {
          recordingEnded = clock()
          whenOver()
          deadline = nil
        }
      } else if signal > 0, signal != SIGCHLD {
        // What the terminal sends, it sends to the command too: they are one group.
        if information.si_code <= 0 { kill(process, signal) }
      } else if signal < 0, let over = deadline, clock() >= over {
        if armed == nil {
          arm()
        } else if !wasEnded {
          wasEnded = true
          recordingEnded = clock()
          whenOver()
          kill(process, SIGTERM)
          deadline = clock() + Self.grace
        } else {
          kill(process, SIGKILL)
          deadline = nil
        }
      }
    }
  }

  private static func reap(_ process: pid_t) -> Ending? {
    var status: Int32 = 0
    guard waitpid(process, &status, WNOHANG) == process else { return nil }
    // The macros of sys/wait.h.
    let signal = status & 0x7F
    return signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal)
  }

  private func spawn(mask: sigset_t) throws(CaptureError) -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var mask = mask
    posix_spawnattr_setsigmask(&attributes, &mask)
    posix_spawnattr_setflags(&attributes, Int16(clamping: POSIX_SPAWN_SETSIGMASK))
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if movesOutput { posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO) }
    var argumentPointers = arguments.map { strdup($0) } + [nil]
    var environmentPointers = environment.map { strdup($0) } + [nil]
    defer { for pointer in argumentPointers + environmentPointers { free(pointer) } }
    var process = pid_t()
    let code = posix_spawn(&process, path, &actions, &attributes, &argumentPointers, &environmentPointers)
    if code != 0 {
      throw CaptureError(code == ENOENT ? .notFound : .cannotBeSeen, "\(path) cannot be run: \(String(cString: strerror(code)))")
    }
    return process
  }
}
