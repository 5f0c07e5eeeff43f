import Calibration
import Console
import CheckedNumbers
import ArgumentParser
import ProcessContract
import DeviceModel
import Execution
import Experiments
import FileAccess
import Glibc
import JSONText
import Reporting
import Simulation
import Threads
import TimeBase

/// `calibrate --host` and `calibrate --processor`: this machine, measured.
struct CalibrateMachine: ParsableArguments {
  @Flag(help: "Measure this machine's host profile: what our server and a client cost around a model. Takes half a minute at most.")
  var host = false

  @Option(
    help: ArgumentHelp("Measure how long batches of this model take on the CPU device.", valueName: "model"))
  var processor: String?

  @Option(help: "Name of the profile in its file.") var name: String?
  @Option(help: "Seconds to measure for. (default: 12 for --host, 10 for --processor)") var seconds: Double?
  @Option(help: "With --processor: rows of the largest batch.") var maxBatchSize = 256
  @Option(help: "With --processor: threads that compute (default: every core).") var threads: Int?
  @Option(help: "With --processor: what weights and products are stored as: fp32, bf16, fp16.") var precision: LoadOptions.Precision = .fp32
  @Flag(help: "Print one JSON object in place of the tables.") var json = false
  @Flag(help: "No progress.") var quiet = false

  func validate() throws {
    if host, processor != nil { throw ValidationError("--host and --processor exclude each other: two files come of them") }
    if let seconds, !(seconds >= 1 && seconds <= 3600) { throw ValidationError("--seconds \(seconds): from 1 to 3600") }
    if !(1...65_536).contains(maxBatchSize) { throw ValidationError("--max-batch-size \(maxBatchSize): from 1 to 65536") }
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads \(threads): from 1 to 1024") }
  }

  /// Whether one of them was asked for.
  var isAsked: Bool { host || processor != nil }

  func run(output: String?, sizes: ModelOptions) throws {
    do {
      if let processor { try measureProcessor(processor, output: output, sizes: sizes) } else { try measureHost(output: output) }
    } catch let error as CalibrationError {
      Terminal.note("headroom calibrate: \(error)")
      throw ExitCode(.failed)
    } catch let error as DeviceError {
      Terminal.note("headroom calibrate: \(error)")
      throw ExitCode(.failed)
    } catch let error as FileError {
      Terminal.note("headroom calibrate: \(error)")
      throw ExitCode(.failed)
    }
  }

  private func measureHost(output: String?) throws {
    let progress = ProgressLine(isQuiet: quiet)
    say(seconds ?? 12, "four phases of requests over loopback")
    let calibration = try HostCalibration(secondsPerPhase: (seconds ?? 12) / 4) { progress.report($0) }
    progress.clear()
    let profile = calibration.profile(name: name ?? Self.hostName)
    if let output { try Files.write(output, Array((profile.json.serialized(pretty: true) + "\n").utf8)) }
    let report = HostCalibrationReport(calibration: calibration, profile: profile)
    if json {
      Terminal.print(report.json(version: Headroom.version, files: output.map { [$0] } ?? []).serialized(pretty: true))
    } else {
      Terminal.print(report.lines.joined(separator: "\n"))
      Terminal.print(
        output.map { "written: \($0); `headroom bench FILE --host \($0)` reads it, and `host: \($0)` in an experiment file" }
          ?? "not written: -o FILE.json keeps it for `headroom bench --host FILE.json`")
    }
  }

  /// How long it will take, before it begins.
  private func say(_ seconds: Double, _ work: String) {
    if !quiet, let line = TimeEstimate(seconds: seconds, work: work).line { Terminal.note("headroom calibrate: \(line)") }
  }

  private func measureProcessor(_ model: String, output: String?, sizes: ModelOptions) throws {
    let progress = ProgressLine(isQuiet: quiet)
    let loaded = try sizes.load(model)
    let cores = sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))
    let threads = threads ?? cores
    let device = try CPUDevice(CPUDeviceOptions(threads: threads))
    progress.report("\(model): loading")
    let onDevice = try device.load(.graph(loaded.graph), LoadOptions(maximumBatchRows: maxBatchSize, precision: precision))
    let rows = onDevice.hasRowDimension ? BatchDurations.sizes(maximum: maxBatchSize) : [1]
    say(seconds ?? 10, "batches of \(rows.count) sizes, at least five of each")
    progress.report("\(model): timing batches of \(rows.map(String.init).joined(separator: ", ")) rows")
    let timing = try BatchTimer.measure(
      onDevice, sizes: rows, budget: TimeSpan(clampingSeconds: seconds ?? 10),
      waiting: { ThreadTimes.all().values.reduce(0) { $0 &+ $1.waiting } },
      progress: { share in progress.report("\(model): \(Int(saturating: share * 100)) %") })
    progress.clear()
    let report = ProcessorReport(
      model: model,
      processor: ProcessorDevice(
        name: name ?? "\(device.description.hardware), \(precision.rawValue)", durations: timing.durations, threads: threads,
        sharedCores: cores), disturbedBatches: timing.disturbed)
    if let output { try Files.write(output, Array((report.processor.json.serialized(pretty: true) + "\n").utf8)) }
    Terminal.print(
      json
        ? report.json(version: Headroom.version, files: output.map { [$0] } ?? []).serialized(pretty: true)
        : (report.lines + [output.map { "written: \($0)" } ?? "not written: -o FILE.json keeps it"]).joined(separator: "\n"))
  }

  private static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, 255)
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return name.isEmpty ? "this-host" : name
  }
}
