import CheckedNumbers
public import GPUModel
import KernelFitting
public import JSONText
import Reporting

/// A trace from which no GPU can be calibrated: why, and what would do.
public struct TraceCalibrationError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The trace.
  public var path: String
  /// What is wrong, and what to do.
  public var reason: String

  /// An error.
  public init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }

  /// "trace.json: no GPU kernels in it".
  public var description: String { "\(path): \(reason)" }
}

/// A GPU's constants, calibrated from the kernels of one trace: every size that the trace tells, held near what was known before.
public struct TraceCalibration: Sendable {
  /// The GPU.
  public var gpu: GPU
  /// What the trace told.
  public var measurements: TraceMeasurements
  /// Constants before.
  public var prior: KernelCalibration
  /// Constants after.
  public var calibration: KernelCalibration
  /// Mean error over the runs of all kernels of known size, before and after; not held out.
  public var errors: (before: Double, after: Double)

  /// Sizes of a class under which its constants stay as they were. Few sizes are held close to what was known before, so that even one is
  /// welcome.
  public static let minimumSizes = 1
  /// Weight of the distance from the prior: what 24 designed products were fitted best with.
  static let regularization = 0.03 / 8

  /// Calibrates.
  ///
  /// - Parameters:
  ///   - path: the trace, as errors and sources name it.
  ///   - prior: constants to start from; nil for those that ship.
  ///   - date: now, UTC, as it is written down.
  public init(
    _ measurements: TraceMeasurements, path: String, prior: KernelCalibration? = nil, date: String
  ) throws(TraceCalibrationError) {
    guard measurements.kernelMicroseconds.all > 0 else { throw TraceCalibrationError(path: path, reason: "no GPU kernels in it") }
    guard let gpu = measurements.facts.gpu else {
      throw TraceCalibrationError(
        path: path, reason: "it does not say which GPU it was recorded on, or the catalogue has none of that name: say --gpu")
    }
    guard !measurements.products.isEmpty || !measurements.memory.isEmpty else {
      let notes = measurements.notes.map { "; " + $0 }.joined()
      throw TraceCalibrationError(
        path: path,
        reason:
          "no kernel whose size is known\(notes). Record shapes (torch.profiler.profile(record_shapes=True); for Nsight "
          + "torch.autograd.profiler.emit_nvtx(record_shapes=True)), or name the model that ran: --model MODEL --rows N")
    }
    let products = measurements.productMeasurements.filter { gpu.peakFLOPs($0.gemm.type) != nil }
    let counts = Dictionary(grouping: products) { KernelClass($0.gemm) }.mapValues(\.count)
    guard !products.isEmpty || !measurements.memory.isEmpty else {
      throw TraceCalibrationError(path: path, reason: "\(gpu.name) has no arithmetic of its products' types: is it the right --gpu?")
    }
    self.gpu = gpu
    self.measurements = measurements
    let before = prior ?? KernelCalibrations.calibration(for: gpu)
    self.prior = before
    let sample = KernelFitter.Sample(gpu: gpu, measurements: products)
    var after = KernelFitter(regularization: Self.regularization).calibrate(
      sample, memory: measurements.memoryMeasurements, prior: before,
      source: "\(products.count) products of \(path), \(date), held near \(before.name)",
      minimum: Self.minimumSizes)
    func error(_ part: KernelClass?, _ calibration: KernelCalibration) -> Double {
      var only = measurements
      only.products = part.map { kernels in measurements.products.filter { KernelClass($0.work) == kernels } } ?? []
      if part != nil { only.memory = [] }
      return only.meanError(of: KernelModel(gpu: gpu, calibration: calibration)) ?? 0
    }
    var origins: [CalibrationOrigin] = []
    for kernels in KernelClass.allCases where counts[kernels, default: 0] >= Self.minimumSizes {
      origins.append(
        CalibrationOrigin(
          part: kernels.rawValue, measurements: counts[kernels, default: 0], file: path, date: date, errorBefore: error(kernels, before),
          errorAfter: error(kernels, after)))
    }
    if !measurements.memory.isEmpty {
      origins.append(
        CalibrationOrigin(
          part: "memory", measurements: measurements.memory.count, file: path, date: date, errorBefore: error(nil, before),
          errorAfter: error(nil, after)))
    }
    after.origins = before.origins.filter { old in !origins.contains { $0.part == old.part } } + origins
    calibration = after
    errors = (
      measurements.meanError(of: KernelModel(gpu: gpu, calibration: before)) ?? 0,
      measurements.meanError(of: KernelModel(gpu: gpu, calibration: after)) ?? 0
    )
  }

