import FileAccess
import GPUModel
import Glibc
import Testing

@testable import KernelFitting

@Suite struct MeasurementTests {
  @Test func columnsAreFoundByName() throws {
    let rows = try Measurement.read(csv: "gpu,k,n,m,median_us,extra\r\n# a comment\r\nx,3,2,1,4.5,9\r\n")
    #expect(rows == [Measurement(gpu: "x", gemm: GEMM(m: 1, n: 2, k: 3, type: .bf16), microseconds: 4.5)])
  }

  /// A profiler's table: quoted kernel names with commas, b for the batch, the kernel's own time and its spread.
  @Test func kernelRecordsAreRead() throws {
    let csv = """
      gpu,dtype,b,m,n,k,kernel_us_median,kernel_us_min,kernel_us_max,samples,name,grid
      H200 SXM,fp16,12,64,128,32,2.0,1.9,2.2,6,"void gemv<int, int, ""x"">(a, b)",1x2x3
      """
    let row = try #require(try Measurement.read(csv: csv).first)
    #expect(row.gemm.batch == 12 && row.gemm.m == 64 && row.gemm.n == 128 && row.gemm.k == 32 && row.gemm.type == .fp16)
    #expect(row.microseconds == 2 && row.quantity == .kernel && (row.spread - 0.15).magnitude < 1e-12)
    #expect((row.weight - 0.5).magnitude < 1e-12, "runs 15 % apart count half")
    #expect(row.gemm.footprintBytes == Double(4 * 12 * 128 * 32 * 2), "four weights in turn")
    #expect(try Measurement.read(csv: "m,n,k,median_us\n1,2,3,4").first?.quantity == .replay)
  }

  @Test func memoryKernelsAreRead() throws {
    let csv = """
      gpu,op,dtype,rows,cols,kernel_us_median,bytes_read,bytes_written,name
      NVIDIA H200,layer_norm,float16,8,1024,2.7,20480,16384,"a<b, c>"
      NVIDIA H200,unheard_of,float16,8,1024,2.7,20480,16384,x
      """
    let rows = try MemoryMeasurement.read(csv: csv)
    #expect(rows.count == 1)
    #expect(rows.first?.kernel.kind == .layerNormalization && rows.first?.kernel.rows == 8 && rows.first?.kernel.columns == 1024)
    #expect(throws: MeasurementError.self) { try MemoryMeasurement.read(csv: "op,rows\nrelu,1") }
    #expect(throws: MeasurementError.self) {
      try MemoryMeasurement.read(csv: "op,dtype,rows,cols,kernel_us_median,bytes_read,bytes_written\nrelu,float16,x,1,1,1,1")
    }
  }

  @Test(arguments: [
    ("", "empty"), ("m,n\n1,2", "line 1: no column \"k\""), ("m,n,k\n1,2,3", "no column \"kernel_us_median\""),
    ("m,n,k,us\n1,2,3", "line 2: 3 fields"),
    ("m,n,k,us\n1,-2,3,4", "n is \"-2\""), ("m,n,k,us\n1,2,3,nan", "time is \"nan\""), ("m,n,k,us\n1,2,3,-1", "time is \"-1\""),
    ("m,n,k,us\n1,2,99999999999999999999,4", "k is"), ("m,m,n,k,us\n", "stands twice"), ("m,n,k,us\n", "no rows"),
    ("m,n,k,us,dtype\n1,2,3,4,int3", "dtype is \"int3\""),
  ]) func badTablesNameLineAndColumn(csv: String, expected: String) {
    let error = #expect(throws: MeasurementError.self) { try Measurement.read(csv: csv) }
    #expect(error?.description.contains(expected) == true)
  }
}

@Suite struct FittingTests {
  static let measurements: [Measurement]? = {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(4)
    let path = "/" + parts.joined(separator: "/") + "/shared/gemm/measured-bf16.csv"
    return (try? Files.readText(path)).flatMap { try? Measurement.read(csv: $0) }
  }()

