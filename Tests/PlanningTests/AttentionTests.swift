import GPUModel
import ModelGraph
import Testing

@testable import Planning

/// Attention as one kernel in place of two products and what stands between them.
@Suite struct AttentionTests {
  static func plan(_ attention: AttentionKernels, heads: Int = 12, hidden: Int = 768, layers: Int = 2) throws -> Plan {
    let gpu = try GPUCatalogue().find("h100-sxm").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    return try PlanBuilder(model: model, type: .fp16, fusion: .none, attention: attention)
      .plan(try BuiltInHead.encoder(layers: layers, hidden: hidden, heads: heads, sequence: 128).graph(seed: 1))
  }

  @Test func oneKernelStandsForProductsScaleSoftmaxAndLayouts() throws {
    let (separate, fused) = (try Self.plan(.separate).at(rows: 1), try Self.plan(.fused).at(rows: 1))
    // scores, scale, softmax, context, and four transposes: one kernel.
    #expect(separate.launches.count - fused.launches.count == 2 * 7)
    #expect(fused.launches.count { $0.kernelName.hasPrefix("attention") } == 2)
    #expect(fused.launches.allSatisfy { $0.gemm?.batch ?? 1 == 1 }, "the products that are left have weights")
    let products = separate.launches.filter { ($0.gemm?.batch ?? 1) > 1 }.reduce(0) { $0 + $1.floatingPointOperations }
    let attention = fused.launches.filter { $0.kernelName.hasPrefix("attention") }.reduce(0) { $0 + $1.floatingPointOperations }
    #expect(products == attention)
    #expect(fused.notes.contains { $0.contains("assumed") })
  }

  /// Kernel records of an H100: 12 heads of 128 queries, 64 deep, 4.13 us; 384 heads, 32 deep, 8.86 us.
  @Test(arguments: [(12, 64, 4.13), (384, 32, 8.86)]) func measuredKernelsArePredicted(heads: Int, depth: Int, measured: Double) throws {
    let gpu = try GPUCatalogue().find("h100-sxm").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    let time = try model.predict(AttentionKernel(heads: heads, queries: 128, keys: 128, depth: depth, valueDepth: depth, type: .fp16))
    #expect((time.microseconds / measured - 1).magnitude < 0.15, "\(time.microseconds)")
  }

  /// Published forward rates without a mask on an H100: about 500 TFLOP/s at a depth of 64, 650 at 128, 16,384 tokens.
  @Test(arguments: [(64, 500.0), (128, 650.0)]) func longSequencesReachPublishedRates(depth: Int, teraflops: Double) throws {
    let gpu = try GPUCatalogue().find("h100-sxm").gpu
    let kernel = AttentionKernel(heads: 2048 / depth, queries: 16384, keys: 16384, depth: depth, valueDepth: depth, type: .fp16)
    let time = try KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu)).predict(kernel)
    #expect((kernel.floatingPointOperations / time.microseconds / 1e6 / teraflops - 1).magnitude < 0.12)
    #expect(time.roofMicroseconds < time.microseconds && time.bound == .math)
  }

  @Test func sizesBeyondAnyGPUAreRefused() throws {
    let gpu = try GPUCatalogue().find("h100-sxm").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    #expect(throws: KernelModelError.self) {
      try model.predict(AttentionKernel(heads: 0, queries: 1, keys: 1, depth: 1, valueDepth: 1, type: .fp16))
    }
    #expect(throws: KernelModelError.self) {
      try model.predict(AttentionKernel(heads: 1 << 40, queries: 1 << 40, keys: 1, depth: 1, valueDepth: 1, type: .fp16))
    }
  }

  /// A plan file keeps the choice, since it lists it among the rewrites.
  @Test func theChoiceIsInThePlansRewrites() throws {
    let plan = try Self.plan(.fused)
    #expect(plan.attention == .fused && plan.rewrites.contains("fused-attention") && plan.fusion == .none)
    #expect(try Self.plan(.separate).attention == .separate)
  }
}
