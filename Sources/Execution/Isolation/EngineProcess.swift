import CheckedNumbers
import CLinux
import FileAccess
import Glibc

/// A process that runs one model, and the socket to it.
///
/// posix_spawn, not fork: this process has many threads, and after a fork only what is async-signal-safe may run in the child.
struct EngineProcess {
  let pid: pid_t
  let control: EngineChannel
  /// Where the child finds its end of the control socket.
  static let controlDescriptor: Int32 = 3

  static func start(_ isolation: EngineIsolation, model: String) throws(DeviceError) -> EngineProcess {
    let (ours, theirs) = try EngineChannel.pair()
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    // What an engine prints goes where the server's own lines go.
    posix_spawn_file_actions_adddup2(&actions, 2, 1)
    posix_spawn_file_actions_adddup2(&actions, theirs.descriptor, controlDescriptor)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A group of its own: Ctrl-C is for the server, which drains. The server's threads block signals, its children should not.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(clamping: POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    var variables: [String] = []
    var entry = environ
    while let text = entry.pointee {
      let variable = String(cString: text)
      if !variable.hasPrefix("SWIFT_BACKTRACE=") { variables.append(variable) }
      entry += 1
    }
    // A crash is reported by the server: a backtrace would keep the batch waiting for seconds.
    variables.append("SWIFT_BACKTRACE=enable=no")
    var child: pid_t = 0
    // Its own name for itself tells whose it is in `ps`; programs do not look at it.
    let arguments = ["headroom[\(model)]"] + isolation.arguments + [String(getpid())]
    let status = CStrings.withArray(arguments) { argv in
      CStrings.withArray(variables) { envp in posix_spawn(&child, isolation.executable, &actions, &attributes, argv, envp) }
    }
    guard status == 0 else {
      throw DeviceError(
        .instanceLost, "a process for an engine cannot be started (\(isolation.executable)): \(String(cString: strerror(status)))")
    }
    return EngineProcess(pid: child, control: ours)
  }

  /// Waits for its end without giving its number back; `reap` does.
  static func awaitEnd(_ pid: pid_t) {
    while headroom_await_end(pid) != 0, errno == EINTR {}
  }

  /// How it ended; its number is free from then on.
  static func reap(_ pid: pid_t) -> EngineEnd {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { if errno != EINTR { return .unknown } }
    return EngineEnd(waitStatus: status)
  }
}
