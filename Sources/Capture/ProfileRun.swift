import CheckedNumbers
import Execution
import Glibc
import Synchronization
import Threads
import TimeBase
import TraceFormats

/// One command run with everything recorded that the settings ask for.
package struct ProfileRun {
  private let settings: RecordingSettings

  /// Checked settings.
  package init(_ settings: RecordingSettings) { self.settings = settings }

  /// Runs the command to its end and reads what was recorded. `whenEnded` is called in between.
  package func record(whenEnded: () -> Void) throws(CaptureError) -> ProfileResult {
    let program = try ProgramSearch(settings.command.first ?? "")
    let folder = try CaptureFolder()
    defer { folder.remove() }
    var environment = Self.environment
    var calls: OSCallRecording?
    if settings.recordsOSCalls {
      let made = try OSCallRecording(
        in: folder, thresholdNanoseconds: Int64(saturating: (settings.osThresholdMicroseconds * 1000).rounded()),
        limitBytes: Int64(settings.osLimitMegabytes) << 20, isArmed: settings.isArmed)
      environment = made.environment(adding: environment)
      calls = made
    }
    // Two libraries have no place in the driver: the other one was there first, and COMMAND may need it.
    let holder = settings.recordsCUDA ? CUDARecording.holder(in: environment) : nil
    var recording: CUDARecording?
    if settings.recordsCUDA, holder == nil {
      let made = try CUDARecording(in: folder, settings.cudaOptions)
      environment = made.environment(adding: environment)
      recording = made
    }
    let recorded = RecordedCommand(
      path: program.path, arguments: settings.command, environment: environment,
      limit: settings.duration.map { TimeSpan(clampingSeconds: $0) }, delay: settings.delay.map { TimeSpan(clampingSeconds: $0) },
      armingSignal: settings.armingSignal, movesOutput: settings.movesOutput)
    let sampler =
      settings.readsCounters
      ? MetricsSampler(settings.search, interval: TimeSpan(clampingSeconds: settings.counterInterval)) : nil
    let unrecorded = Mutex<[UnrecordedProcesses.Process]>([])
    let driverNames = settings.search.driverNames
    let outcome = try recorded.run(
      clock: { MonotonicClock.now },
      whenArmed: {
        calls?.arm()
        recording?.arm()
      },
      whenOver: {
        calls?.stop()
        if let recording {
          unrecorded.withLock {
            $0 = UnrecordedProcesses.find(
              below: Int64(getpid()), recorded: recording.processes.union([Int64(getpid())]), libraries: driverNames)
          }
        }
        recording?.stop(
          clock: { MonotonicClock.now }, pause: { MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(2)) })
      })
    whenEnded()
    var result = ProfileResult(command: settings.command, outcome: outcome)
    if let calls { (result.capture, result.leftRunning) = osCalls(calls, outcome) }
    if let recording {
      var capture = CUDACapture(addingTo: result.capture?.trace ?? .init(), end: outcome.recordingEnded.nanoseconds)
      recording.read(into: &capture)
      result.cuda = capture
    }
    result.cudaHolder = holder
    result.unrecorded = unrecorded.withLock { $0 }
    if let rounds = settings.costRounds { result.cost = try cost(of: result, program: program, rounds: rounds) }
    result.metrics = sampler?.stop(from: outcome.armed, to: outcome.recordingEnded)
    return result
  }

  /// COMMAND in each mode and without a recording, in turn: whole runs, CUPTI's start among them.
  private func cost(of result: ProfileResult, program: ProgramSearch, rounds: Int) throws(CaptureError) -> RecordingCost {
    var cost = RecordingCost()
    let isLaunch = (result.cuda?.trace.names.texts ?? []).map { $0.contains("Launch") }
    cost.launches = (result.cuda?.trace.apiCalls.name ?? []).count {
      isLaunch.indices.contains(Int($0.rawValue)) && isLaunch[Int($0.rawValue)]
    }
    for round in 0..<rounds {
      var times: [RecordingCost.Mode: Int64] = [:]
      for mode in RecordingCost.order(round: round) { times[mode] = try length(of: program, recording: mode) }
      cost.add(times)
    }
    return cost
  }

  /// Wall time of a whole run, nanoseconds.
  private func length(of program: ProgramSearch, recording mode: RecordingCost.Mode) throws(CaptureError) -> Int64 {
    let folder = try CaptureFolder()
    defer { folder.remove() }
    var environment = Self.environment
    var recording: CUDARecording?
    if let mode {
      var options = settings.cudaOptions
      options.calls = mode
      let made = try CUDARecording(in: folder, options)
      environment = made.environment(adding: environment)
      recording = made
    }
    let outcome = try RecordedCommand(
      path: program.path, arguments: settings.command, environment: environment, movesOutput: settings.movesOutput
    ).run(
      clock: { MonotonicClock.now }, whenArmed: {},
      whenOver: {
        recording?.stop(
          clock: { MonotonicClock.now }, pause: { MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(2)) })
      })
    return (outcome.ended - outcome.started).nanoseconds
  }

  private func osCalls(_ calls: OSCallRecording, _ outcome: RecordedCommand.Outcome) -> (OSCallCapture, Int) {
    let (files, damage) = calls.read()
    var running = Set(files.map(\.process).filter { kill(pid_t(truncatingIfNeeded: $0), 0) == 0 })
    // It was there until the recording ended: that is when it was waited for.
    running.insert(outcome.process)
    var capture = OSCallCapture(
      files, end: outcome.recordingEnded.nanoseconds, running: running, thresholdNanoseconds: calls.thresholdNanoseconds,
      command: (settings.command, outcome.process))
    capture.add(damage: damage)
    return (capture, running.count - 1)
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

extension RecordedCommand.Outcome {
  /// The exit status that stands for the command's: its own, 128 + N where signal N killed it (as shells say), 0 where its time was over.
  package var exitStatus: Int32 {
    switch ending {
    case .exited(let status): status
    case .killed(let signal): wasEnded ? 0 : 128 + signal
    }
  }
}