  static func sample(_ key: String, _ name: String) throws -> KernelFitter.Sample {
    KernelFitter.Sample(gpu: try GPUCatalogue().find(name).gpu, measurements: (measurements ?? []).filter { $0.gpu == key })
  }

  @Test func theDesignCoversHeightsAndWeights() {
    #expect(Measurement.designedShapes.count == 24)
    #expect(Set(Measurement.designedShapes.map(\.m)) == [1, 16, 64, 256, 1024, 8192])
  }

  @Test func foldsKeepWeightShapesTogether() {
    let rows = [1, 2, 3].flatMap { m in
      [(64, 64), (64, 128), (128, 64)].map { Measurement(gpu: "", gemm: GEMM(m: m, n: $0.0, k: $0.1, type: .bf16), microseconds: 1) }
    }
    let folds = KernelFitter.folds(rows, count: 3, seed: 1)
    for (left, first) in zip(rows, folds) {
      for (right, second) in zip(rows, folds) where left.gemm.n == right.gemm.n && left.gemm.k == right.gemm.k { #expect(first == second) }
    }
    #expect(Set(folds).count == 3)
  }

  @Test func nelderMeadFindsAMinimum() {
    let found = NelderMead.minimize(from: [3, -2], spread: [1, 1], evaluations: 400) {
      ($0[0] - 1) * ($0[0] - 1) + 10 * ($0[1] - 2) * ($0[1] - 2)
    }
    #expect(found.value < 1e-8)
  }

  /// Absolute deviations, a kink at the minimum, a valley along which both coordinates move, a bound in the way: what the fit of constants has.
  @Test func leastDeviationsAreFoundWithinBounds() {
    func found(_ bounds: ClosedRange<Double>, ridge: Double = 0) -> [Double] {
      let search = LeastDeviations(
        weights: [1, 1, 1], bounds: [bounds, bounds], ridge: ridge, center: [0, 0], steps: 200
      ) { [$0[0] * $0[1] - 6, 3 * ($0[0] - 2), abs($0[1] - 3)] }
      return search.minimized(from: [1, 1]).point
    }
    let free = found(-10...10)
    #expect((free[0] - 2).magnitude < 0.02 && (free[1] - 3).magnitude < 0.02, "\(free)")
    let bound = found(-10...2.5)
    #expect((bound[0] - 2).magnitude < 0.02 && bound[1] == 2.5, "\(bound)")
    let pulled = found(-10...10, ridge: 100)
    #expect(pulled.allSatisfy { $0.magnitude < 0.1 }, "\(pulled)")
  }

  /// The outlier of a set of equals is outvoted, as least squares would not have it.
  @Test func anOutlierIsOutvoted() {
    let values = [1.0, 1.01, 0.99, 1, 9]
    let search = LeastDeviations(
      weights: values.map { _ in 1 }, bounds: [-20...20], ridge: 0, center: [0], steps: 100
    ) { point in values.map { point[0] - $0 } }
    #expect((search.minimized(from: [5]).point[0] - 1).magnitude < 0.02)
    let nowhere = LeastDeviations(weights: [1], bounds: [0...1], ridge: 0, center: [0], steps: 9) { _ in nil }
    #expect(nowhere.minimized(from: [3]).point == [1] && nowhere.minimized(from: [3]).value == .infinity)
  }

  /// Mean absolute log error of constants of the main class.
  static func error(_ sample: KernelFitter.Sample, _ constants: KernelConstants) -> Double {
    let predicted = KernelFitter.predictions(sample, .onTrial(constants))
    let errors = zip(predicted, sample.measurements).map { abs(log($0 / $1.microseconds)) }
    return errors.reduce(0, +) / Double(max(1, errors.count))
  }

  /// Constants are recovered from times that the model made itself, starting elsewhere: the fitter works at all.
  @Test func aKnownModelIsRecovered() throws {
    let gpu = try GPUCatalogue().find("h100").gpu
    let truth = KernelCalibrations.calibration(for: gpu)
    let model = KernelModel(gpu: gpu, calibration: truth)
    let rows = try Measurement.designedShapes.map { shape in
      let gemm = GEMM(m: shape.m, n: shape.n, k: shape.k, type: .bf16)
      return Measurement(gpu: "", gemm: gemm, microseconds: try model.microseconds(gemm), quantity: .kernel)
    }
    let sample = KernelFitter.Sample(gpu: gpu, measurements: rows)
    let start = KernelCalibrations.family(.tcgen05).constants
    let fitted = KernelFitter().fit([sample], prior: start)
    let (before, after) = (Self.error(sample, start), Self.error(sample, fitted.constants))
    #expect(after < before / 2, "\(before) to \(after)")
  }

  /// One run of the tool writes the constants and the page: neither is committed without the other, nor changed by hand.
  @Test func theCommittedConstantsAreThoseOfTheCommittedPage() throws {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(3)
    let root = "/" + parts.joined(separator: "/")
    let constants = try Files.readText(root + "/Sources/GPUModel/Constants/KernelCalibrations+Fitted.swift")
    let page = try Files.readText(root + "/Docs/accuracy.md")
    #expect(page.contains("Digest of the constants that it describes: `\(SourceDigest.of(constants))`"), "run the command on the page")
  }

  @Test func aDigestIsOfWordsAndNumbersAlone() {
    #expect(SourceDigest.of("f(a: [1.5, -2])") == SourceDigest.of("f(\n  a: [\n    1.5, -2,\n  ])\n"))
    #expect(SourceDigest.of("1.5, 2") != SourceDigest.of("1.52"))
    #expect(SourceDigest.of("") == "cbf29ce484222325", "the hash's own start")
  }

  /// The committed constants against the measurements they were fitted to: a regression test of the fit, not of the model.
  @Test(
    .enabled(if: measurements != nil),
    arguments: [
      ("a100_sxm", "A100 SXM4 80GB", 0.10), ("l40s", "L40S", 0.10), ("rtx_pro_6000_server", "RTX PRO 6000 Blackwell Server", 0.10),
      ("h100_sxm", "H100 SXM", 0.10),
      ("h200_sxm", "H200 SXM", 0.10), ("b200_sxm", "B200", 0.10),
    ]) func committedConstantsFitTheirData(key: String, name: String, limit: Double) throws
  {
    let sample = try Self.sample(key, name)
    let calibration = KernelCalibrations.calibration(for: sample.gpu)
    let pairs = zip(KernelFitter.predictions(sample, calibration), sample.measurements.map(\.microseconds)).map {
      (predicted: $0, measured: $1)
    }
    let summary = ErrorSummary(pairs)
    #expect(summary.count == 900)
    #expect(summary.mean < limit)
    #expect(summary.median < 0.065)
  }

  /// A gap is only told from the fixed time where records stand beside replays: then it is found, else it stays as it was.
  @Test func theGapOfReplaysIsFound() throws {
    let gpu = try GPUCatalogue().find("h200").gpu
    let truth = KernelCalibrations.calibration(for: gpu)
    let model = KernelModel(gpu: gpu, calibration: truth)
    func rows(_ quantity: Measurement.Quantity, _ gap: Double) throws -> [Measurement] {
      try Measurement.designedShapes.prefix(12).map { shape in
        let gemm = GEMM(m: shape.m, n: shape.n, k: shape.k, type: .bf16)
        return Measurement(gpu: "", gemm: gemm, microseconds: try model.microseconds(gemm) + gap, quantity: quantity)
      }
    }
    let replays = KernelFitter.Sample(gpu: gpu, measurements: try rows(.replay, 0.2))
    let both = KernelFitter.Sample(gpu: gpu, measurements: replays.measurements + (try rows(.kernel, 0)))
    let fitter = KernelFitter()
    #expect((fitter.fit([both], prior: truth.constants).replayGapMicroseconds - 0.2).magnitude < 0.05)
    let alone = fitter.fit([replays], prior: truth.constants).replayGapMicroseconds
    #expect(alone == KernelCalibration.usualReplayGapMicroseconds)
  }

  /// 24 points of a GPU, held near constants of another family, must improve what is not among them.
  @Test(.enabled(if: measurements != nil)) func fewPointsImproveAForeignPrior() throws {
    let all = try Self.sample("h200_sxm", "H200 SXM")
    let ordered = all.measurements.enumerated().map { ($0.offset * 37 % 900, $0.element) }.sorted { $0.0 < $1.0 }.map(\.1)
    let few = KernelFitter.Sample(gpu: all.gpu, measurements: Array(ordered.prefix(24)))
    let rest = KernelFitter.Sample(gpu: all.gpu, measurements: Array(ordered.dropFirst(24).prefix(200)))
    let prior = KernelCalibrations.family(.tcgen05)
    let fitted = KernelFitter(regularization: 0.004).fit([few], prior: prior.constants)
    #expect(Self.error(rest, fitted.constants) < Self.error(rest, prior.constants))
  }
}

/// A GPU's constants from measurements of its own.
@Suite struct MeasurementCalibrationTests {
  /// The designed products on an L4, each `factor` times as long as the constants known before say.
  static func measurements(_ prior: KernelCalibration, _ gpu: GPU, factor: Double, type: ComputeType = .fp16) throws -> [Measurement] {
    let rows = Measurement.designedShapes.map {
      Measurement(gpu: gpu.name, gemm: GEMM(m: $0.m, n: $0.n, k: $0.k, type: type), microseconds: 1, quantity: .kernel)
    }
    let times = KernelFitter.predictions(KernelFitter.Sample(gpu: gpu, measurements: rows), prior)
    return zip(rows, times).map { row, time in
      Measurement(gpu: row.gpu, gemm: row.gemm, microseconds: time * factor, quantity: .kernel)
    }
  }

