import GPUModel
import HostModel
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
    var expected = GEMM(m: 256, n: 1024, k: 1024, type: .fp16, footprintBytes: first.gemm?.footprintBytes)
    expected.isAmongOthers = true
    #expect(first.gemm == expected)
    // Sums of literals in steps: the type checker takes seconds for one that holds them all.
    let perLayer: Double = 2 * 256 * 1024 * 1024
    let elements: Int = 256 * 1024 + 1024 * 1024 + 256 * 1024
    let last: Double = 2 * 256 * 1024 * 2
    #expect(first.floatingPointOperations == perLayer)
    #expect(first.bytes == Double(2 * elements))
    let work = 19 * perLayer + last
    #expect(batch.floatingPointOperations == work)
    #expect(batch.inputBytes == 256 * 1024 * 4)
    #expect(batch.outputBytes == 256 * 2 * 4)
    let parametersPerLayer: Int = 1024 * 1024 + 1024
    let parameters = 19 * parametersPerLayer + 2050
    #expect(first.gemm?.footprintBytes == Double(2 * parameters))
  }

  /// A share of a roof above 1 says that the roof is wrong: bytes that L2 serves are under L2's roof, not under memory's. In an encoder of
  /// few rows every activation stays in L2, and its elementwise kernels pass more bytes per second than memory could.
  @Test(arguments: ["l40s", "h100", "h200", "rtx-pro-6000", "a100", "t4"])
  func everyLaunchTakesAtLeastItsRoofsTime(gpu: String) throws {
    for head in [BuiltInHead.encoder(layers: 1, hidden: 256, heads: 4, sequence: 128), .linear(layers: 2), .seqlen(layers: 4)] {
      let plan = try plan(head, gpu: gpu)
      for rows in [1, 4, 32, 256] {
        let batch = try plan.at(rows: rows)
        for launch in batch.launches {
          let roof = try #require(launch.roofNanoseconds)
          #expect(roof > 0 && roof <= launch.predictedNanoseconds, "\(gpu), \(rows) rows: \(launch.kernelName)")
        }
        let share = try #require(batch.rooflineShare)
        #expect(share > 0 && share <= 1)
      }
    }
  }

  @Test func stackedLaunchesDoTheWorkOfFiveHeads() throws {
    let batch = try plan(.stacked(layers: 2)).at(rows: 256)
    let gemm = try #require(batch.launches.first?.gemm)
    #expect((gemm.batch, gemm.m, gemm.n, gemm.k) == (5, 256, 1024, 1024))
    #expect(batch.launches.count == 3)
  }

  /// A share of a roof above 100 % would say that the roof is wrong: what is in L2 is not bound by the memory's bandwidth.
  @Test(arguments: ["rtx-pro-6000", "h100", "l40s", "l4", "a100", "t4"]) func noKernelIsAboveItsRoof(gpu: String) throws {
    for head in [
      BuiltInHead.linear(layers: 4), .stacked(layers: 3), .seqlen(layers: 3), .encoder(layers: 2, hidden: 384, heads: 12, sequence: 128),
    ] {
      let plan = try plan(head, gpu: gpu, maxRows: 256)
      for rows in [1, 8, 64, 256] {
        let share = try #require(try plan.at(rows: rows).rooflineShare)
        #expect(share > 0 && share <= 1, "\(head.name) of \(rows) rows on \(gpu): \(share)")
      }
    }
  }

  @Test func geometryFollowsFromTheTile() throws {
    for launch in try plan(.seqlen(layers: 4)).at(rows: 256).launches {
      guard case .gpu(let shape) = launch.shape, let gemm = launch.gemm, let m = shape.tileM, let n = shape.tileN else { continue }
      let blocks = gemm.batch * ((gemm.m + m - 1) / m) * ((gemm.n + n - 1) / n) * shape.splitK
      #expect(shape.blockCount == blocks)
      let perSM = Double(blocks) / 188
      #expect((shape.residentSMShare - perSM / perSM.rounded(.up)).magnitude < 1e-12)
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

  /// As PyTorch runs them on an H200: 41 kernels for linear, 61 for stacked (62 with a copy), 58 for seqlen (60 with its input's copies).
  @Test func withoutFusionActivationsAndNormsAreKernelsOfTheirOwn() throws {
    let gpu = try GPUCatalogue().find("h200").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    func operations(_ head: BuiltInHead) throws -> [String] {
      try PlanBuilder(model: model, type: .fp16, fusion: .none).plan(try head.graph()).steps.map(\.operation)
    }
    #expect(try operations(.linear()) == Array(repeating: ["linear", "relu"], count: 20).flatMap { $0 } + ["linear"])
    let stacked = try operations(.stacked())
    #expect(stacked.count == 62 && stacked.count { $0 == "add" } == 21 && stacked.count { $0 == "relu" } == 20)
    let seqlen = try operations(.seqlen())
    #expect(seqlen.count == 58 && seqlen.count { $0 == "layernorm" } == 19)
    let plan = try PlanBuilder(model: model, type: .fp16, fusion: .none).plan(try BuiltInHead.seqlen().graph())
    #expect(plan.fusion == .none)
    #expect(try self.plan(.seqlen()).fusion == .standard)
    // 77.2 + 34.5 us measured for LayerNorm and ReLU apart at 32,768 rows, 33.6 for the fused kernel.
    let batch = try plan.at(rows: 256).launches
    let norm = try #require(batch.first { $0.kernelName.hasPrefix("layernorm") }).predictedNanoseconds / 1e3
    let relu = try #require(batch.first { $0.kernelName.hasPrefix("relu") }).predictedNanoseconds / 1e3
    #expect((norm / 77.2 - 1).magnitude < 0.12 && (relu / 34.5 - 1).magnitude < 0.12, "\(norm), \(relu)")
    let fused = try self.plan(.seqlen(), gpu: "h200").at(rows: 256).launches
    let both = try #require(fused.first { $0.kernelName.hasPrefix("layernorm") }).predictedNanoseconds / 1e3
    #expect((both / 33.6 - 1).magnitude < 0.15, "\(both)")
  }

  /// Kernels, their gaps, and a host that is slower than short kernels.
  @Test func gapsComeOnTopOfKernelTime() throws {
    let batch = try plan(.linear(), gpu: "h200").at(rows: 256)
    let host = HostProfile.h200Native
    let kernels = batch.predictedNanoseconds
    let graph = batch.elapsedNanoseconds(.graph, host: host)
    #expect((graph - kernels - 20 * 450).magnitude < 1, "20 gaps between 21 kernels")
    let quick = host.with(.launch, 0.1)
    #expect((batch.elapsedNanoseconds(.eager, host: quick) - kernels - 20 * 1000).magnitude < 1)
    // A call of 30 us for each kernel: the device waits for all but the first, and the last kernel is all that follows.
    let slow = host.with(.launch, 30)
    let last = try #require(batch.launches.last).predictedNanoseconds
    #expect((batch.elapsedNanoseconds(.eager, host: slow) - 20 * 30_000 - last).magnitude < 1)
    #expect(BatchPlan(rows: 1, launches: [], inputBytes: 0, outputBytes: 0).elapsedNanoseconds(.eager, host: host) == 0)
  }

  @Test func paddingIsSaidForMisalignedLayers() throws {
    let batch = try plan(.linear(layers: 2, hidden: 1000 - 1), gpu: "h200").at(rows: 512)
    let launch = try #require(batch.launches.first)
    let padding = try #require(launch.misalignment)
    #expect(padding.paddedN == 1000 && padding.paddedK == 1000 && padding.paddedNanoseconds < launch.predictedNanoseconds)
    #expect(batch.notes.contains { $0.contains("HR203") && $0.contains("n = 999, k = 999") && $0.contains("padded to n = 1000, k = 1000") })
    #expect(try plan(.linear(layers: 2), gpu: "h200").at(rows: 512).launches.first?.misalignment == nil)
  }

  @Test(arguments: [0, -1, 65, Int.max]) func rowsOutsideThePlanAreRefused(rows: Int) throws {
    let plan = try plan(.linear(layers: 1, hidden: 8), maxRows: 64)
    #expect(throws: PlanError.rows(rows, maximum: 64)) { try plan.at(rows: rows) }
  }

  @Test func unsupportedArithmeticNamesTheLayer() throws {
    let gpu = try GPUCatalogue().find("P4").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    let plan = try PlanBuilder(model: model, type: .fp16).plan(try BuiltInHead.linear(layers: 1).graph())
    let error = #expect(throws: PlanError.self) { try plan.at(rows: 1) }
    #expect(error?.description.contains("layers.0") == true && error?.description.contains("no fp16 matrix arithmetic") == true)
  }

  /// From 8 rows on: for fewer, Hopper's library takes a slower kernel (7.4 us against 4.0 on an H200).
  @Test func moreRowsNeverTakeMuchLess() throws {
    let plan = try plan(.linear(), gpu: "h100")
    var last = 0.0
    for rows in stride(from: 8, through: 1024, by: 31) {
      let time = try plan.at(rows: rows).predictedNanoseconds
      #expect(time > last * 0.9)
      last = time
    }
  }
}