  /// Share of the device's kernel time whose kernels' sizes are known, 0...1.
  public var coverage: Double {
    measurements.kernelMicroseconds.all > 0 ? min(1, measurements.kernelMicroseconds.known / measurements.kernelMicroseconds.all) : 0
  }

  /// A kernel beside its predictions.
  public struct Row: Sendable, Hashable {
    /// "128 x 768 x 768 fp16", "layerNormalization 128 x 768".
    public var work: String
    /// The kernel, as printed.
    public var kernel: String
    /// Runs.
    public var count: Int
    /// Measured, predicted before and after, microseconds.
    public var measured: Double
    /// See `measured`.
    public var before: Double
    /// See `measured`.
    public var after: Double
  }

  /// By the time they take together.
  public var rows: [Row] {
    let models = (KernelModel(gpu: gpu, calibration: prior), KernelModel(gpu: gpu, calibration: calibration))
    var rows = measurements.products.map { entry in
      let gemm = entry.work
      return Row(
        work: (gemm.batch > 1 ? "\(gemm.batch) x " : "") + "\(gemm.m) x \(gemm.n) x \(gemm.k) \(gemm.type.rawValue)", kernel: entry.kernel,
        count: entry.count, measured: entry.microseconds, before: (try? models.0.microseconds(gemm)) ?? .nan,
        after: (try? models.1.microseconds(gemm)) ?? .nan)
    }
    rows += measurements.memory.map { entry in
      let kernel = entry.work
      let size =
        kernel.rows > 1 && kernel.kind != .broadcast
        ? "\(Int(saturating: kernel.rows)) x \(Int(saturating: kernel.columns))" : "\(Int(saturating: kernel.writtenBytes)) B"
      return Row(
        work: "\(kernel.kind) \(size)", kernel: entry.kernel, count: entry.count, measured: entry.microseconds,
        before: models.0.predict(kernel).microseconds, after: models.1.predict(kernel).microseconds)
    }
    return rows.sorted { ($1.measured * Double($1.count), $0.work) < ($0.measured * Double($0.count), $1.work) }
  }

  /// The table that the command prints, in 80 columns.
  public func lines(width: Int = 80) -> [String] {
    var table = TextTable([
      .init("kernel", .left), .init("runs"), .init("measured"), .init("before"), .init("error"), .init("after"), .init("error"),
    ])
    func error(_ predicted: Double, _ measured: Double) -> String {
      let share = predicted / measured - 1
      return (share > 0 ? "+" : "") + NumberText.percent(share)
    }
    for row in rows {
      table.add([
        row.work, NumberText.grouped(row.count), NumberText.significant(row.measured), NumberText.significant(row.before),
        error(row.before, row.measured), NumberText.significant(row.after), error(row.after, row.measured),
      ])
    }
    var lines = Report.wrap(
      "\(gpu.name) (\(measurements.facts.source)): medians of kernel records, us", width: width, indent: "  ", first: "")
    lines += table.lines(width: width, clippingColumn: 0)
    lines.append("")
    lines += Report.wrap(
      "mean error over these runs: \(NumberText.percent(errors.before)) before, \(NumberText.percent(errors.after)) after (not held out); "
        + "\(NumberText.percent(coverage)) of the trace's kernel time has a known size", width: width, indent: "  ", first: "")
    for origin in calibration.origins {
      lines += Report.wrap(
        "calibrated: \(origin.part) from \(origin.measurements) sizes of \(origin.file), \(origin.date)", width: width, indent: "  ",
        first: "")
    }
    for note in measurements.notes { lines += Report.wrap("note: \(note)", width: width, indent: "  ", first: "") }
    return lines
  }
}

extension TraceCalibration {
  /// The same for programs (schema headroom.calibrate-gpu/1).
  public func json(version: String, file: String?) -> JSONValue {
    [
      "schema": "headroom.calibrate-gpu/1", "headroom": .string(version), "mode": "measured", "gpu": .string(gpu.name),
      "errorShareBefore": JSONValue(errors.before), "errorShareAfter": JSONValue(errors.after), "coverageShare": JSONValue(coverage),
      "file": file.map { .string($0) } ?? .null,
      "kernels": .array(
        rows.map { row in
          [
            "work": .string(row.work), "kernel": .string(row.kernel), "runs": JSONValue(row.count),
            "measuredMicroseconds": JSONValue(row.measured), "predictedMicrosecondsBefore": JSONValue(row.before),
            "predictedMicrosecondsAfter": JSONValue(row.after),
          ]
        }),
      "calibrated": .array(
        calibration.origins.map { origin in
          [
            "part": .string(origin.part), "measurements": JSONValue(origin.measurements), "file": .string(origin.file),
            "date": .string(origin.date),
          ]
        }),
      "notes": .array(measurements.notes.map { .string($0) }),
    ]
  }
}