  @Test func aFitComesNearerAndSaysWhatItIsFrom() throws {
    let gpu = try GPUCatalogue().find("l4").gpu
    let prior = KernelCalibrations.calibration(for: gpu)
    let fit = try MeasurementCalibration(
      of: gpu, try Self.measurements(prior, gpu, factor: 1.3), prior: prior, file: "m.csv", date: "2026-11-27T00:00:00Z", steps: 40)
    #expect(fit.errorBefore > 0.2 && fit.errorAfter < fit.errorBefore / 2, "\(fit.errorBefore) to \(fit.errorAfter)")
    #expect(fit.classes.count == 1 && fit.calibration.origins.count == 1)
    let origin = try #require(fit.calibration.origins.first)
    #expect(origin.file == "m.csv" && origin.measurements == 24 && origin.part == fit.classes.first?.rawValue)
    #expect(origin.errorBefore == fit.errorBefore && origin.errorAfter == fit.errorAfter)
  }

  @Test func whatCannotBeFittedIsNamed() throws {
    let gpu = try GPUCatalogue().find("l4").gpu
    let prior = KernelCalibrations.calibration(for: gpu)
    let rows = try Self.measurements(prior, gpu, factor: 1)
    let few = #expect(throws: MeasurementCalibration.Fault.self) {
      try MeasurementCalibration(of: gpu, Array(rows.prefix(3)), prior: prior, file: "m.csv", date: "", steps: 1)
    }
    #expect(few?.description.contains("of the 3 measurements") == true)
    let old = try GPUCatalogue().find("t4").gpu
    let foreign = rows.map {
      Measurement(gpu: "t4", gemm: GEMM(m: $0.gemm.m, n: $0.gemm.n, k: $0.gemm.k, type: .bf16), microseconds: 1, quantity: .kernel)
    }
    let none = #expect(throws: MeasurementCalibration.Fault.self) {
      try MeasurementCalibration(
        of: old, foreign, prior: KernelCalibrations.calibration(for: old), file: "m.csv", date: "", steps: 1)
    }
    #expect(none?.description.contains("has no bf16 arithmetic") == true)
  }
}
