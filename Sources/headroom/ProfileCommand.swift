import Console
import CheckedNumbers
import ArgumentParser
import ProcessContract
import Capture
import Diagnosis
import Execution
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
    commandName: "profile", abstract: "Run a command and record its operating-system calls and its work on NVIDIA GPUs.",
    usage: """
      headroom profile [--cuda] [--os] [--metrics] [options] -- COMMAND ...
      """,
    discussion: """
      --os loads a library into COMMAND and its children (LD_PRELOAD) that notes each call which may wait, under its own name \
      (pthread_cond_wait, sem_timedwait, epoll_wait, syscall(SYS_futex), read, ...), with thread, start and duration. No rights are needed. \
      Writes a trace with Nsight Systems' tables (OSRT_API), and prints the summary that `nsys stats --report osrt_sum` prints.

      Not seen: static binaries (refused with exit code 126), system calls made without libc, set-id programs.

      --cuda has NVIDIA's driver load a library into every process that starts CUDA (CUDA_INJECTION64_PATH), which records kernels, copies, fills, \
      runtime and driver calls, synchronizations and events with CUPTI. libcupti is looked for in COMMAND itself, then where --cuda-path and \
      PyPI's wheels put it. One tool at a time can use CUPTI: where another holds it, that is said, and COMMAND runs on. Both together make one \
      trace, which `headroom explain` reads.

      EXAMPLES
        headroom profile --os -- headroom serve --model linear=builtin:linear
        headroom profile --cuda --os --delay 20 --duration 10 -o run.sqlite \\
          -- python3 serve.py
        headroom profile --cuda --arm-signal USR2 -- python3 serve.py
        headroom profile --os --duration 10 -o server.sqlite --chrome server.json \\
          -- ./server --port 8000
        headroom profile --os --json -- python3 worker.py > profile.json

      EXIT CODES
        COMMAND's own, 128 + N where signal N killed it, 0 where it ended because
        --duration was over; 125 the recording failed, 126 COMMAND cannot be run or
        cannot be seen, 127 there is no such COMMAND; 64 usage.
      """)

  @Flag(help: "Record operating-system calls: what is done where nothing else is asked for.")
  var os = false

  @Flag(help: "Record kernels, copies, CUDA calls and waits, with CUPTI.")
  var cuda = false

  @Flag(help: "Record counters of this machine's GPUs: busy, SM, tensor and DRAM active, clocks, power (as `headroom top` reads them).")
  var metrics = false

  @Option(help: ArgumentHelp("Between readings of --metrics.", valueName: "seconds"))
  var metricsInterval = 0.1

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("SQLite file for the trace. (default: profile-N.sqlite, the first that is free)", valueName: "file.sqlite"))
  var output: String?

  @Option(help: ArgumentHelp("Write the trace as Chrome JSON too, for Perfetto.", valueName: "file.json"))
  var chrome: String?

  @Flag(help: "With --chrome: the whole trace, however large; otherwise about 100 MB of it.")
  var all = false

  @Option(help: ArgumentHelp("Begin to record so long after COMMAND's start.", valueName: "seconds"))
  var delay: Double?

  @Option(help: ArgumentHelp("Record so long, then end COMMAND with SIGTERM (SIGKILL 10 s later).", valueName: "seconds"))
  var duration: Double?

  @Option(
    help: ArgumentHelp(
      "USR1 or USR2: begin to record when headroom gets this signal, end with the next one while COMMAND goes on.", valueName: "signal"))
  var armSignal: String?

  @Option(help: ArgumentHelp("Calls shorter than this are counted and not written down.", valueName: "microseconds"))
  var osThresholdMicroseconds = 1.0

  @Option(help: ArgumentHelp("What all processes together may write; calls beyond are dropped and counted.", valueName: "megabytes"))
  var osLimitMegabytes = 256

  @Option(
    help: ArgumentHelp("CUDA calls: listed (that launch, copy, wait, allocate or load), all, none (device work alone).", valueName: "calls")
  )
  var cudaCalls = CUDARecording.Calls.listed

  @Option(help: ArgumentHelp("CUDA graphs: nodes (each kernel), whole (one interval per launch; cheaper).", valueName: "graphs"))
  var cudaGraphs = GraphRecords.nodes

  @Flag(help: "Take kernel times from the hardware event system (Blackwell; not with MIG, MPS or WSL).")
  var cudaHardwareTimes = false

  @Option(help: ArgumentHelp("What all processes together may write; records beyond are dropped and counted.", valueName: "megabytes"))
  var cudaLimitMegabytes = 256

  @Option(help: ArgumentHelp("Where libcupti is looked for first: a folder or a file. Also HEADROOM_CUDA_PATH.", valueName: "path"))
  var cudaPath: String?

  @Flag(help: "Print one JSON object in place of the tables; what COMMAND prints goes to standard error.")
  var json = false

  @Flag(help: "No summary and no progress: only the file.")
  var quiet = false

  @Argument(parsing: .postTerminator, help: "The command, after --.")
  var command: [String] = []

  func validate() throws {
    if command.isEmpty { throw ValidationError("a command is needed after --, as in: headroom profile --os -- ./server --port 8000") }
    if let delay, !(delay > 0 && delay <= 86_400) { throw ValidationError("--delay \(delay): above 0, at most 86400 seconds") }
    if !(metricsInterval >= 0.02 && metricsInterval <= 60) {
      throw ValidationError("--metrics-interval \(metricsInterval): from 0.02 to 60 seconds")
    }
    if let armSignal, Self.signals[armSignal] == nil { throw ValidationError("--arm-signal \(armSignal): USR1 or USR2") }
    if !(1...65_536).contains(cudaLimitMegabytes) { throw ValidationError("--cuda-limit-megabytes \(cudaLimitMegabytes): from 1 to 65536") }
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

  /// What is written down of a CUDA graph that runs.
  enum GraphRecords: String, Sendable, CaseIterable, ExpressibleByArgument {
    case nodes, whole
  }

  private static let signals: [String: Int32] = ["USR1": SIGUSR1, "USR2": SIGUSR2]
  private var recordsOS: Bool { os || !(cuda || metrics) }

  private var search: CUDASearch {
    var search = CUDASearch.standard
    if let cudaPath { search.explicitPath = cudaPath }
    return search
  }

  private func record() throws(CaptureError) -> ProfileResult {
    let program = try ProgramSearch(command[0])
    let isArmed = delay == nil && armSignal == nil
    let folder = try CaptureFolder()
    defer { folder.remove() }
    var environment = Self.environment
    var calls: OSCallRecording?
    if recordsOS {
      let made = try OSCallRecording(
        in: folder, thresholdNanoseconds: Int64(saturating: (osThresholdMicroseconds * 1000).rounded()),
        limitBytes: Int64(osLimitMegabytes) << 20, isArmed: isArmed)
      environment = made.environment(adding: environment)
      calls = made
    }
    // Two libraries have no place in the driver: the other one was there first, and COMMAND may need it.
    let holder = cuda ? CUDARecording.holder(in: environment) : nil
    var recording: CUDARecording?
    if cuda, holder == nil {
      let made = try CUDARecording(in: folder, cudaOptions(isArmed: isArmed))
      environment = made.environment(adding: environment)
      recording = made
    }
    let recorded = RecordedCommand(
      path: program.path, arguments: command, environment: environment, limit: duration.map { TimeSpan(clampingSeconds: $0) },
      delay: delay.map { TimeSpan(clampingSeconds: $0) }, armingSignal: armSignal.flatMap { Self.signals[$0] }, movesOutput: json)
    let sampler = metrics ? MetricsSampler(search, interval: TimeSpan(clampingSeconds: metricsInterval)) : nil
    let outcome = try recorded.run(
      clock: { MonotonicClock.now },
      whenArmed: {
        calls?.arm()
        recording?.arm()
      },
      whenOver: {
        calls?.stop()
        recording?.stop(
          clock: { MonotonicClock.now }, pause: { MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(2)) })
      })
    if !quiet, Terminal.errorIsTerminal { Terminal.progress("headroom profile: reading what was recorded ...") }
    var result = ProfileResult(command: command, outcome: outcome)
    if let calls { (result.capture, result.leftRunning) = osCalls(calls, outcome) }
    if let recording {
      var capture = CUDACapture(addingTo: result.capture?.trace ?? Trace(), end: outcome.recordingEnded.nanoseconds)
      recording.read(into: &capture)
      result.cuda = capture
    }
    result.cudaHolder = holder
    result.metrics = sampler?.stop(from: outcome.armed, to: outcome.recordingEnded)
    if !quiet, Terminal.errorIsTerminal { Terminal.progress("\r" + String(repeating: " ", count: 60) + "\r") }
    return result
  }

  private func osCalls(_ calls: OSCallRecording, _ outcome: RecordedCommand.Outcome) -> (OSCallCapture, Int) {
    let (files, damage) = calls.read()
    var running = Set(files.map(\.process).filter { kill(pid_t(truncatingIfNeeded: $0), 0) == 0 })
    // It was there until the recording ended: that is when it was waited for.
    running.insert(outcome.process)
    var capture = OSCallCapture(
      files, end: outcome.recordingEnded.nanoseconds, running: running, thresholdNanoseconds: calls.thresholdNanoseconds,
      command: (command, outcome.process))
    capture.add(damage: damage)
    return (capture, running.count - 1)
  }

  private func cudaOptions(isArmed: Bool) -> CUDARecording.Options {
    var options = CUDARecording.Options()
    options.calls = cudaCalls
    options.recordsWholeGraphs = cudaGraphs == .whole
    options.usesHardwareTimes = cudaHardwareTimes
    options.limitBytes = Int64(cudaLimitMegabytes) << 20
    options.libraries = search.profilingLibraries
    options.isArmed = isArmed
    return options
  }

  private func write(_ result: ProfileResult) throws {
    let path = output ?? Self.freeName
    try TraceStore.write(result.trace, to: path)
    if let chrome { try ChromeOutput.write(result.trace, to: chrome, all: all, quiet: quiet) }
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

extension CUDARecording.Calls: ExpressibleByArgument {}
