import Execution
import ProcessContract
import Testing
import TimeBase

@testable import Capture

/// What `headroom profile` and `headroom top` accept, and what they do with it.
@Suite struct RecordingSettingsTests {
  private static let refused: [(String, @Sendable (inout RecordingSettings) -> Void)] = [
    ("a command is needed", { $0.command = [] }),
    ("--delay 0.0", { $0.delay = 0 }),
    ("--delay inf", { $0.delay = .infinity }),
    ("--delay nan", { $0.delay = .nan }),
    ("--duration -1.0", { $0.duration = -1 }),
    ("--metrics-interval 0.01", { $0.counterInterval = 0.01 }),
    ("--arm-signal KILL", { $0.armingSignalName = "KILL" }),
    ("--cuda-limit-megabytes 0", { $0.cudaLimitMegabytes = 0 }),
    ("--cuda-limit-megabytes 65537", { $0.cudaLimitMegabytes = 65_537 }),
    ("--os-threshold-microseconds -1.0", { $0.osThresholdMicroseconds = -1 }),
    ("--os-limit-megabytes 16385", { $0.osLimitMegabytes = 16_385 }),
  ]

  @Test(arguments: refused.indices) func whatCannotBeMeantIsNamed(index: Int) {
    var settings = RecordingSettings(["true"])
    Self.refused[index].1(&settings)
    let error = #expect(throws: UsageError.self) { try settings.check() }
    #expect(error?.description.hasPrefix(Self.refused[index].0) == true)
  }

  @Test func callsAreRecordedWhereNothingElseIsAskedFor() throws {
    var settings = RecordingSettings(["true"])
    try settings.check()
    #expect(settings.recordsOSCalls && settings.isArmed)
    settings.recordsCUDA = true
    #expect(!settings.recordsOSCalls)
    settings.asksForOSCalls = true
    #expect(settings.recordsOSCalls)
    (settings.recordsCUDA, settings.asksForOSCalls, settings.readsCounters) = (false, false, true)
    #expect(!settings.recordsOSCalls)
  }

  @Test func aDelayOrASignalBeginsTheRecordingLater() throws {
    var settings = RecordingSettings(["true"])
    settings.delay = 2
    #expect(!settings.isArmed && !settings.cudaOptions.isArmed)
    settings.delay = nil
    settings.armingSignalName = "USR2"
    try settings.check()
    #expect(!settings.isArmed && settings.armingSignal != nil)
  }

  @Test func optionsOfCUDAReachItsLibrary() {
    var settings = RecordingSettings(["true"])
    (settings.cudaCalls, settings.cudaGraphs, settings.usesHardwareTimes, settings.cudaLimitMegabytes) = (.all, .whole, true, 3)
    let options = settings.cudaOptions
    #expect(options.calls == .all && options.recordsWholeGraphs && options.usesHardwareTimes && options.limitBytes == 3 << 20)
  }

  @Test func anExitStatusIsTheCommandsOwn() {
    var outcome = RecordedCommand.Outcome(
      ending: .exited(7), process: 1, started: Instant(nanoseconds: 0), armed: nil, recordingEnded: Instant(nanoseconds: 1),
      ended: Instant(nanoseconds: 1), wasEnded: false)
    #expect(outcome.exitStatus == 7)
    outcome.ending = .killed(9)
    #expect(outcome.exitStatus == 137)
    outcome.wasEnded = true
    #expect(outcome.exitStatus == 0)
    #expect(CaptureError(.notFound, "").status == .commandNotFound && CaptureError(.cannotBeSeen, "").status == .commandNotRunnable)
  }

  @Test func countersAreOfTheGPUsAskedFor() throws {
    let readings = [GPUReading(index: 0, name: "first", uuid: "a"), GPUReading(index: 3, name: "fourth", uuid: "b")]
    var watch = CounterWatch(count: 1, interval: 1, gpu: nil, isQuiet: true)
    try watch.check()
    #expect(try watch.chosen(readings).count == 2)
    watch.gpu = 3
    #expect(try watch.chosen(readings).map(\.name) == ["fourth"])
    watch.gpu = 1
    #expect(throws: DeviceError.self) { try watch.chosen(readings) }
    #expect(throws: DeviceError.self) { try CounterWatch(count: 1, interval: 1, gpu: nil, isQuiet: true).chosen([]) }
    #expect(throws: UsageError.self) { try CounterWatch(count: 0, interval: 1, gpu: nil, isQuiet: true).check() }
    #expect(throws: UsageError.self) { try CounterWatch(count: nil, interval: .nan, gpu: nil, isQuiet: true).check() }
  }
}
