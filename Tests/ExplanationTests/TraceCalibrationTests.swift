import FileAccess
import GPUModel
import JSONText
import ModelGraph
import Planning
import Testing
import Trace
import TraceFormats

@testable import Explanation

/// Calibration of a GPU from the kernels of a trace.
@Suite struct TraceCalibrationTests {
  static let date = "2026-11-27T04:00:00Z"

  /// Steps of an eager program: operators with input shapes around launches. `slower`: how much slower than the model says its GPU is.
  static func recorded(shapes: Bool, slower: Double, steps: Int = 4) throws -> TraceMaker {
    var maker = TraceMaker()
    let gpu = try GPUCatalogue().find("h200").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    var time = 0.0
    func add(_ name: String, _ inputs: String, kernel: String, grid: Int32, _ microseconds: Double, split: Bool = false) {
      if shapes {
        maker.trace.operators.append(
          OperatorEvent(
            start: Int64(time * 1e3), end: Int64((time + 15) * 1e3), thread: maker.thread, name: maker.trace.names.intern(name),
            inputShapes: maker.trace.names.intern(inputs), inputTypes: maker.trace.names.intern("[\"c10::Half\", \"c10::Half\"]")))
      }
      maker.kernel(kernel, launch: (time + 5, time + 8), time + 20, time + 20 + microseconds, grid: grid)
      if split {
        maker.kernel("void splitKreduce_kernel<32, 16>", launch: (time + 9, time + 12), time + 21 + microseconds, time + 22 + microseconds)
      }
      time += 60 + microseconds
    }
    for _ in 0..<steps {
      for layer in 0..<3 {
        var gemm = GEMM(m: 64, n: 512, k: 512, type: .fp16, footprintBytes: 3 * 512 * 512 * 2 + 512 * 16 * 2)
        gemm.isAmongOthers = true
        add(
          "aten::addmm", "[[512], [64, 512], [512, 512]]", kernel: "nvjet_sm90_hsh_64x16_64x16_4x2_h_bz_bias_TNN", grid: 32,
          try model.microseconds(gemm) * slower + 0.001 * Double(layer))
        add(
          "aten::relu", "[[64, 512]]", kernel: "vectorized_elementwise_kernel<8, launch_clamp_scalar>", grid: 32,
          model.predict(MemoryKernel(warmReadBytes: 65536, writtenBytes: 65536)).microseconds * slower)
      }
      var last = GEMM(m: 64, n: 16, k: 512, type: .fp16, footprintBytes: 3 * 512 * 512 * 2 + 512 * 16 * 2)
      last.isAmongOthers = true
      add(
        "aten::addmm", "[[16], [64, 512], [512, 16]]", kernel: "nvjet_sm90_hsh_16x64_64x16_1x1_h_bz_bias_TNN", grid: 1,
        try model.microseconds(last) * slower, split: true)
    }
    return maker
  }

  @Test func shapesAndDurationsAreTakenFromOperatorsAndRecords() throws {
    let found = TraceMeasurements(of: try Self.recorded(shapes: true, slower: 1).trace)
    #expect(found.steps == 4, "every kernel runs a multiple of four times")
    #expect(found.products.map(\.count).sorted() == [4, 12])
    let wide = try #require(found.products.first { $0.work.n == 512 })
    #expect(wide.work.m == 64 && wide.work.k == 512 && wide.work.type == .fp16)
    #expect(wide.work.footprintBytes == Double(3 * 512 * 512 * 2 + 16 * 512 * 2), "all weights of a step pass between two readings of one")
    let split = try #require(found.products.first { $0.work.n == 16 })
    let model = KernelModel(
      gpu: try #require(found.facts.gpu), calibration: KernelCalibrations.calibration(for: try #require(found.facts.gpu)))
    #expect((split.microseconds - (try model.microseconds(split.work)) - 1).magnitude < 0.01, "a split product's reduction belongs to it")
    #expect(found.memory.map(\.work.kind) == [.elementwise] && found.memory.first?.count == 12)
  }

  @Test func aSlowerBoardIsCalibratedAndTheFileSaysFromWhatAndWhen() throws {
    let found = TraceMeasurements(of: try Self.recorded(shapes: true, slower: 1.2).trace)
    let result = try TraceCalibration(found, path: "run.json", date: Self.date)
    #expect(result.errors.before > 0.14 && result.errors.after < 0.75 * result.errors.before, "two sizes are held close to what was known")
    let json = try JSONValue.parse(result.calibration.json.serialized())
    let back = try KernelCalibration(json: json)
    #expect(back.origins == result.calibration.origins && back.origins.map(\.part) == ["tensor16", "memory"])
    #expect(back.origins.allSatisfy { $0.file == "run.json" && $0.date == Self.date && $0.errorAfter < $0.errorBefore })
    #expect(result.calibration.source.contains("run.json") && result.calibration.source.contains(Self.date))
    #expect(result.lines().contains { $0.contains("not held out") } && result.lines().allSatisfy { $0.count <= 80 })
    #expect(throws: DescriptionError.self) {
      try KernelCalibration(json: try JSONValue.parse(json.serialized().replacing("\"part\"", with: "\"port\"")))
    }
  }

