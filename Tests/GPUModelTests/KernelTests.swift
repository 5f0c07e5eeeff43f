import JSONText
import Testing

@testable import GPUModel

@Suite struct KernelTests {
  func model(_ name: String) throws -> KernelModel {
    let gpu = try GPUCatalogue().find(name).gpu
    return KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
  }

  @Test func occupancyFollowsTheTightestResource() throws {
    let gpu = try GPUCatalogue().find("rtx-pro-6000").gpu
    // 128 registers x 256 threads = 32,768 of 65,536.
    #expect(Occupancy(threads: 256, registersPerThread: 128, sharedBytes: 0, on: gpu).blocksPerSM == 2)
    // 48 KB + 1 KB reserved, of 100 KB.
    let shared = Occupancy(threads: 128, registersPerThread: 32, sharedBytes: 48 * 1024, on: gpu)
    #expect(shared.blocksPerSM == 2 && shared.limit == .sharedMemory)
    #expect(Occupancy(threads: 1024, registersPerThread: 32, sharedBytes: 0, on: gpu).limit == .warps)
    #expect(Occupancy(threads: 32, registersPerThread: 16, sharedBytes: 0, on: gpu).blocksPerSM == 24)
    #expect(Occupancy(threads: 32, registersPerThread: 16, sharedBytes: 200 * 1024, on: gpu).blocksPerSM == 0)
  }

  /// The case study's three grids on 188 SMs.
  @Test func gridsOfTheDocument() {
    let linear = GridFit(blocks: 64, blocksPerSM: 2, smCount: 188)
    #expect((linear.residentSMShare - 64.0 / 188).magnitude < 1e-12)
    let stacked = GridFit(blocks: 160, blocksPerSM: 2, smCount: 188)
    #expect((stacked.residentSMShare - 160.0 / 188).magnitude < 1e-12)
    let seqlen = GridFit(blocks: 2048, blocksPerSM: 2, smCount: 188)
    #expect((seqlen.residentSMShare - 0.99).magnitude < 0.005)
    #expect((seqlen.slotEfficiency - 0.91).magnitude < 0.005)
    #expect(GridFit(blocks: 0, blocksPerSM: 1, smCount: 1).residentSMShare == 0)
  }

  /// The case study's kernels, never fitted to: kernel records against kernel times, nothing subtracted.
  @Test func theDocumentsKernelsStayWherePredictionsPutThem() throws {
    let model = try model("rtx-pro-6000")
    let weights = Double(1024 * 1024 * 2)
    let single = try model.predict(GEMM(m: 256, n: 1024, k: 1024, type: .fp16, footprintBytes: 20 * weights)).microseconds
    let five = try model.predict(GEMM(batch: 5, m: 256, n: 1024, k: 1024, type: .fp16, footprintBytes: 100 * weights)).microseconds
    let large = try model.predict(GEMM(m: 32768, n: 1024, k: 1024, type: .fp16, footprintBytes: 20 * weights)).microseconds
    #expect((single / 6.2 - 1).magnitude < 0.10)
    #expect((five / 12.3 - 1).magnitude < 0.10)
    #expect((large / 199 - 1).magnitude < 0.10)
  }

  /// A product that does next to nothing is bound by none of the throughputs that it does not use.
  @Test(arguments: ["l40s", "a100", "h200", "b200", "rtx-pro-6000"]) func tinyProductsAreBoundByLatency(name: String) throws {
    let model = try model(name)
    for (m, n, k) in [(1, 64, 64), (8, 16, 32), (32, 64, 128)] {
      let bound = try model.explain(GEMM(m: m, n: n, k: k, type: .fp16)).bound
      #expect(bound == .latency, "\(m) x \(n) x \(k)")
    }
    let large = try model.explain(GEMM(m: 8192, n: 8192, k: 8192, type: .fp16)).bound
    #expect(large != .latency)
  }

  /// Whether the power limit slows the math down may be open where it is math in any case.
  @Test func mathUnderThePowerLimitIsMath() throws {
    var prediction = try model("rtx-pro-6000").predict(GEMM(m: 32768, n: 1024, k: 1024, type: .fp16))
    prediction.limits = LimitTimes(math: 150, l2: 90, latency: 10, memory: 60, power: 155, fixed: 5)
    prediction.decideBound([.power, .math, .math, .power, .math])
    #expect(prediction.bound == .math)
    prediction.decideBound([.power, .power, .math, .power, .power])
    #expect(prediction.bound == .power)
    prediction.decideBound([.l2, .l2, .math, .power, .math])
    #expect(prediction.bound == nil)
  }

