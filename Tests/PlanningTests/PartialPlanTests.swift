import GPUModel
import Glibc
import ModelGraph
import Testing

@testable import Planning

/// What is known of a model is planned, the rest is counted and named; and rows are counted where they are.
@Suite struct PartialPlanTests {
  static func plan(_ graph: Graph) throws -> Plan {
    let gpu = try GPUCatalogue().find("h200").gpu
    return try PlanBuilder(model: KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu)), type: .fp16).plan(graph)
  }

  static func weight(_ graph: inout Graph, _ name: String, _ shape: [Int]) throws -> ValueID {
    graph.addConstant(
      name, try #require(Tensor(float32: [Float](repeating: 0, count: shape.reduce(1, *)), shape: shape)))
  }

  /// x [rows, 64] W [64, 32], and behind it an operator that nobody knows.
  static func partial() throws -> Graph {
    var graph = Graph(name: "partial")
    let x = graph.addInput("x", .float32, [.rows, .fixed(64)])
    let h = try graph.apply(.matMul, "h", [x, try weight(&graph, "w", [64, 32])])
    let result = CostedOperator.Result(type: .float32, shape: [.rows, .fixed(32)])
    let mystery = CostedOperator(
      type: "com.example.Mystery", results: [result], work: [.traffic(operations: 1, elements: result.shape)], unplanned: "no rule")
    try graph.addOutput(try graph.apply(.costed(mystery), "m", [h]), named: "m")
    return graph
  }

  @Test func theRestIsListedWithItsShare() throws {
    let plan = try Self.plan(try Self.partial())
    let batch = try plan.at(rows: 10)
    let coverage = plan.coverage(batch)
    let (known, unknown) = (2.0 * 10 * 64 * 32, 10.0 * 32)
    #expect(coverage.measure == .floatingPointOperations)
    #expect((coverage.share - known / (known + unknown)).magnitude < 1e-12)
    #expect(coverage.unplanned.map(\.layer) == ["m"] && coverage.unplanned.first?.reason == "no rule")
    #expect(coverage.isSufficient)
    // Few operations, much of the time: a kernel takes some microseconds whatever it does.
    let time = try #require(batch.launches.last).predictedNanoseconds / batch.predictedNanoseconds
    #expect(coverage.unplanned.map(\.timeShare) == [time] && (coverage.timeShare + time - 1).magnitude < 1e-12 && time > 0.2)
    // Its bytes are in the plan: in and out, at two bytes each.
    let bytes = 1280.0
    #expect(batch.launches.last?.bytes == bytes)
  }

  @Test func sizesThatAreNotKnownAreNeverEnough() throws {
    var graph = try Self.partial()
    let riddle = CostedOperator(type: "Riddle", results: [], work: [.traffic(operations: 1, elements: [])], unplanned: "no rule")
    _ = try graph.append(.costed(riddle), "r", [graph.inputs[0]])
    let plan = try Self.plan(graph)
    let coverage = plan.coverage(try plan.at(rows: 1))
    #expect(coverage.share > 0.9 && !coverage.isSufficient)
    #expect(coverage.unplanned.contains { $0.layer == "r" && $0.isUnsized })
  }

  @Test func planFilesKeepWhatIsCounted() throws {
    let path = PlanFileTests.temporaryPath("partial")
    defer { unlink(path) }
    let plan = try Self.plan(try Self.partial())
    try PlanFile.write(plan, to: path)
    let back = try PlanFile.read(path)
    #expect(back.steps == plan.steps)
    #expect(try back.at(rows: 7).launches == plan.at(rows: 7).launches)
  }

  @Test func convolutionsReadTheirInputOnce() throws {
    var graph = Graph(name: "cnn")
    let x = graph.addInput("x", .float32, [.rows, .fixed(64), .fixed(56), .fixed(56)])
    let w = try Self.weight(&graph, "w", [64, 64, 3, 3])
    let (image, taps) = ([Dimension.rows, .fixed(56), .fixed(56)], [Dimension.fixed(64), .fixed(3), .fixed(3)])
    let convolution = CostedOperator(
      type: "Conv", results: [.init(type: .float32, shape: [.rows, .fixed(64), .fixed(56), .fixed(56)])],
      work: [
        .product(
          batch: [.fixed(1)], m: image, n: [.fixed(64)], k: taps, source: [.rows, .fixed(64), .fixed(56), .fixed(56)], repetitions: [])
      ])
    try graph.addOutput(try graph.apply(.costed(convolution), "c", [x, w]), named: "c")
    let batch = try Self.plan(graph).at(rows: 8)
    #expect(
      batch.notes == [
        "convolutions, recurrences and attention are predicted as GEMMs; the error band (+-) was measured on plain GEMMs only"
      ])
    let launch = try #require(batch.launches.first)
    let gemm = try #require(launch.gemm)
    #expect([gemm.batch, gemm.m, gemm.n, gemm.k] == [1, 8 * 56 * 56, 64, 576])
    let operations: Double = 2 * 25088 * 64 * 576
    // Input, filter and result, once each, of two bytes per element.
    let elements: Double = 25088 * 64 * 2 + 64 * 576
    #expect(launch.floatingPointOperations == operations)
    #expect(launch.bytes == 2 * elements)
    #expect(launch.kernelName.contains("conv"))
  }

  @Test func recurrencesWaitForEachStep() throws {
    var graph = Graph(name: "rnn")
    let x = graph.addInput("x", .float32, [.fixed(12), .rows, .fixed(16)])
    let w = try Self.weight(&graph, "w", [1, 32, 16])
    let recurrence = CostedOperator(
      type: "RNN", results: [.init(type: .float32, shape: [.fixed(12), .fixed(1), .rows, .fixed(32)])],
      work: [
        .product(batch: [.fixed(1)], m: [.fixed(12), .rows], n: [.fixed(32)], k: [.fixed(16)], source: nil, repetitions: []),
        .product(batch: [], m: [.rows], n: [.fixed(32)], k: [.fixed(32)], source: nil, repetitions: [.fixed(12)]),
      ])
    try graph.addOutput(try graph.apply(.costed(recurrence), "y", [x, w]), named: "y")
    let batch = try Self.plan(graph).at(rows: 4)
    #expect(batch.launches.compactMap(\.gemm).map(\.m) == [48] + Array(repeating: 4, count: 12))
  }

  /// Attention over the first axis: scores [rows, rows] take 2 rows^2 k operations.
  @Test func rowsMayBeAnySizeOfAProduct() throws {
    var graph = Graph(name: "scores")
    let x = graph.addInput("x", .float32, [.rows, .fixed(64)])
    let scores = try graph.apply(.matMul, "scores", [x, try graph.apply(.transpose(permutation: [1, 0]), "t", [x])])
    try graph.addOutput(try graph.apply(.matMul, "mixed", [scores, x]), named: "mixed")
    let plan = try Self.plan(graph)
    for rows in [1, 8, 300] {
      let gemms = try plan.at(rows: rows).launches.compactMap(\.gemm)
      #expect(gemms.map { [$0.m, $0.n, $0.k] } == [[rows, rows, 64], [rows, 64, rows]])
    }
  }

  @Test func emptyProductsAreSaidAndNotLaunched() throws {
    var graph = Graph(name: "rank 0")
    let x = graph.addInput("x", .float32, [.rows, .fixed(8)])
    let down = try graph.apply(.matMul, "down", [x, try Self.weight(&graph, "a", [8, 0])])
    try graph.addOutput(try graph.apply(.matMul, "up", [down, try Self.weight(&graph, "b", [0, 8])]), named: "up")
    let batch = try Self.plan(graph).at(rows: 3)
    #expect(batch.launches.map(\.layer) == ["up"] && batch.launches.first?.gemm == nil)
    #expect(batch.notes.count == 2, "\(batch.notes)")
    #expect(batch.notes.first?.contains("layer \"down\": its GEMM is empty (n = 0)") == true, "\(batch.notes)")
    #expect(batch.notes.last?.contains("(k = 0); zeros are written") == true, "\(batch.notes)")
  }

  /// A model exported for four rows takes four rows per run, whatever it is asked for.
  @Test(arguments: [(1, 1, 4), (4, 1, 4), (5, 2, 8), (256, 64, 256)]) func fixedBatchesAreRuns(rows: Int, runs: Int, computed: Int) throws {
    var graph = Graph(name: "fixed")
    let x = graph.addInput("x", .float32, [.fixed(4), .fixed(64)])
    try graph.addOutput(try graph.apply(.matMul, "y", [x, try Self.weight(&graph, "w", [64, 32])]), named: "y")
    let plan = try Self.plan(graph)
    #expect(plan.fixedRows == 4)
    let (one, batch) = (try plan.at(rows: 4), try plan.at(rows: rows))
    #expect(batch.runs == runs && batch.computedRows == computed)
    #expect(batch.issued.count == runs)
    #expect((batch.predictedNanoseconds / one.predictedNanoseconds - Double(runs)).magnitude < 1e-9)
    let (operations, bytes) = (Double(runs) * 16384, runs * 1024)
    #expect(batch.floatingPointOperations == operations)
    #expect(batch.inputBytes == bytes)
    #expect(batch.residentSMShare == one.residentSMShare && batch.relativeErrorBand == one.relativeErrorBand)
  }

  @Test func rowsThatInputsDoNotShareAreOneRow() throws {
    var graph = Graph(name: "two")
    let (x, y) = (graph.addInput("x", .float32, [.fixed(4), .fixed(8)]), graph.addInput("y", .float32, [.fixed(8), .fixed(2)]))
    try graph.addOutput(try graph.apply(.matMul, "z", [x, y]), named: "z")
    #expect(try Self.plan(graph).fixedRows == 1)
  }

  @Test func aGraphWithoutKernelsIsPlannedAsSuch() throws {
    var graph = Graph(name: "view")
    let x = graph.addInput("x", .float32, [.rows, .fixed(8)])
    try graph.addOutput(try graph.apply(.reshape([.rows, .fixed(2), .fixed(4)]), "y", [x]), named: "y")
    let plan = try Self.plan(graph)
    let batch = try plan.at(rows: 3)
    #expect(batch.launches.isEmpty && plan.coverage(batch).share == 1)
  }
}
