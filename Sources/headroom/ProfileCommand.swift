import ArgumentParser
import Capture
import Console
import Explanation
import FileAccess
import JSONText
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
        headroom profile --cuda --measure-cost 3 -- python3 steps.py
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
  var cudaGraphs = CUDARecording.Graphs.nodes

  @Flag(help: "Take kernel times from the hardware event system (Blackwell; not with MIG, MPS or WSL).")
  var cudaHardwareTimes = false

  @Option(help: ArgumentHelp("What all processes together may write; records beyond are dropped and counted.", valueName: "megabytes"))
  var cudaLimitMegabytes = 256

  @Option(
    help: ArgumentHelp(
      "Afterwards run COMMAND so many times in each mode of --cuda-calls and without recording, in turn, and say what each costs per launch. It must end by itself.",
      valueName: "rounds"))
  var measureCost: Int?

  @Option(help: ArgumentHelp("Where libcupti is looked for first: a folder or a file. Also HEADROOM_CUDA_PATH.", valueName: "path"))
  var cudaPath: String?

  @Flag(help: "Print one JSON object in place of the tables; what COMMAND prints goes to standard error.")
  var json = false

  @Flag(help: "No summary and no progress: only the file.")
  var quiet = false

  @Argument(parsing: .postTerminator, help: "The command, after --.")
  var command: [String] = []

  func validate() throws { try checked(settings.check) }

  func run() throws {
    do {
      let result = try ProfileRun(settings).record {
        if !quiet, Terminal.errorIsTerminal { Terminal.progress("headroom profile: reading what was recorded ...") }
      }
      if !quiet, Terminal.errorIsTerminal { Terminal.progress("\r" + String(repeating: " ", count: 60) + "\r") }
      try write(result)
      if result.outcome.exitStatus != 0 { throw ExitCode(result.outcome.exitStatus) }
    } catch let error as CaptureError {
      throw failed(Self.self, error, error.status)
    } catch  where error is TraceStoreError || error is FileError {
      throw failed(Self.self, error, .wrapperFailed)
    }
  }

  private var settings: RecordingSettings {
    var settings = RecordingSettings(command)
    settings.asksForOSCalls = os
    settings.recordsCUDA = cuda
    settings.readsCounters = metrics
    settings.counterInterval = metricsInterval
    settings.delay = delay
    settings.duration = duration
    settings.armingSignalName = armSignal
    settings.osThresholdMicroseconds = osThresholdMicroseconds
    settings.osLimitMegabytes = osLimitMegabytes
    settings.cudaCalls = cudaCalls
    settings.cudaGraphs = cudaGraphs
    settings.usesHardwareTimes = cudaHardwareTimes
    settings.cudaLimitMegabytes = cudaLimitMegabytes
    settings.cudaPath = cudaPath
    settings.costRounds = measureCost
    settings.movesOutput = json
    return settings
  }

  private func write(_ result: ProfileResult) throws {
    let path = output ?? OutputPath.firstFree("profile", "sqlite")
    try TraceStore.write(result.trace, to: path)
    if let chrome { try ChromeOutput.write(result.trace, to: chrome, all: all, note: quiet ? { _ in } : Terminal.note) }
    let files = [path] + (chrome.map { [$0] } ?? [])
    if json {
      Terminal.print(result.json(version: Headroom.version, files: files).serialized(pretty: true))
    } else if !quiet {
      Terminal.print(result.lines(files: files).joined(separator: "\n"))
    }
  }
}

extension CUDARecording.Calls: ExpressibleByArgument {}
extension CUDARecording.Graphs: ExpressibleByArgument {}