  /// 134 MB through a fused LayerNorm in 42 us: above DRAM speed.
  @Test func layerNormalizationOfTheDocument() throws {
    let bytes = Double(32768 * 1024 * 2)
    let prediction = try model("rtx-pro-6000").predict(MemoryKernel(warmReadBytes: bytes, writtenBytes: bytes))
    #expect((prediction.microseconds / 42 - 1).magnitude < 0.2)
    #expect(2 * bytes / (prediction.microseconds * 1e-6) > 1.792e12)
  }

  /// Kernels of PyTorch 2.11 on an H200 that no fit has seen: the weight shape 1,024 x 1,024 was in no file that was fitted. The one of 256
  /// rows was launched by itself (4.9 in the head).
  @Test(arguments: [
    (1, 7.4, 0.25), (8, 4.0, 0.12), (32, 4.13, 0.12), (64, 4.51, 0.12), (128, 4.38, 0.12), (256, 4.58, 0.12), (512, 4.96, 0.12),
    (1024, 5.92, 0.12), (4096, 13.98, 0.15),
  ]) func layersOfTheLinearHeadOnAnH200(rows: Int, measured: Double, limit: Double) throws {
    let gemm = GEMM(m: rows, n: 1024, k: 1024, type: .fp16, footprintBytes: 20 * 2.1e6)
    let predicted = try model("h200").predict(gemm).microseconds
    #expect((predicted / measured - 1).magnitude < limit, "\(predicted) us against \(measured) us")
  }

  /// Products inside models, none of them fitted: PyTorch's kernel records of heads on an H200, of BERT base and MiniLM on an H100.
  @Test func productsAmongOtherKernelsTakeLonger() throws {
    let records: [(gpu: String, m: Int, n: Int, k: Int, weights: Double, measured: Double)] = [
      ("h200", 64, 1024, 1024, 42e6, 4.51), ("h200", 128, 1024, 1024, 42e6, 4.38), ("h200", 256, 1024, 1024, 42e6, 4.90),
      ("h200", 512, 1024, 1024, 42e6, 4.96), ("h200", 1024, 1024, 1024, 42e6, 5.92), ("h100-sxm", 128, 768, 768, 170e6, 4.16),
      ("h100-sxm", 128, 3072, 768, 170e6, 5.70), ("h100-sxm", 128, 768, 3072, 170e6, 7.48), ("h100-sxm", 4096, 384, 384, 21e6, 5.50),
      ("h100-sxm", 4096, 1536, 384, 21e6, 12.1), ("h100-sxm", 4096, 384, 1536, 21e6, 10.3),
    ]
    func meanError(_ isAmongOthers: Bool) throws -> Double {
      try records.reduce(0.0) { sum, record in
        var gemm = GEMM(m: record.m, n: record.n, k: record.k, type: .fp16, footprintBytes: record.weights)
        gemm.isAmongOthers = isAmongOthers
        return sum + (try model(record.gpu).microseconds(gemm) / record.measured - 1).magnitude
      } / Double(records.count)
    }
    let (alone, among) = (try meanError(false), try meanError(true))
    #expect(among < 0.09 && among < alone * 0.75, "\(among) for \(alone)")
    // What was not measured both ways stays as it is.
    var other = GEMM(m: 256, n: 1024, k: 1024, type: .fp16)
    let before = try model("rtx-pro-6000").microseconds(other)
    other.isAmongOthers = true
    #expect(try model("rtx-pro-6000").microseconds(other) == before)
  }

  /// The stacked heads' layer on an H200, which no fit has seen: 4.86 us at one row, 4.90 at 8, 5.09 at 64, 7.20 at 256.
  @Test(arguments: [(1, 4.86), (8, 4.90), (64, 5.09), (256, 7.20)])
  func headsSideBySideOnAnH200(rows: Int, measured: Double) throws {
    let gemm = GEMM(batch: 5, m: rows, n: 1024, k: 1024, type: .fp16, footprintBytes: 100 * 2.1e6)
    let predicted = try model("h200").microseconds(gemm)
    #expect((predicted / measured - 1).magnitude < 0.12, "\(predicted) us against \(measured) us")
  }

