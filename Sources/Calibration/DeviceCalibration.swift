import CheckedNumbers
import Execution
import Explanation
import FileAccess
import GPUModel
import Glibc
import JSONText
import KernelFitting
import ModelGraph
import PlanReports
import ProcessContract
import Reporting
import Threads
import TimeBase
import Trace

/// `calibrate --device cuda:0`: products timed on a GPU here, its constants fitted to them, and held against shapes that the fit has not seen.
package struct DeviceCalibration: Sendable {
  /// "cuda:0".
  package var device: String
  /// The catalogue's GPU, where it is not found by the driver's name.
  package var gpu: GPUSelection
  /// Arithmetic of the products.
  package var type = ComputeType.fp16
  /// CSV of sizes to measure in place of the 24 designed ones.
  package var shapes: String?
  /// Random sizes that are measured and predicted, and not fitted to.
  package var heldOut = 200
  /// CSV that keeps what was measured.
  package var measurements: String?
  /// File that is written.
  package var output: String?
  /// Where NVIDIA's libraries are.
  package var search = CUDASearch.standard

  /// Mean error on sizes not fitted to that a calibrated GPU is expected to keep.
  static let reach = 0.08

  package init(device: String, gpu: GPUSelection) { (self.device, self.gpu) = (device, gpu) }

  /// - Throws: the option that cannot be meant.
  package func check() throws(UsageError) {
    guard device.hasPrefix("cuda:"), Int(device.dropFirst(5)).map({ $0 >= 0 }) == true else {
      throw UsageError("--device \(device): write cuda:NUMBER, as in cuda:0")
    }
    if !(0...10_000).contains(heldOut) { throw UsageError("--held-out \(heldOut): from 0 to 10000") }
  }

  /// Measures, fits, holds the fit against the held-out sizes.
  ///
  /// - Throws: `DeviceError`, `FileError`, `UsageError`.
  package func run(date: String, progress: (String) -> Void) throws -> MachineMeasurement.Result {
    let sizes = try chosenSizes()
    let start = MonotonicClock.now
    let device = try CUDADevice(
      CUDADeviceOptions(ordinal: Int(self.device.dropFirst(5)) ?? 0, search: search, allowsTF32: type == .tf32))
    let gpu = try knownGPU(device.gpuName)
    let prior = KernelCalibrations.calibration(for: gpu)
    let timer = try CUDAProductTimer(device)
    let designed = try measure(sizes, timer, gpu, "measuring", progress)
    try keep(designed, [])
    let random = try measure(randomSizes(around: sizes), timer, gpu, "held out", progress)
    try keep(designed, random)
    progress("fitting")
    let source = "this machine's \(self.device) (\(device.description.hardware))"
    let fit: MeasurementCalibration
    do throws(MeasurementCalibration.Fault) {
      fit = try MeasurementCalibration(of: gpu, designed, prior: prior, file: source, date: date)
    } catch {
      throw UsageError("--device \(self.device): \(error)")
    }
    if let output { try Files.write(output, fit.calibration.json.serialized() + "\n") }
    let sample = KernelFitter.Sample(gpu: gpu, measurements: random)
    func errors(_ calibration: KernelCalibration) -> ErrorSummary {
      ErrorSummary(zip(KernelFitter.predictions(sample, calibration), random).map { (predicted: $0.0, measured: $0.1.microseconds) })
    }
    return result(
      device, gpu, fit, before: errors(prior), after: errors(fit.calibration), fitted: designed.count,
      seconds: (MonotonicClock.now - start).seconds)
  }

  private func chosenSizes() throws -> [GEMM] {
    guard let shapes else { return Measurement.designedShapes.map { GEMM(m: $0.m, n: $0.n, k: $0.k, type: type) } }
    let text = try Files.readText(shapes)
    do throws(MeasurementError) {
      return try Measurement.read(csv: text, timed: false).map { row in
        GEMM(batch: row.gemm.batch, m: row.gemm.m, n: row.gemm.n, k: row.gemm.k, type: type)
      }
    } catch { throw UsageError("\(shapes): \(error)") }
  }

  private func knownGPU(_ name: String) throws -> GPU {
    if let names = gpu.names {
      do { return try gpu.catalogue().find(names).gpu } catch let error as GPULookupError {
        throw UsageError("\(error). Add one of your own with --gpu-file")
      }
    }
    guard let known = DeviceFacts(GPUDescription(id: 0, name: name, smCount: Trace.unknown)).gpu else {
      throw UsageError(
        "--device \(device) is \"\(name)\", which the catalogue does not know: say with --gpu which GPU it is, or add it with --gpu-file")
    }
    return known
  }

  private func measure(
    _ sizes: [GEMM], _ timer: CUDAProductTimer, _ gpu: GPU, _ stage: String, _ progress: (String) -> Void
  ) throws(DeviceError) -> [Measurement] {
    var rows: [Measurement] = []
    for (index, gemm) in sizes.enumerated() {
      progress("\(stage): product \(index + 1) of \(sizes.count)")
      let time = try timer.time(
        CUDAProductTimer.Product(batches: gemm.batch, rows: gemm.m, columns: gemm.n, depth: gemm.k),
        type == .fp16 ? .float16 : type == .bf16 ? .bfloat16 : .float32)
      rows.append(
        Measurement(
          gpu: gpu.name, gemm: gemm, microseconds: time.median, quantity: .replay,
          spread: time.median > 0 ? (time.longest - time.shortest) / time.median : 0))
    }
    return rows
  }

  /// Between the least and the largest size that is fitted to, evenly on a logarithmic scale; rows any number, weights multiples of 8.
  func randomSizes(around sizes: [GEMM]) -> [GEMM] {
    var random = SplitMix64(seed: 1)
    func draw(_ values: [Int], _ multiple: Int) -> Int {
      let (low, high) = (values.min() ?? 1, values.max() ?? 1)
      let value = exp(Double.random(in: log(Double(low))...log(Double(max(low, high))), using: &random))
      let rounded = Int(saturating: (value / Double(multiple)).rounded()) * multiple
      return min(max(rounded, low), high)
    }
    return (0..<heldOut).map { _ in
      GEMM(m: draw(sizes.map(\.m), 1), n: draw(sizes.map(\.n), 8), k: draw(sizes.map(\.k), 8), type: type)
    }
  }

  private func keep(_ fitted: [Measurement], _ heldOut: [Measurement]) throws(FileError) {
    guard let measurements else { return }
    var lines = ["gpu,dtype,b,m,n,k,median_us,spread,set"]
    for (set, rows) in [("fitted", fitted), ("held-out", heldOut)] {
      lines += rows.map {
        "\($0.gpu),\($0.gemm.type.rawValue),\($0.gemm.batch),\($0.gemm.m),\($0.gemm.n),\($0.gemm.k),"
          + "\(NumberText.fixed($0.microseconds, decimals: 3)),\(NumberText.fixed($0.spread, decimals: 3)),\(set)"
      }
    }
    try Files.write(measurements, lines.joined(separator: "\n") + "\n")
  }

  private func result(
    _ device: CUDADevice, _ gpu: GPU, _ fit: MeasurementCalibration, before: ErrorSummary, after: ErrorSummary, fitted: Int, seconds: Double
  ) -> MachineMeasurement.Result {
    func summary(_ errors: ErrorSummary) -> JSONValue {
      errors.count == 0 ? .null : ["mean": JSONValue(errors.mean), "median": JSONValue(errors.median), "bias": JSONValue(errors.bias)]
    }
    let percent = NumberText.percent
    var lines = [
      "\(gpu.name), \(type.rawValue): \(fitted) products fitted (\(fit.classes.map(\.rawValue).joined(separator: ", "))), \(NumberText.fixed(seconds, decimals: 1)) s in all",
      "on the products fitted to: mean error \(percent(fit.errorBefore)) before, \(percent(fit.errorAfter)) after",
    ]
    if after.count > 0 {
      lines.append(
        "on \(after.count) random products not fitted to: mean error \(percent(before.mean)) before, \(percent(after.mean)) after (median \(percent(after.median))); expected at most \(percent(Self.reach)): \(after.mean <= Self.reach ? "kept" : "missed")"
      )
    }
    lines.append(
      output.map { "written: \($0); `headroom plan MODEL --gpu \"\(gpu.name)\" --constants \($0)` reads it" }
        ?? "not written: no --output was given")
    return MachineMeasurement.Result(
      json: [
        "schema": "headroom.calibrate-device/1", "headroom": .string(ProgramVersion.current), "mode": "measured",
        "device": .string(device.description.hardware), "gpu": .string(gpu.name), "dtype": .string(type.rawValue),
        "fitted": JSONValue(fitted),
        "seconds": JSONValue(seconds), "errorShareBefore": JSONValue(fit.errorBefore), "errorShareAfter": JSONValue(fit.errorAfter),
        "heldOut": JSONValue(after.count), "heldOutErrorBefore": summary(before), "heldOutErrorAfter": summary(after),
        "isWithinReach": after.count > 0 ? .bool(after.mean <= Self.reach) : .null,
        "file": output.map { .string($0) } ?? .null, "measurements": measurements.map { .string($0) } ?? .null,
      ], lines: lines)
  }
}
