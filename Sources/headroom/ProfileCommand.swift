import Console
import CheckedNumbers
import ArgumentParser
import ProcessContract
import Capture
import Diagnosis
import Experiments
import FileAccess
import Glibc
import JSONText
import Threads
import TimeBase
import Trace
import TraceFormats

/// `headroom profile`: a command, recorded.
struct ProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Run a command and record the operating-system calls of all its threads.",
    usage: """
      headroom profile --os [options] -- COMMAND [ARGUMENT ...]
      """,
    discussion: """
      Loads a library into COMMAND and its children (LD_PRELOAD) that notes each call which may wait, under its own name \
      (pthread_cond_wait, sem_timedwait, epoll_wait, syscall(SYS_futex), read, ...), with thread, start and duration. No rights are needed. \
      Writes a trace with Nsight Systems' tables (OSRT_API), and prints the summary that `nsys stats --report osrt_sum` prints.

      Not seen: static binaries (refused with exit code 126), system calls made without libc, set-id programs.

      EXAMPLES
        headroom profile --os -- headroom serve --model linear=builtin:linear
        headroom profile --os --duration 10 -o server.sqlite --chrome server.json \\
          -- ./server --port 8000
        headroom profile --os --json -- python3 worker.py > profile.json

      EXIT CODES
        COMMAND's own, 128 + N where signal N killed it, 0 where it ended because
        --duration was over; 125 the recording failed, 126 COMMAND cannot be run or
        cannot be seen, 127 there is no such COMMAND; 64 usage.
      """)

  @Flag(help: "Record operating-system calls: the only kind so far, and what is done without it.")
  var os = false

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("SQLite file for the trace. (default: profile-N.sqlite, the first that is free)", valueName: "file.sqlite"))
  var output: String?

  @Option(help: ArgumentHelp("Write the trace as Chrome JSON too, for Perfetto.", valueName: "file.json"))
  var chrome: String?

  @Flag(help: "With --chrome: the whole trace, however large; otherwise about 100 MB of it.")
  var all = false

  @Option(help: ArgumentHelp("Record so long, then end COMMAND with SIGTERM (SIGKILL 10 s later).", valueName: "seconds"))
  var duration: Double?

  @Option(help: ArgumentHelp("Calls shorter than this are counted and not written down.", valueName: "microseconds"))
  var osThresholdMicroseconds = 1.0

  @Option(help: ArgumentHelp("What all processes together may write; calls beyond are dropped and counted.", valueName: "megabytes"))
  var osLimitMegabytes = 256

  @Flag(help: "Print one JSON object in place of the tables; what COMMAND prints goes to standard error.")
  var json = false

  @Flag(help: "No summary and no progress: only the file.")
  var quiet = false

  @Argument(parsing: .postTerminator, help: "The command, after --.")
  var command: [String] = []

  func validate() throws {
    if command.isEmpty { throw ValidationError("a command is needed after --, as in: headroom profile --os -- ./server --port 8000") }
    if let duration, !(duration > 0 && duration <= 86_400) {
      throw ValidationError("--duration \(duration): above 0, at most 86400 seconds")
    }
    if !(osThresholdMicroseconds >= 0 && osThresholdMicroseconds <= 1e6) {
      throw ValidationError("--os-threshold-microseconds \(osThresholdMicroseconds): from 0 to 1000000")
    }
    if !(1...16_384).contains(osLimitMegabytes) { throw ValidationError("--os-limit-megabytes \(osLimitMegabytes): from 1 to 16384") }
  }

  func run() throws {
    do {
      let result = try record()
      try write(result)
      let status = Self.status(result.outcome)
      if status != 0 { throw ExitCode(status) }
    } catch let error as CaptureError {
      Terminal.note("headroom profile: \(error)")
      switch error.kind {
      case .notFound: throw ExitCode(.commandNotFound)
      case .cannotBeSeen: throw ExitCode(.commandNotRunnable)
      case .failed: throw ExitCode(.wrapperFailed)
      }
    } catch let error as TraceStoreError {
      Terminal.note("headroom profile: \(error)")
      throw ExitCode(.wrapperFailed)
    } catch let error as FileError {
      Terminal.note("headroom profile: \(error)")
      throw ExitCode(.wrapperFailed)
    }
  }

  private func record() throws(CaptureError) -> ProfileResult {
    let program = try ProgramSearch(command[0])
    let folder = try CaptureFolder(
      thresholdNanoseconds: Int64(saturating: (osThresholdMicroseconds * 1000).rounded()), limitBytes: Int64(osLimitMegabytes) << 20)
    defer { folder.remove() }
    let recorded = RecordedCommand(
      path: program.path, arguments: command, environment: folder.environment(adding: Self.environment),
      limit: duration.map { TimeSpan(clampingSeconds: $0) }, movesOutput: json)
    let outcome = try recorded.run(clock: { MonotonicClock.now }, whenOver: { folder.stop() })
    if !quiet, Terminal.errorIsTerminal { Terminal.progress("headroom profile: reading what was recorded ...") }
    let (files, damage) = folder.read()
    var running = Set(files.map(\.process).filter { kill(pid_t(truncatingIfNeeded: $0), 0) == 0 })
    // It was there until the recording ended: that is when it was waited for.
    running.insert(outcome.process)
    var capture = OSCallCapture(
      files, end: outcome.recordingEnded.nanoseconds, running: running, thresholdNanoseconds: folder.thresholdNanoseconds,
      command: (command, outcome.process))
    capture.add(damage: damage)
    if !quiet, Terminal.errorIsTerminal { Terminal.progress("\r" + String(repeating: " ", count: 60) + "\r") }
    running.remove(outcome.process)
    return ProfileResult(command: command, outcome: outcome, capture: capture, leftRunning: running.count)
  }

  private func write(_ result: ProfileResult) throws {
    let path = output ?? Self.freeName
    try TraceStore.write(result.capture.trace, to: path)
    if let chrome { try ChromeOutput.write(result.capture.trace, to: chrome, all: all, quiet: quiet) }
    let files = [path] + (chrome.map { [$0] } ?? [])
    if json {
      Terminal.print(result.json(version: Headroom.version, status: Self.status(result.outcome), files: files).serialized(pretty: true))
    } else if !quiet {
      Terminal.print(result.lines(files: files).joined(separator: "\n"))
    }
  }

  static func status(_ outcome: RecordedCommand.Outcome) -> Int32 {
    switch outcome.ending {
    case .exited(let status): status
    case .killed(let signal): outcome.wasEnded ? 0 : 128 + signal
    }
  }

  private static var freeName: String {
    for number in 1..<100_000 where access("profile-\(number).sqlite", F_OK) != 0 { return "profile-\(number).sqlite" }
    return "profile.sqlite"
  }

  private static var environment: [String] {
    var entries: [String] = []
    var entry = environ
    while let text = entry.pointee {
      entries.append(String(cString: text))
      entry += 1
    }
    return entries
  }
}
