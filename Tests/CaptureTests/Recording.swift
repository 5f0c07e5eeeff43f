import Capture
import Glibc
import Testing
import Threads
import TimeBase
import Trace
import TraceFormats

/// A run of the probe (`Tests/Programs/OSCallProbe`) or another program with the interposer loaded, as it was built beside the tests.
struct Recording {
  var outcome: RecordedCommand.Outcome
  var capture: OSCallCapture

  /// Where the build put the tests, the probe and the interposer.
  static let buildFolder: String? = {
    guard let maps = fopen("/proc/self/maps", "r") else { return nil }
    defer { fclose(maps) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, maps) > 0, let line {
      let text = String(cString: line)
      if let slash = text.firstIndex(of: "/"), text.contains("PackageTests.xctest") {
        return text[slash...].lastIndex(of: "/").map { String(text[slash..<$0]) }
      }
    }
    return nil
  }()

  static var probe: String { (buildFolder ?? "") + "/os-call-probe" }

  /// What a wait for other processes does between looks.
  static func pause() { MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(2)) }

  static func calls(in folder: CaptureFolder, thresholdNanoseconds: Int64 = 1000, limitBytes: Int64 = 64 << 20) throws -> OSCallRecording {
    let build = try #require(buildFolder, "the tests' own place could not be found")
    return try OSCallRecording(
      in: folder, thresholdNanoseconds: thresholdNanoseconds, limitBytes: limitBytes,
      interposer: "\(build)/\(OSCallRecording.interposerName)")
  }

  /// Runs and reads.
  init(
    _ arguments: [String], program: String = Recording.probe, thresholdNanoseconds: Int64 = 1000, limitBytes: Int64 = 64 << 20,
    limit: TimeSpan? = nil
  ) throws {
    let folder = try CaptureFolder()
    defer { folder.remove() }
    let calls = try Recording.calls(in: folder, thresholdNanoseconds: thresholdNanoseconds, limitBytes: limitBytes)
    let command = RecordedCommand(
      path: program, arguments: [program] + arguments,
      environment: calls.environment(adding: ["PATH=/usr/bin:/bin", "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"]), limit: limit,
      movesOutput: true)
    // The test's thread blocks signals, and a command inherits what its starter blocks.
    var (none, before) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    outcome = try command.run(clock: { MonotonicClock.now }, whenOver: { calls.stop() })
    let (files, damage) = calls.read()
    capture = OSCallCapture(
      files, end: outcome.recordingEnded.nanoseconds, running: [outcome.process], thresholdNanoseconds: thresholdNanoseconds,
      command: ([program] + arguments, outcome.process))
    capture.add(damage: damage)
  }

  var status: Int32 { if case .exited(let status) = outcome.ending { status } else { -1 } }

  /// Durations of a function's calls, nanoseconds.
  func durations(_ name: String) -> [Int64] { calls(name).map { $0.end - $0.start } }

  func calls(_ name: String) -> [OSCall] { capture.trace.osCalls.filter { capture.trace.names[$0.name] == name } }

  func below(_ name: String) -> Int64 { capture.below.first { $0.name == name }?.calls ?? 0 }

  var threadNames: [String] { capture.trace.threads.compactMap { capture.trace.names[$0.name] } }
}
