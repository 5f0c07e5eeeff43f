import CheckedNumbers
import DeviceModel
import Execution
import FileAccess
import Glibc
import JSONText
import PlanReports
import ProcessContract
import Reporting
import Simulation
import Threads
import TimeBase

/// `calibrate --host` and `calibrate --processor`: this machine, measured.
package struct MachineMeasurement: Sendable {
  /// As it is printed.
  package struct Result: Sendable {
    /// One object.
    package let json: JSONValue
    /// Tables, and where the file is.
    package let lines: [String]
  }

  /// The host profile: what our server and a client cost around a model.
  package var measuresHost = false
  /// The model whose batches are timed on the CPU device.
  package var processorModel: String?
  /// Sizes of a built-in model.
  package var model: ModelSelection
  /// Name of the profile in its file.
  package var name: String?
  /// To measure for; nil: the usual time.
  package var seconds: Double?
  /// Rows of the largest batch that is timed.
  package var maximumBatchRows = 256
  /// That compute; nil: as many as cores.
  package var threads: Int?
  /// Of weights and products.
  package var precision = LoadOptions.Precision.fp32
  /// File that is written.
  package var output: String?

  /// Nothing is asked for yet.
  package init(model: ModelSelection, output: String?) { (self.model, self.output) = (model, output) }

  /// - Throws: the option that cannot be meant.
  package func check() throws(UsageError) {
    if measuresHost, processorModel != nil { throw UsageError("--host and --processor exclude each other: two files come of them") }
    if let seconds, !(seconds >= 1 && seconds <= 3600) { throw UsageError("--seconds \(seconds): from 1 to 3600") }
    if !(1...65_536).contains(maximumBatchRows) { throw UsageError("--max-batch-size \(maximumBatchRows): from 1 to 65536") }
    if let threads, !(1...1024).contains(threads) { throw UsageError("--threads \(threads): from 1 to 1024") }
  }

  /// Whether one of them was asked for.
  package var isAsked: Bool { measuresHost || processorModel != nil }

  /// Measures; the whole takes as long as `note` is told beforehand.
  ///
  /// - Throws: `CalibrationError`, `DeviceError`, `FileError`, and what reading the model throws.
  package func run(progress: (String) -> Void, note: (String) -> Void) throws -> Result {
    if let processorModel { return try measureProcessor(processorModel, progress, note) }
    return try measureHost(progress, note)
  }

  private func measureHost(_ progress: (String) -> Void, _ note: (String) -> Void) throws -> Result {
    say(seconds ?? 12, "four phases of requests over loopback", note)
    let calibration = try HostCalibration(secondsPerPhase: (seconds ?? 12) / 4, progress: progress)
    let profile = calibration.profile(name: name ?? Self.hostName)
    if let output { try Files.write(output, Array((profile.json.serialized(pretty: true) + "\n").utf8)) }
    let report = HostCalibrationReport(calibration: calibration, profile: profile)
    return Result(
      json: report.json(version: ProgramVersion.current, files: output.map { [$0] } ?? []),
      lines: report.lines + [
        output.map { "written: \($0); `headroom bench FILE --host \($0)` reads it, and `host: \($0)` in an experiment file" }
          ?? "not written: -o FILE.json keeps it for `headroom bench --host FILE.json`"
      ])
  }

  /// How long it will take, before it begins.
  private func say(_ seconds: Double, _ work: String, _ note: (String) -> Void) {
    if let line = TimeEstimate(seconds: seconds, work: work).line { note(line) }
  }

  private func measureProcessor(_ name: String, _ progress: (String) -> Void, _ note: (String) -> Void) throws -> Result {
    let loaded = try model.load(name)
    let cores = sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))
    let threads = threads ?? cores
    let device = try CPUDevice(CPUDeviceOptions(threads: threads))
    progress("\(name): loading")
    let onDevice = try device.load(.graph(loaded.graph), LoadOptions(maximumBatchRows: maximumBatchRows, precision: precision))
    let rows = onDevice.hasRowDimension ? BatchDurations.sizes(maximum: maximumBatchRows) : [1]
    say(seconds ?? 10, "batches of \(rows.count) sizes, at least five of each", note)
    progress("\(name): timing batches of \(rows.map(String.init).joined(separator: ", ")) rows")
    let timing = try BatchTimer.measure(
      onDevice, sizes: rows, budget: TimeSpan(clampingSeconds: seconds ?? 10),
      waiting: { ThreadTimes.all().values.reduce(0) { $0 &+ $1.waiting } },
      progress: { share in progress("\(name): \(Int(saturating: share * 100)) %") })
    let report = ProcessorReport(
      model: name,
      processor: ProcessorDevice(
        name: self.name ?? "\(device.description.hardware), \(precision.rawValue)", durations: timing.durations, threads: threads,
        sharedCores: cores), disturbedBatches: timing.disturbed)
    if let output { try Files.write(output, Array((report.processor.json.serialized(pretty: true) + "\n").utf8)) }
    return Result(
      json: report.json(version: ProgramVersion.current, files: output.map { [$0] } ?? []),
      lines: report.lines + [output.map { "written: \($0)" } ?? "not written: -o FILE.json keeps it"])
  }

  private static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, 255)
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return name.isEmpty ? "this-host" : name
  }
}
