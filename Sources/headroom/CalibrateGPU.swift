import Console
import ArgumentParser
import Explanation
import FileAccess
import GPUModel
import Glibc
import JSONText
import KernelFitting
import Planning
import ProcessContract
import Reporting
import TraceFormats

/// `calibrate --gpu-measurements` and `calibrate --from-trace`: a GPU's constants, fitted to what was measured on it.
struct CalibrateGPU: ParsableArguments {
  @Option(help: "The GPU the measurements were made on; of a trace, where it does not say.") var gpu: String?
  @Option(help: ArgumentHelp("JSON file with a GPU of your own.", valueName: "file")) var gpuFile: String?
  @Option(
    help: ArgumentHelp(
      "CSV with columns m, n, k, kernel_us_median (records) or median_us (replays), and optionally b, dtype, shortest and longest run.",
      valueName: "file")) var gpuMeasurements: String?
  @Option(
    help: ArgumentHelp(
      "Trace with shapes (PyTorch's with record_shapes=True, Nsight's export with emit_nvtx), or of the model that --model names.",
      valueName: "file")) var fromTrace: String?
  @Option(
    help: ArgumentHelp(
      "With --from-trace, where it has no shapes: the model that ran (linear, stacked, seqlen, encoder, or an .onnx file).",
      valueName: "model")) var model: String?
  @Option(help: "With --model: rows of a step.") var rows: Int?
  @Option(help: "With --model: arithmetic of its products: fp16, bf16, tf32, fp32.") var dtype: ComputeType = .fp16
  @Option(help: "With --from-trace: steps in the trace. (default: found from the kernels' counts)") var steps: Int?

  func validate() throws {
    if fromTrace != nil, gpuMeasurements != nil { throw ValidationError("give --gpu-measurements or --from-trace") }
    if model != nil, fromTrace == nil { throw ValidationError("--model \(model ?? ""): names the model of a trace; give --from-trace") }
    if model != nil, rows == nil { throw ValidationError("--model \(model ?? ""): say with --rows how many rows a step had") }
    if let rows, !(1...1_048_576).contains(rows) { throw ValidationError("--rows \(rows): from 1 to 1048576") }
    if let steps, !(1...10_000_000).contains(steps) { throw ValidationError("--steps \(steps): from 1 to 10000000") }
  }

  private func named() throws -> GPUMatch? {
    guard let gpu else { return nil }
    var options = GPUOptions()
    options.gpu = gpu
    options.gpuFile = gpuFile
    options.constants = []
    do { return try options.catalogue().find(gpu) } catch let error as GPULookupError {
      throw ValidationError("\(error). Add one of your own with --gpu-file")
    }
  }

  func run(output: String?, sizes: ModelOptions, json: Bool, quiet: Bool) throws {
    if let fromTrace { return try calibrate(fromTrace: fromTrace, output: output, sizes: sizes, json: json, quiet: quiet) }
    guard let match = try named(), let gpuMeasurements, let output else {
      throw ValidationError(
        "--gpu, --gpu-measurements and --output are needed (or --from-trace, --host, --processor, --print-shapes)")
    }
    let rows: [Measurement]
    do { rows = try Measurement.read(csv: try Files.readText(gpuMeasurements)) } catch let error as MeasurementError {
      throw ValidationError("\(gpuMeasurements): \(error)")
    }
    Terminal.note("fitting \(rows.count) measurements of \(match.gpu.name) ...")
    let fit: MeasurementCalibration
    do throws(MeasurementCalibration.Fault) {
      fit = try MeasurementCalibration(
        of: match.gpu, rows, prior: KernelCalibrations.calibration(for: match.gpu), file: gpuMeasurements, date: Self.now)
    } catch { throw ValidationError("\(gpuMeasurements): \(error)") }
    try Files.write(output, fit.calibration.json.serialized() + "\n")
    Terminal.note(
      "calibrated: \(fit.classes.map(\.rawValue).joined(separator: ", ")); mean error on these measurements: \(NumberText.percent(fit.errorBefore)) before, \(NumberText.percent(fit.errorAfter)) after (not held out)"
    )
  }

  private func calibrate(fromTrace path: String, output: String?, sizes: ModelOptions, json: Bool, quiet: Bool) throws {
    let progress = ProgressLine(isQuiet: quiet)
    let match = try named()
    do {
      let trace = try TraceImporters.read(path, ImportOptions(progress: { _, _ in progress.report("reading \(path)") })).trace
      progress.report("joining kernels and sizes")
      var found = TraceMeasurements(of: trace, gpu: match?.gpu, steps: steps)
      if let model, found.products.isEmpty {
        guard let gpu = found.facts.gpu else {
          throw TraceCalibrationError(path: path, reason: "it does not say which GPU it was recorded on: say --gpu")
        }
        let kernels = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
        let plan = try PlanBuilder(model: kernels, type: dtype, fusion: .none).plan(try sizes.load(model, for: .plan).graph)
        found = TraceMeasurements(of: trace, model: try plan.at(rows: plan.fixedRows ?? rows ?? 1), gpu: match?.gpu, steps: steps)
      }
      progress.report("fitting")
      let result = try TraceCalibration(found, path: path, date: Self.now)
      progress.clear()
      if let output { try Files.write(output, result.calibration.json.serialized() + "\n") }
      if json {
        Terminal.print(result.json(version: Headroom.version, file: output).serialized(pretty: true))
      } else {
        Terminal.print(result.lines(width: Terminal.width).joined(separator: "\n"))
        Terminal.print(
          output.map { "written: \($0); `headroom plan MODEL --gpu \"\(result.gpu.name)\" --constants \($0)` reads it" }
            ?? "not written: no --output was given")
      }
    } catch let error as TraceImportError {
      progress.clear()
      Terminal.note("headroom calibrate: \(error)")
      throw ExitCode(.failed)
    } catch let error as TraceCalibrationError {
      progress.clear()
      Terminal.note("headroom calibrate: \(error)")
      throw ExitCode(.failed)
    }
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
