import FileAccess
import Glibc
import ProcessContract
import Synchronization
import Threads
import TimeBase

/// Another program, started here: its standard error read line by line, its standard output whole, or its first line while it runs.
///
/// posix_spawn and two reading threads. Foundation's Process does the same and would bring Foundation into a program that is otherwise
/// without it.
final class ChildProcess: Sendable {
  /// How it ended.
  enum Ending: Sendable, Hashable, CustomStringConvertible {
    /// As a process of this program does.
    case exit(ExitStatus)
    /// As another program does.
    case otherExit(Int32)
    case signal(Int32)

    /// Of waitpid(2).
    init(waitStatus status: Int32) {
      if status & 0x7F != 0 {
        self = .signal(status & 0x7F)
      } else {
        let code = status >> 8 & 0xFF
        self = ExitStatus(rawValue: code).map { .exit($0) } ?? .otherExit(code)
      }
    }

    var description: String {
      switch self {
      case .exit(let status): "exit code \(status.rawValue)"
      case .otherExit(let code): "exit code \(code)"
      case .signal(let number): "signal \(number)"
      }
    }
  }

  let name: String
  let pid: pid_t
  private struct Output: Sendable {
    var errorLines: [String] = []
    var standard: [UInt8] = []
    var openStreams = 2
    var standardIsOpen = true
  }

  private let output = Mutex(Output())
  private let changed = Monitor()
  private let ending = Mutex<Ending?>(nil)

  /// Starts it. `environment`: added to this process's own.
  ///
  /// - Throws: the reason of the system, with the program's path.
  init(name: String, path: String, arguments: [String], environment: [String: String] = [:]) throws(ExperimentError) {
    self.name = name
    var (outPipe, errorPipe): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
    guard pipe(&outPipe) == 0, pipe(&errorPipe) == 0 else {
      throw ExperimentError("\(name): no pipe could be made: \(String(cString: strerror(errno)))")
    }
    // One child must not hold another's streams open.
    for end in outPipe + errorPipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, outPipe[1], 1)
    posix_spawn_file_actions_adddup2(&actions, errorPipe[1], 2)
    var inherited: [String] = []
    var entry = environ
    while let text = entry.pointee {
      let variable = String(cString: text)
      if !environment.keys.contains(where: { variable.hasPrefix($0 + "=") }) { inherited.append(variable) }
      entry += 1
    }
    let variables = inherited + environment.map { "\($0.key)=\($0.value)" }
    var child: pid_t = 0
    let status = CStrings.withArray([path] + arguments) { argv in
      CStrings.withArray(variables) { envp in posix_spawn(&child, path, &actions, nil, argv, envp) }
    }
    posix_spawn_file_actions_destroy(&actions)
    close(outPipe[1])
    close(errorPipe[1])
    guard status == 0 else {
      close(outPipe[0])
      close(errorPipe[0])
      throw ExperimentError("\(path) could not be started: \(String(cString: strerror(status)))")
    }
    pid = child
    let (standard, errors) = (outPipe[0], errorPipe[0])
    DetachedThread.start(named: "child output") { [self] in
      Self.read(standard) { bytes in
        changed.lock()
        output.withLock { $0.standard += bytes }
        changed.unlock()
        changed.broadcast()
      }
      streamEnded(isErrors: false)
    }
    DetachedThread.start(named: "child errors") { [self] in
      var line: [UInt8] = []
      Self.read(errors) { bytes in
        for byte in bytes {
          if byte != UInt8(ascii: "\n") {
            // A line beyond any of ours is cut, not kept.
            if line.count < 1 << 16 { line.append(byte) }
            continue
          }
          let text = String(decoding: line, as: UTF8.self)
          line.removeAll(keepingCapacity: true)
          output.withLock { output in
            output.errorLines.append(text)
            // The last ones are enough to say why it failed.
            if output.errorLines.count > 2000 { output.errorLines.removeFirst(1000) }
          }
        }
      }
      streamEnded(isErrors: true)
    }
  }

  /// Lines on its standard error so far.
  var errorLines: [String] { output.withLock { $0.errorLines } }

  /// The last of them in one line: why it failed, most often.
  var lastWords: String { errorLines.suffix(4).joined(separator: " | ") }

  /// The first whole line on its standard output; nil where it ends, or the time is over, before one comes.
  func firstLine(until deadline: Instant) -> String? {
    changed.lock()
    defer { changed.unlock() }
    while true {
      let (line, isOpen) = output.withLock { output -> (String?, Bool) in
        let end = output.standard.firstIndex(of: UInt8(ascii: "\n"))
        return (end.map { String(decoding: output.standard[..<$0], as: UTF8.self) }, output.standardIsOpen)
      }
      if let line { return line }
      if !isOpen || MonotonicClock.now >= deadline { return nil }
      changed.wait(until: deadline)
    }
  }

  func send(_ signal: Int32) { if ending.withLock({ $0 }) == nil { kill(pid, signal) } }

  /// Waits for its end; after `deadline` it is killed.
  func wait(until deadline: Instant) -> (ending: Ending, output: [UInt8]) {
    changed.lock()
    while output.withLock({ $0.openStreams }) > 0, MonotonicClock.now < deadline { changed.wait(until: deadline) }
    let hangs = output.withLock { $0.openStreams } > 0
    changed.unlock()
    if hangs { kill(pid, SIGKILL) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    let ended = Ending(waitStatus: status)
    ending.withLock { $0 = ended }
    changed.lock()
    while output.withLock({ $0.openStreams }) > 0 { changed.wait() }
    changed.unlock()
    return (ended, output.withLock { $0.standard })
  }

  private func streamEnded(isErrors: Bool) {
    changed.lock()
    output.withLock { output in
      output.openStreams -= 1
      if !isErrors { output.standardIsOpen = false }
    }
    changed.unlock()
    changed.broadcast()
  }

  private static func read(_ descriptor: Int32, _ take: ([UInt8]) -> Void) {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      take(Array(buffer[..<count]))
    }
    close(descriptor)
  }
}