  /// A bias added by a framework's kernel with computed addresses: 1.79 us for 8 rows of 1,024 16-bit values on an H200, 1.31 for 32-bit ones,
  /// although those are twice the bytes.
  @Test(arguments: [(2, 1.79), (4, 1.31)]) func broadcastsOfWideValuesAreShorter(bytes: Int, measured: Double) throws {
    let moved = Double(8 * 1024 * bytes)
    let kernel = MemoryKernel(warmReadBytes: moved, writtenBytes: moved, kind: .broadcast, rows: 8, columns: 1024, elementBytes: bytes)
    let predicted = try model("h200").predict(kernel).microseconds
    #expect((predicted - measured).magnitude < 0.15, "\(predicted) us against \(measured) us")
  }

  @Test func manySmallProductsOfOneLaunchShareItsFixedTime() throws {
    // 2,048 products of 64 x 64 x 128 took 21.6 us, 256 of them 3.7.
    let model = try model("h200")
    let many = try model.predict(GEMM(batch: 2048, m: 64, n: 64, k: 128, type: .fp16))
    #expect((many.microseconds / 21.6 - 1).magnitude < 0.25 && many.isPersistent)
    #expect(try model.microseconds(GEMM(batch: 256, m: 64, n: 64, k: 128, type: .fp16)) < many.microseconds / 4)
  }

  @Test func misalignedRowsAreAClassOfTheirOwn() throws {
    #expect(KernelClass(GEMM(m: 1, n: 8, k: 16, type: .fp16)) == .tensor16)
    #expect(KernelClass(GEMM(m: 3, n: 12, k: 16, type: .bf16)) == .misaligned16)
    #expect(KernelClass(GEMM(m: 3, n: 12, k: 16, type: .tf32)) == .tensor32)
    #expect(KernelClass(GEMM(m: 3, n: 12, k: 18, type: .tf32)) == .misaligned32)
    #expect(KernelClass(GEMM(m: 3, n: 13, k: 17, type: .fp32)) == .scalar32)
    let h200 = try model("h200")
    // BERT's vocabulary: 405 us measured at 2,048 rows.
    let misaligned = try h200.microseconds(GEMM(m: 2048, n: 30522, k: 768, type: .fp16))
    #expect((misaligned / 405 - 1).magnitude < 0.15, "\(misaligned)")
    #expect(try h200.microseconds(GEMM(m: 2048, n: 30528, k: 768, type: .fp16)) < misaligned / 2)
    // Never measured on an A100: said to be assumed, with a band to match.
    let a100 = try model("A100 SXM4 80GB")
    let gemm = GEMM(m: 2048, n: 30522, k: 768, type: .fp16)
    #expect(a100.fit(for: gemm).source.hasPrefix("assumed"))
    #expect(try a100.predict(gemm).relativeErrorBand == 0.5)
  }

  @Test func oneRowOf32BitsIsAMatrixVectorProduct() throws {
    let prediction = try model("h200").explain(GEMM(m: 1, n: 14336, k: 4096, type: .tf32))
    #expect(prediction.isVector && prediction.bound == .memory)
    #expect((prediction.microseconds / 61.1 - 1).magnitude < 0.15, "\(prediction.microseconds)")
  }

  /// Medians of records on an H200: fixed cost, L2, memory, and what a framework's own kernels do beside their bytes.
  @Test(arguments: [
    (MemoryKernel.Kind.elementwise, 8.0, 1024.0, 2.0, 0.93), (.elementwise, 32768, 1024, 2, 34.7), (.elementwise, 4096, 1024, 2, 3.81),
    (.layerNormalization, 1, 1024, 2, 2.72), (.layerNormalization, 32768, 1024, 2, 77.2), (.softmax, 8, 1024, 2, 4.22),
    (.softmax, 32768, 128, 2, 8.54), (.fusedRow, 256, 1024, 2, 1.6), (.fusedRow, 32768, 1024, 2, 33.6), (.copy, 8192, 1024, 2, 5.38),
  ])
  func memoryKernelsOfAnH200(kind: MemoryKernel.Kind, rows: Double, columns: Double, copies: Double, measured: Double) throws {
    let bytes = rows * columns * 2
    let kernel = MemoryKernel(warmReadBytes: bytes, writtenBytes: bytes * (copies - 1), kind: kind, rows: rows, columns: columns)
    let predicted = try model("h200").predict(kernel).microseconds
    #expect(measured < 2 ? (predicted - measured).magnitude < 0.3 : (predicted / measured - 1).magnitude < 0.15, "\(predicted) us")
  }

