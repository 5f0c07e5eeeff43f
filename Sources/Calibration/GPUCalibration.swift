import Explanation
import FileAccess
import GPUModel
import Glibc
import JSONText
import KernelFitting
import PlanReports
import Planning
import ProcessContract
import Reporting
import TraceFormats

/// `calibrate --gpu-measurements` and `calibrate --from-trace`: a GPU's constants, fitted to what was measured on it.
package struct GPUCalibration: Sendable {
  /// The GPU; of a trace, where it does not say.
  package var gpu: GPUSelection
  /// Sizes of a built-in model.
  package var sizes: ModelSelection
  /// File that is written.
  package var output: String?
  /// CSV of measured products.
  package var measurements: String?
  /// A profiler's trace.
  package var trace: String?
  /// The model that ran, where the trace has no shapes.
  package var model: String?
  /// Of a step of the model.
  package var rows: Int?
  /// Arithmetic of the model's products.
  package var type = ComputeType.fp16
  /// In the trace; nil: found from the kernels' counts.
  package var steps: Int?
  /// Products are timed on a GPU here; nil: they are given.
  package var device: DeviceCalibration?

  /// Nothing is asked for yet.
  package init(gpu: GPUSelection, sizes: ModelSelection, output: String?) {
    (self.gpu, self.sizes, self.output) = (gpu, sizes, output)
  }

  /// - Throws: options that cannot be together, or mean nothing.
  package func check() throws(UsageError) {
    if let device {
      if trace != nil || measurements != nil { throw UsageError("give --device, --gpu-measurements or --from-trace") }
      try device.check()
    }
    if trace != nil, measurements != nil { throw UsageError("give --gpu-measurements or --from-trace") }
    if model != nil, trace == nil { throw UsageError("--model \(model ?? ""): names the model of a trace; give --from-trace") }
    if model != nil, rows == nil { throw UsageError("--model \(model ?? ""): say with --rows how many rows a step had") }
    if let rows, !(1...1_048_576).contains(rows) { throw UsageError("--rows \(rows): from 1 to 1048576") }
    if let steps, !(1...10_000_000).contains(steps) { throw UsageError("--steps \(steps): from 1 to 10000000") }
  }

  private func named() throws -> GPUMatch? {
    guard let name = gpu.names else { return nil }
    do { return try gpu.catalogue().find(name) } catch let error as GPULookupError {
      throw UsageError("\(error). Add one of your own with --gpu-file")
    }
  }

  /// Fits to a table of measurements and writes the constants; what there is to say of it.
  package func fitMeasurements(note: (String) -> Void) throws -> String {
    guard let match = try named(), let file = measurements, let output else {
      throw UsageError("--gpu, --gpu-measurements and --output are needed (or --from-trace, --host, --processor, --print-shapes)")
    }
    let rows: [Measurement]
    do { rows = try Measurement.read(csv: try Files.readText(file)) } catch let error as MeasurementError {
      throw UsageError("\(file): \(error)")
    }
    note("fitting \(rows.count) measurements of \(match.gpu.name) ...")
    let fit: MeasurementCalibration
    do throws(MeasurementCalibration.Fault) {
      fit = try MeasurementCalibration(
        of: match.gpu, rows, prior: KernelCalibrations.calibration(for: match.gpu), file: file, date: Self.now)
    } catch { throw UsageError("\(file): \(error)") }
    try Files.write(output, fit.calibration.json.serialized() + "\n")
    return
      "calibrated: \(fit.classes.map(\.rawValue).joined(separator: ", ")); mean error on these measurements: \(NumberText.percent(fit.errorBefore)) before, \(NumberText.percent(fit.errorAfter)) after (not held out)"
  }

  /// Times products on a GPU here, and writes the constants where a file is named.
  ///
  /// - Throws: `DeviceError`, `FileError`, `UsageError`.
  package func fit(_ device: DeviceCalibration, progress: (String) -> Void) throws -> MachineMeasurement.Result {
    var device = device
    device.output = output
    return try device.run(date: Self.now, progress: progress)
  }

  /// Fits to a trace, and writes the constants where a file is named.
  ///
  /// - Throws: `TraceImportError`, `TraceCalibrationError`, `FileError`, `UsageError`, and what planning the model throws.
  package func fit(trace path: String, width: Int, progress: @escaping @Sendable (String) -> Void) throws -> MachineMeasurement.Result {
    let match = try named()
    let trace = try TraceImporters.read(path, ImportOptions(progress: { _, _ in progress("reading \(path)") })).trace
    progress("joining kernels and sizes")
    var found = TraceMeasurements(of: trace, gpu: match?.gpu, steps: steps)
    if let model, found.products.isEmpty {
      guard let gpu = found.facts.gpu else {
        throw TraceCalibrationError(path: path, reason: "it does not say which GPU it was recorded on: say --gpu")
      }
      let kernels = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
      let plan = try PlanBuilder(model: kernels, type: type, fusion: .none).plan(try sizes.load(model, for: .plan).graph)
      found = TraceMeasurements(of: trace, model: try plan.at(rows: plan.fixedRows ?? rows ?? 1), gpu: match?.gpu, steps: steps)
    }
    progress("fitting")
    let result = try TraceCalibration(found, path: path, date: Self.now)
    if let output { try Files.write(output, result.calibration.json.serialized() + "\n") }
    return MachineMeasurement.Result(
      json: result.json(version: ProgramVersion.current, file: output),
      lines: result.lines(width: width) + [
        output.map { "written: \($0); `headroom plan MODEL --gpu \"\(result.gpu.name)\" --constants \($0)` reads it" }
          ?? "not written: no --output was given"
      ])
  }

  /// "2026-11-27T03:40:00Z".
  static var now: String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return
      "\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
  }
}
