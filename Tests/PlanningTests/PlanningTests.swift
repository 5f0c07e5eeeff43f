import GPUModel
import ModelGraph
import Testing

@testable import Planning

@Suite struct PlanningTests {
  func plan(_ head: BuiltInHead, gpu: String = "rtx-pro-6000", requested: [any RewritePass.Type] = [], maxRows: Int = 1 << 20) throws
    -> Plan
  {
    let gpu = try GPUCatalogue().find(gpu).gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    return try PlanBuilder(model: model, type: .fp16, maxRows: maxRows, requested: requested).plan(try head.graph())
  }

  @Test func theDocumentsHeadsHaveTheirLayers() throws {
    let linear = try plan(.linear())
    #expect(linear.largeGEMMCount == 20)
    #expect(linear.steps.map(\.operation) == Array(repeating: "linear+relu", count: 20) + ["linear"])
    let stacked = try plan(.stacked())
    #expect(stacked.largeGEMMCount == 20)
    let seqlen = try plan(.seqlen())
    #expect(seqlen.largeGEMMCount == 19)
    #expect(seqlen.steps.map(\.operation) == Array(repeating: ["linear", "layernorm+relu"], count: 19).flatMap { $0 } + ["linear"])
  }

  @Test func workIsExact() throws {
    let batch = try plan(.linear(layers: 19)).at(rows: 256)
    let first = try #require(batch.launches.first)
    #expect(first.gemm == GEMM(m: 256, n: 1024, k: 1024, type: .fp16, footprintBytes: first.gemm?.footprintBytes))
    #expect(first.floatingPointOperations == 2.0 * 256 * 1024 * 1024)
    #expect(first.bytes == Double(2 * (256 * 1024 + 1024 * 1024 + 256 * 1024)))
    let work: Double = 19 * 2 * 256 * 1024 * 1024 + 2 * 256 * 1024 * 2
    #expect(batch.floatingPointOperations == work)
    #expect(batch.inputBytes == 256 * 1024 * 4 && batch.outputBytes == 256 * 2 * 4)
    let parameters = 19 * (1024 * 1024 + 1024) + 2050
    #expect(first.gemm?.footprintBytes == Double(2 * parameters))
  }

  @Test func stackedLaunchesDoTheWorkOfFiveHeads() throws {
    let batch = try plan(.stacked(layers: 2)).at(rows: 256)
    let gemm = try #require(batch.launches.first?.gemm)
    #expect((gemm.batch, gemm.m, gemm.n, gemm.k) == (5, 256, 1024, 1024))
    #expect(batch.launches.count == 3)
  }

  @Test func geometryFollowsFromTheTile() throws {
    for launch in try plan(.seqlen(layers: 4)).at(rows: 256).launches {
      guard case .gpu(let shape) = launch.shape, let gemm = launch.gemm, let m = shape.tileM, let n = shape.tileN else { continue }
      let blocks = gemm.batch * ((gemm.m + m - 1) / m) * ((gemm.n + n - 1) / n) * shape.splitK
      #expect(shape.blockCount == blocks)
      let perSM = Double(blocks) / 188
      #expect((shape.smFill - perSM / perSM.rounded(.up)).magnitude < 1e-12)
      #expect((shape.waves - perSM / Double(shape.blocksPerSM)).magnitude < 1e-12)
    }
  }

  @Test func seqlenReportsWhatSinkingWouldSave() throws {
    let batch = try plan(.seqlen()).at(rows: 256)
    let large = try #require(batch.launches.first)
    #expect(large.gemm?.m == 32768)
    #expect((large.redundantFloatingPointOperations / large.floatingPointOperations - 127.0 / 128).magnitude < 1e-12)
    #expect(batch.launches.last?.redundantFloatingPointOperations == 0)
    let sunk = try plan(.seqlen(), requested: [SinkBroadcast.self]).at(rows: 256)
    #expect(sunk.launches.first?.gemm?.m == 256)
    #expect(sunk.redundantShare == 0)
    let useful = batch.floatingPointOperations * (1 - batch.redundantShare)
    #expect((sunk.floatingPointOperations / useful - 1).magnitude < 1e-9)
    #expect(try plan(.linear()).at(rows: 256).redundantShare == 0)
  }

  /// bert-tiny by hand: two blocks of four projections, two attention products over rows x heads, two feed-forward layers.
  @Test func encoderProductsAreTheTextbooks() throws {
    let batch = try plan(.encoder(layers: 1, hidden: 128, heads: 2, sequence: 128)).at(rows: 8)
    let gemms = batch.launches.compactMap(\.gemm).map { [$0.batch, $0.m, $0.n, $0.k] }
    #expect(
      gemms == [
        [1, 1024, 128, 128], [1, 1024, 128, 128], [1, 1024, 128, 128], [16, 128, 128, 64], [16, 128, 64, 128], [1, 1024, 128, 128],
        [1, 1024, 512, 128], [1, 1024, 128, 512],
      ])
    #expect(batch.launches.contains { $0.kernelName.hasPrefix("softmax") })
    #expect(batch.inputBytes == 8 * 128 * 8)
  }

  @Test func askingTwiceGivesTheSameAndOtherSizesDoNotDisturb() throws {
    let plan = try plan(.encoder(layers: 1))
    let first = try plan.at(rows: 3).launches
    _ = try plan.at(rows: 200)
    #expect(try plan.at(rows: 3).launches == first)
  }

  @Test(arguments: [0, -1, 65, Int.max]) func rowsOutsideThePlanAreRefused(rows: Int) throws {
    let plan = try plan(.linear(layers: 1, hidden: 8), maxRows: 64)
    #expect(throws: PlanError.rows(rows, most: 64)) { try plan.at(rows: rows) }
  }

  @Test func unsupportedArithmeticNamesTheLayer() throws {
    let gpu = try GPUCatalogue().find("P4").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    let plan = try PlanBuilder(model: model, type: .fp16).plan(try BuiltInHead.linear(layers: 1).graph())
    let error = #expect(throws: PlanError.self) { try plan.at(rows: 1) }
    #expect(error?.description.contains("layers.0") == true && error?.description.contains("no fp16 matrix arithmetic") == true)
  }

  @Test func moreRowsNeverTakeMuchLess() throws {
    let plan = try plan(.linear(), gpu: "h100")
    var last = 0.0
    for rows in stride(from: 1, through: 1024, by: 31) {
      let time = try plan.at(rows: rows).predictedNanoseconds
      #expect(time > last * 0.9)
      last = time
    }
  }
}
