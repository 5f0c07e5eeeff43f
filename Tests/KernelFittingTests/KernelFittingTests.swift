import FileAccess
import GPUModel
import Testing

@testable import KernelFitting

@Suite struct MeasurementTests {
  @Test func columnsAreFoundByName() throws {
    let rows = try Measurement.read(csv: "gpu,k,n,m,median_us,extra\r\n# a comment\r\nx,3,2,1,4.5,9\r\n")
    #expect(rows == [Measurement(gpu: "x", gemm: GEMM(m: 1, n: 2, k: 3, type: .bf16), microseconds: 4.5)])
  }

  @Test(arguments: [
    ("", "empty"), ("m,n\n1,2", "line 1: no column \"k\""), ("m,n,k\n1,2,3", "no column \"median_us\""),
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

  /// Constants are recovered from times that the model made itself, starting elsewhere: the fitter works at all.
  @Test func aKnownModelIsRecovered() throws {
    let gpu = try GPUCatalogue().find("h100").gpu
    let truth = KernelCalibrations.calibration(for: gpu)
    let model = KernelModel(gpu: gpu, calibration: truth)
    let rows = try Measurement.designedShapes.map { shape in
      let gemm = GEMM(m: shape.m, n: shape.n, k: shape.k, type: .bf16)
      return Measurement(gpu: "", gemm: gemm, microseconds: try model.microseconds(gemm))
    }
    let sample = KernelFitter.Sample(gpu: gpu, measurements: rows)
    let start = KernelCalibrations.family(.tcgen05).constants
    let fitted = KernelFitter(evaluations: 1500).fit([sample], prior: start, seed: 1)
    let (before, after) = (KernelFitter.meanLogError(sample, start), KernelFitter.meanLogError(sample, fitted))
    #expect(after < before / 2, "\(before) to \(after)")
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
    let constants = KernelCalibrations.calibration(for: sample.gpu).constants
    let pairs = zip(KernelFitter.predictions(sample, constants), sample.measurements.map(\.microseconds)).map {
      (predicted: $0, measured: $1)
    }
    let summary = ErrorSummary(pairs)
    #expect(summary.count == 900)
    #expect(summary.mean < limit)
    #expect(summary.median < 0.065)
  }

  /// 24 points of a GPU, held near constants of another family, must improve what is not among them.
  @Test(.enabled(if: measurements != nil)) func fewPointsImproveAForeignPrior() throws {
    let all = try Self.sample("h200_sxm", "H200 SXM")
    let ordered = all.measurements.enumerated().map { ($0.offset * 37 % 900, $0.element) }.sorted { $0.0 < $1.0 }.map(\.1)
    let few = KernelFitter.Sample(gpu: all.gpu, measurements: Array(ordered.prefix(24)))
    let rest = KernelFitter.Sample(gpu: all.gpu, measurements: Array(ordered.dropFirst(24).prefix(200)))
    let prior = KernelCalibrations.family(.tcgen05)
    let fitted = KernelFitter(evaluations: 900, regularization: 0.004).fit([few], prior: prior.constants, seed: 3)
    #expect(KernelFitter.meanLogError(rest, fitted) < KernelFitter.meanLogError(rest, prior.constants))
  }
}
