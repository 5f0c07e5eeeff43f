import Dispatch
import Execution
import Glibc
import ModelGraph
import Synchronization
import Testing

/// oneDNN for tests: whether it is here.
enum OneDNNFixture {
  static let isHere = (try? OneDNNLibrary()) != nil
}

/// Runs where oneDNN is found (`HEADROOM_ONEDNN`, or `Scripts/fetch-onednn`).
@Suite(.enabled(if: OneDNNFixture.isHere, "oneDNN is absent: Scripts/fetch-onednn"))
struct OneDNNTests {
  static func load(
    _ graph: Graph, rows: Int, threads: Int = 2, engine: CPUDeviceOptions.Engine = .onednn, precision: LoadOptions.Precision = .fp32,
    preferred: [Int] = []
  ) throws -> any LoadedModel {
    try CPUDevice(CPUDeviceOptions(threads: threads, engine: engine)).load(
      .graph(graph), LoadOptions(maximumBatchRows: rows, precision: precision, preferredRows: preferred))
  }

  static func compare(_ graph: Graph, rows: Int, threads: Int = 2, precision: LoadOptions.Precision = .fp32) throws -> (
    worst: Double, scale: Double
  ) {
    let model = try load(graph, rows: rows, threads: threads, precision: precision)
    #expect(model.steps(rows: rows).contains { $0.name.contains("_onednn_linear") })
    return try CPUDeviceTests.compare(graph, model, try model.makeInstance(), rows: rows, seed: 7)
  }

  @Test(arguments: [1, 2])
  func everyNumberOfRowsAndEveryEdge(threads: Int) throws {
    for rows in [1, 2, 3, 7, 8, 31, 32, 33, 65, 100, 127, 128, 129, 161, 300] {
      for (k, n) in [(1, 1), (7, 5), (33, 31), (65, 33), (64, 128), (40, 129), (129, 300)] where rows < 128 || k < 64 {
        let (worst, scale) = try Self.compare(
          try CPUDeviceTests.linear(k, n, .relu, isTransposed: rows % 2 == 0), rows: rows, threads: threads)
        #expect(worst <= 1e-5 * scale, "\(rows) x \(k) x \(n): \(worst) of \(scale)")
      }
    }
  }

  @Test(arguments: [UnaryOperation.relu, .gelu, .geluTanh, .tanh, .sigmoid, .erf, .identity])
  func everyActivation(operation: UnaryOperation) throws {
    let (worst, scale) = try Self.compare(try CPUDeviceTests.linear(24, 150, operation), rows: 9)
    #expect(worst <= 1e-5 * scale, "\(operation): \(worst) of \(scale)")
  }

  @Test(.enabled(if: CPUDeviceOptions.Level.best >= .avx512bf16, "this processor multiplies no bfloat16"))
  func brainFloats() throws {
    for rows in [1, 3, 8, 40, 130] {
      for k in [64, 65] {
        let (worst, scale) = try Self.compare(try CPUDeviceTests.linear(k, 150, .gelu, layers: 2), rows: rows, precision: .bf16)
        #expect(worst <= 2e-2 * scale, "\(rows) rows: \(worst) of \(scale)")
        #expect(worst > 1e-6 * scale, "bf16 cannot be this exact: did fp32 run?")
      }
    }
  }

  @Test(arguments: [
    BuiltInHead.linear(layers: 4, hidden: 48), .stacked(layers: 3, hidden: 40, heads: 3), .seqlen(layers: 4, hidden: 36, sequence: 7),
    .encoder(layers: 2, hidden: 32, heads: 2, sequence: 12),
  ])
  func builtInHeads(head: BuiltInHead) throws {
    let graph = try head.graph(seed: 3)
    for rows in [1, 2, 5, 17] {
      let (worst, scale) = try Self.compare(graph, rows: rows)
      #expect(worst <= 1e-5 * max(scale, 1), "\(head.name) \(rows) rows: \(worst) of \(scale)")
    }
  }

  @Test func anEngineIsForced() throws {
    let graph = try CPUDeviceTests.linear(64, 64, .relu)
    let own = try Self.load(graph, rows: 8, engine: .own)
    let forced = try Self.load(graph, rows: 8, engine: .onednn)
    for rows in [1, 5, 8] {
      #expect(own.steps(rows: rows).allSatisfy { !$0.name.contains("onednn") })
      #expect(forced.steps(rows: rows).contains { $0.name.hasPrefix("gemm_f32_onednn_linear+relu") })
    }
    let error = #expect(throws: DeviceError.self) { try Self.load(graph, rows: 8, engine: .onednn, precision: .fp16) }
    #expect(error?.description.contains("--engine own") == true)
  }

  @Test func automaticAgreesWithTheReferenceAtEveryRowCount() throws {
    let graph = try BuiltInHead.linear(layers: 3, hidden: 192).graph(seed: 5)
    for precision in [LoadOptions.Precision.fp32, .fp16] {
      let model = try Self.load(graph, rows: 200, engine: .automatic, precision: precision, preferred: [16, 64])
      let instance = try model.makeInstance()
      for rows in [1, 2, 16, 30, 64, 90, 200, 3] {
        let (worst, scale) = try CPUDeviceTests.compare(graph, model, instance, rows: rows, seed: UInt64(clamping: rows))
        #expect(worst <= (precision == .fp32 ? 1e-5 : 1e-2) * scale, "\(rows): \(worst) of \(scale)")
      }
    }
  }

  @Test func weightsArePackedOnceWhereOneEngineRunsAll() throws {
    let graph = try CPUDeviceTests.linear(256, 256, .relu, layers: 3)
    #expect(try Self.load(graph, rows: 8).weightBytes == 3 * 256 * 256 * 4)
  }

  @Test func oneModelServesManyInstancesAtOnce() throws {
    let graph = try BuiltInHead.linear(layers: 3, hidden: 160).graph(seed: 5)
    for threads in [1, 2] {
      let model = try Self.load(graph, rows: 64, threads: threads)
      let instances = try (0..<3).map { _ in try model.makeInstance() }
      let worst = Mutex(0.0)
      let failures = Mutex<[String]>([])
      DispatchQueue.concurrentPerform(iterations: 3) { index in
        for (round, rows) in [1, 40, 3, 17, 64, 2].enumerated() {
          do {
            let result = try CPUDeviceTests.compare(graph, model, instances[index], rows: rows, seed: UInt64(clamping: index * 10 + round))
            worst.withLock { $0 = max($0, result.worst / result.scale) }
          } catch { failures.withLock { $0.append("\(error)") } }
        }
      }
      #expect(failures.withLock { $0 } == [])
      #expect(worst.withLock { $0 } <= 1e-5)
    }
  }

  @Test func theProcesssEnvironmentStaysAsItWas() throws {
    _ = try OneDNNLibrary()
    #expect(getenv("OMP_WAIT_POLICY") == nil)
  }
}