  /// Without shapes the model that ran tells them: its kernels follow each other as the plan's do.
  @Test func aModelBesideTheTraceStandsForShapes() throws {
    let trace = try Self.recorded(shapes: false, slower: 1.2).trace
    let none = #expect(throws: TraceCalibrationError.self) {
      try TraceCalibration(TraceMeasurements(of: trace), path: "run.json", date: Self.date)
    }
    #expect(none?.description.contains("record_shapes=True") == true && none?.description.contains("--model") == true)
    func plan(_ layers: Int, _ hidden: Int) throws -> BatchPlan {
      let gpu = try GPUCatalogue().find("h200").gpu
      let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
      return try PlanBuilder(model: model, type: .fp16, fusion: .none)
        .plan(try BuiltInHead.linear(layers: layers, hidden: hidden).graph(seed: 1)).at(rows: 64)
    }
    let found = TraceMeasurements(of: trace, model: try plan(3, 512))
    #expect(found.products.reduce(0) { $0 + $1.count } == 16 && found.memory.first?.count == 12 && found.notes.isEmpty)
    #expect(Set(found.products.map(\.work.n)) == [512, 2])
    // Another model: more products per step than the trace has.
    let other = TraceMeasurements(of: trace, model: try plan(6, 512))
    #expect(other.products.isEmpty && other.notes.contains { $0.contains("products: 4") && $0.contains("7 in the model") })
    let error = #expect(throws: TraceCalibrationError.self) { try TraceCalibration(other, path: "run.json", date: Self.date) }
    #expect(error?.description.contains("7 in the model") == true || other.memory.isEmpty == false)
  }

  @Test func unusableTracesSayWhy() throws {
    func failure(_ trace: Trace, gpu: GPU? = nil) -> String {
      do {
        _ = try TraceCalibration(TraceMeasurements(of: trace, gpu: gpu), path: "x", date: Self.date)
        return ""
      } catch { return error.description }
    }
    #expect(failure(Trace()).contains("no GPU kernels"))
    var unnamed = TraceMaker(gpu: nil)
    unnamed.kernel(launch: (0, 1), 2, 3)
    #expect(failure(unnamed.trace).contains("--gpu"))
    #expect(failure(unnamed.trace, gpu: try GPUCatalogue().find("h200").gpu).contains("no kernel whose size is known"))
    // Shapes that no product has, and a size beyond any GPU.
    var odd = TraceMaker()
    for (index, shapes) in ["[[4, 8], [9, 4]]", "[[99999999999, 99999999999], [99999999999, 3]]", "nonsense"].enumerated() {
      let time = Double(index) * 100
      odd.trace.operators.append(
        OperatorEvent(
          start: Int64(time * 1e3), end: Int64((time + 20) * 1e3), thread: odd.thread, name: odd.trace.names.intern("aten::mm"),
          inputShapes: odd.trace.names.intern(shapes), inputTypes: odd.trace.names.intern("[]")))
      odd.kernel(launch: (time + 1, time + 2), time + 30, time + 40)
    }
    #expect(failure(odd.trace).contains("no kernel whose size is known"))
  }

  @Test func stepsAreTheLargestNumberThatDividesNearlyAllCounts() {
    #expect(RecordedKernels.steps([576, 144, 300, 312, 36, 12]) == 12)
    #expect(RecordedKernels.steps([2740, 2740, 137]) == 137)
    #expect(RecordedKernels.steps([1000, 1000, 3]) == 1000, "what runs once at the start is no step's")
    #expect(RecordedKernels.steps([7, 5, 3]) == nil)
    #expect(RecordedKernels.steps([]) == nil)
  }

  /// A recording of bert-base on an H100, of one sentence, where it is at hand.
  static let bert = "../shared/gpu/traces/bert-base-b1-s128.json.gz"

  @Test(.enabled(if: Files.kind(of: TraceCalibrationTests.bert) == .file))
  func aRealModelsErrorHalves() throws {
    let trace = try TraceImporters.read(Self.bert).trace
    let gpu = try GPUCatalogue().find("h100-sxm").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    let graph = try BuiltInHead.encoder(layers: 12, hidden: 768, heads: 12, sequence: 128).graph(seed: 1)
    let plan = try PlanBuilder(model: model, type: .fp16, fusion: .none).plan(graph).at(rows: 1)
    let found = TraceMeasurements(of: trace, model: plan)
    #expect(found.steps == 12 && found.products.count == 3 && found.kernelMicroseconds.known > 0.85 * found.kernelMicroseconds.all)
    let result = try TraceCalibration(found, path: Self.bert, date: Self.date)
    #expect(result.errors.after < result.errors.before / 2, "\(result.errors)")
  }
}