  @Test(arguments: ["T4", "A100 SXM4 80GB", "L40S", "rtx-pro-6000-server", "H100 SXM", "H200", "B200", "GB300", "P4"])
  func predictionsAreSaneEverywhere(name: String) throws {
    let model = try model(name)
    let types = ComputeType.allCases.filter { model.gpu.peakFLOPs($0) != nil }
    #expect(!types.isEmpty)
    for type in types {
      var last = 0.0
      // From 8 rows on: fewer may have kernels of their own.
      for m in [8, 64, 129, 1000, 8192, 65536] {
        let prediction = try model.explain(GEMM(m: m, n: 1000, k: 768, type: type))
        let roof = GEMM(m: m, n: 1000, k: 768, type: type).floatingPointOperations / (model.gpu.peakFLOPs(type) ?? 1) * 1e6
        #expect(prediction.microseconds > roof * 0.9, "faster than the hardware: \(name) \(type) m \(m)")
        #expect(prediction.microseconds >= last * 0.8, "more rows should not be much faster: \(name) \(type) m \(m)")
        #expect(prediction.grid.reduce(1, *) == prediction.fit.blocks)
        #expect(prediction.fit.residentSMShare > 0 && prediction.fit.residentSMShare <= 1)
        #expect(prediction.paddingShare >= 0 && prediction.paddingShare < 1)
        #expect(prediction.tile.blocksPerSM >= 1)
        last = prediction.microseconds
      }
    }
  }

  @Test func anAlternativeIsNeverFasterThanThePrediction() throws {
    let model = try model("h100")
    for (m, n, k) in [(1, 64, 64), (256, 1024, 1024), (4096, 4096, 4096), (33, 12288, 512)] {
      let gemm = GEMM(m: m, n: n, k: k, type: .bf16)
      let best = try model.predict(gemm).microseconds
      let alternatives = try model.alternatives(gemm)
      #expect(alternatives.count == model.tiles(for: gemm).count)
      #expect((try #require(alternatives.first).microseconds - best).magnitude < 1e-9)
    }
  }

  @Test func badProductsAreRefused() throws {
    let model = try model("h200")
    for gemm in [
      GEMM(m: 0, n: 1, k: 1, type: .fp16), GEMM(m: -5, n: 1, k: 1, type: .fp16), GEMM(m: .max, n: 2, k: 2, type: .fp16),
      GEMM(batch: 1 << 40, m: 1 << 40, n: 1 << 40, k: 1 << 40, type: .fp16),
    ] { #expect(throws: KernelModelError.self) { try model.predict(gemm) } }
    #expect(throws: KernelModelError.unsupportedType(.bf16, gpu: "T4")) {
      try self.model("T4").predict(GEMM(m: 1, n: 1, k: 1, type: .bf16))
    }
  }

  @Test func committedConstantsLieInsideTheirBounds() {
    #expect(KernelCalibrations.measured.count == 6)
    #expect(KernelCalibrations.families.count == 3)
    for calibration in KernelCalibrations.measured + KernelCalibrations.families {
      #expect(calibration.ensemble.count == 5)
      #expect(calibration.errorBands.count == 3 && calibration.errorBands.allSatisfy { $0 > 0 && $0 < 0.6 })
      for name in KernelConstants.Name.allCases { #expect(name.bounds.contains(calibration.constants[name])) }
    }
  }

  @Test func constantsOfASisterBoardAreSaidToBeBorrowed() throws {
    let gpu = try GPUCatalogue().find("a100-pcie-80gb").gpu
    let calibration = KernelCalibrations.calibration(for: gpu)
    #expect(!calibration.isMeasured)
    #expect(calibration.source.contains("A100 SXM4 80GB, the same chip"))
  }

  @Test func constantsSurviveTheirFile() throws {
    let calibration = try #require(KernelCalibrations.measured.first)
    let back = try KernelCalibration(json: try JSONValue.parse(calibration.json.serialized()))
    #expect(back.constants == calibration.constants && back.ensemble == calibration.ensemble)
    let full = try #require(KernelCalibrations.measured.first { $0.memory != nil })
    let read = try KernelCalibration(json: try JSONValue.parse(full.json.serialized()))
    #expect(read == full && read.others.count == 4)
    #expect(throws: DescriptionError.self) {
      try KernelCalibration(json: try JSONValue.parse(full.json.serialized().replacing("\"scalar32\"", with: "\"scalar33\"")))
    }
    #expect(throws: DescriptionError.self) { try KernelCalibration(json: ["schema": "headroom.constants/2"]) }
    #expect(throws: DescriptionError.self) { try KernelCalibration(json: ["schema": "headroom.constants/1"]) }
  }
}
