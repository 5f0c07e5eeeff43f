import CheckedNumbers
import Execution
import Glibc
import ProcessContract

/// What `headroom profile` is asked to record: its options, checked.
package struct RecordingSettings: Sendable {
  /// A program and what it is told.
  package var command: [String]
  /// Operating-system calls are asked for; they are recorded where nothing is, too.
  package var asksForOSCalls = false
  /// Work on NVIDIA GPUs.
  package var recordsCUDA = false
  /// Counters of the machine's GPUs.
  package var readsCounters = false
  /// Between readings of the counters, seconds.
  package var counterInterval = 0.1
  /// From the command's start to the recording's, seconds.
  package var delay: Double?
  /// How long is recorded, seconds; nil: until the command ends.
  package var duration: Double?
  /// "USR1" or "USR2": the signal that begins and ends the recording.
  package var armingSignalName: String?
  /// Shorter calls are counted alone.
  package var osThresholdMicroseconds = 1.0
  /// What the records of OS calls may take, MiB.
  package var osLimitMegabytes = 256
  /// Which CUDA calls.
  package var cudaCalls = CUDARecording.Calls.listed
  /// How CUDA graphs are recorded.
  package var cudaGraphs = CUDARecording.Graphs.nodes
  /// Kernel times from the hardware event system.
  package var usesHardwareTimes = false
  /// What the records of CUDA may take, MiB.
  package var cudaLimitMegabytes = 256
  /// Where NVIDIA's libraries are looked for first.
  package var cudaPath: String?
  /// Rounds in which the command is run in each mode and without a recording, to say what recording costs; nil for none.
  package var costRounds: Int?
  /// The command's standard output goes to standard error.
  package var movesOutput = false

  /// A command with the defaults.
  package init(_ command: [String]) { self.command = command }

  /// - Throws: the option that cannot be meant.
  package func check() throws(UsageError) {
    if command.isEmpty { throw UsageError("a command is needed after --, as in: headroom profile --os -- ./server --port 8000") }
    if let delay, !(delay > 0 && delay <= 86_400) { throw UsageError("--delay \(delay): above 0, at most 86400 seconds") }
    if !(counterInterval >= 0.02 && counterInterval <= 60) {
      throw UsageError("--metrics-interval \(counterInterval): from 0.02 to 60 seconds")
    }
    if let name = armingSignalName, Self.signals[name] == nil { throw UsageError("--arm-signal \(name): USR1 or USR2") }
    if !(1...65_536).contains(cudaLimitMegabytes) { throw UsageError("--cuda-limit-megabytes \(cudaLimitMegabytes): from 1 to 65536") }
    if let duration, !(duration > 0 && duration <= 86_400) { throw UsageError("--duration \(duration): above 0, at most 86400 seconds") }
    if !(osThresholdMicroseconds >= 0 && osThresholdMicroseconds <= 1e6) {
      throw UsageError("--os-threshold-microseconds \(osThresholdMicroseconds): from 0 to 1000000")
    }
    if let costRounds {
      if !recordsCUDA { throw UsageError("--measure-cost is what --cuda costs: give both") }
      if !(1...100).contains(costRounds) { throw UsageError("--measure-cost \(costRounds): from 1 to 100 rounds") }
      if delay != nil || armingSignalName != nil || duration != nil {
        throw UsageError("--measure-cost compares whole runs: without --delay, --duration and --arm-signal")
      }
    }
    if !(1...16_384).contains(osLimitMegabytes) { throw UsageError("--os-limit-megabytes \(osLimitMegabytes): from 1 to 16384") }
  }

  private static let signals: [String: Int32] = ["USR1": SIGUSR1, "USR2": SIGUSR2]

  /// Whether OS calls are recorded: asked for, or nothing else is.
  package var recordsOSCalls: Bool { asksForOSCalls || !(recordsCUDA || readsCounters) }
  /// Whether the recording begins with the command.
  package var isArmed: Bool { delay == nil && armingSignalName == nil }
  /// The number of the signal that begins the recording.
  package var armingSignal: Int32? { armingSignalName.flatMap { Self.signals[$0] } }

  /// Where NVIDIA's libraries are.
  package var search: CUDASearch { .standard(before: cudaPath) }

  /// For the library that the driver loads.
  package var cudaOptions: CUDARecording.Options {
    var options = CUDARecording.Options()
    options.calls = cudaCalls
    options.recordsWholeGraphs = cudaGraphs == .whole
    options.usesHardwareTimes = usesHardwareTimes
    options.limitBytes = Int64(cudaLimitMegabytes) << 20
    options.libraries = search.profilingLibraries
    options.isArmed = isArmed
    return options
  }
}
