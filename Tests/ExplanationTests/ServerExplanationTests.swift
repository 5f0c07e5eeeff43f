import Diagnosis
import Explanation
import FileAccess
import JSONText
import Testing
import TimeBase

@Suite struct ServerExplanationTests {
  /// Queue and infer are microseconds per request; sizes are rows, batches and microseconds of infer.
  static func statistics(
    requests: Int64, executions: Int64, rows: Int64, queue: Int64, infer: Int64, sizes: [(rows: Int64, count: Int64, infer: Int64)] = []
  ) -> ModelStatistics {
    func sums(_ count: Int64, _ microseconds: Int64) -> JSONValue {
      ["count": JSONValue(count), "ns": JSONValue(count * microseconds * 1_000)]
    }
    let batches: [JSONValue] = sizes.map { size in
      [
        "batch_size": JSONValue(size.rows), "compute_input": sums(size.count, 100), "compute_infer": sums(size.count, size.infer),
        "compute_output": sums(size.count, 100),
      ]
    }
    let model: JSONValue = [
      "name": "m", "version": "1", "inference_count": JSONValue(rows), "execution_count": JSONValue(executions),
      "inference_stats": [
        "success": sums(requests, queue + infer + 200), "queue": sums(requests, queue), "compute_input": sums(requests, 100),
        "compute_infer": sums(requests, infer), "compute_output": sums(requests, 100),
      ], "batch_stats": .array(batches),
    ]
    return (try? ModelStatistics.all(in: ["model_stats": [model]]))?.first ?? none
  }

  static let none: ModelStatistics = {
    let empty: JSONValue = ["model_stats": [["name": "none"]]]
    guard let models = try? ModelStatistics.all(in: empty), let first = models.first else {
      preconditionFailure("the reader takes a bare name")
    }
    return first
  }()

  static let zero = statistics(requests: 0, executions: 0, rows: 0, queue: 0, infer: 0)

  func window(
    _ after: ModelStatistics, seconds: Double = 10, gpu: Double? = nil, pending: Double = 0, configuration: ServerConfiguration? = nil
  ) throws -> ServerWindow {
    let page =
      "nv_inference_pending_request_count{model=\"m\",version=\"1\"} \(pending)\n"
      + (gpu.map { "nv_gpu_utilization{gpu_uuid=\"a\"} \($0)\n" } ?? "")
    return try ServerWindow(
      before: [Self.zero], after: [after], metricsBefore: PrometheusText(page), metricsAfter: PrometheusText(page), seconds: seconds,
      model: nil,
      configuration: configuration)
  }

  @Test func queuesAndAnIdleGPUAreNoPipelining() throws {
    // 1.2 ms per batch, one every 1.4 ms, half a second of queue, GPU 12 %.
    let after = Self.statistics(
      requests: 35_700, executions: 7_140, rows: 1_785_000, queue: 500_000, infer: 1_000, sizes: [(250, 7_140, 1_000)])
    let explanation = ServerExplanation(try window(after, gpu: 0.12, pending: 2_000))
    #expect(explanation.bottleneck == .noPipelining)
    #expect(explanation.confidence == .high)
    #expect(explanation.changes.first?.fix == "instance_group { count: 2 }")
    #expect(explanation.changes.first?.gain == "at most +100 %")
    #expect(explanation.answer.first == "Bottleneck: no batch pipelining in the back end (high confidence)")
    #expect(explanation.answer.contains { $0.contains("3,570 req/s is all this loop can do") })
    #expect(explanation.answer.allSatisfy { $0.count <= 80 })
  }

  @Test("of a window that is not steady neither bottleneck, headroom nor change is stated")
  func aWindowThatIsNotSteady() throws {
    let after = Self.statistics(
      requests: 35_700, executions: 7_140, rows: 1_785_000, queue: 500_000, infer: 1_000, sizes: [(250, 7_140, 1_000)])
    func explanation(_ requests: [Int64]) throws -> ServerExplanation {
      var window = try window(after, gpu: 0.12, pending: 2_000)
      window.add(
        readings: requests.enumerated().map { index, count in
          (
            time: Instant(nanoseconds: Int64(index) * 1_000_000_000),
            models: [Self.statistics(requests: count, executions: count, rows: count, queue: 0, infer: 0)]
          )
        })
      return ServerExplanation(window, goalMilliseconds: 100)
    }
    let ramp = try explanation([0, 100, 300, 600, 1_000, 1_500, 2_100, 2_800, 3_600, 4_500, 5_500])
    #expect(ramp.bottleneck == .notSteady && ramp.confidence == .inconclusive)
    #expect(ramp.capacity == nil && ramp.maximumRateAtGoal == nil && ramp.changes.isEmpty && ramp.noEffect.isEmpty)
    let text = ramp.answer.joined(separator: "\n")
    #expect(ramp.answer.first?.hasPrefix("Not steady: ") == true && text.contains("unknown, because the window is not steady: "), "\(text)")
    #expect(ramp.answer.allSatisfy { $0.count <= 80 })
    #expect(ramp.json["capacity"] == .null && ramp.json["maximumRequestsPerSecondAtGoal"] == .null)
    // The same totals at a steady rate.
    let steady = try explanation((0...10).map { $0 * 550 })
    #expect(steady.bottleneck == .noPipelining && steady.capacity != nil)
  }

  @Test("what to type of a GPU that limits is a command of the model that was named, and none where none was")
  func thePlanOfTheModelThatWasNamed() throws {
    let after = Self.statistics(
      requests: 35_700, executions: 7_140, rows: 1_785_000, queue: 500_000, infer: 1_000, sizes: [(250, 7_140, 1_000)])
    var window = try window(after, gpu: 0.9, pending: 2_000)
    #expect(ServerExplanation(window).changes.allSatisfy { !$0.fix.contains("headroom plan") })
    window.planned = ("my models/rank.onnx", "l40s")
    let fixes = ServerExplanation(window).changes.map(\.fix)
    #expect(fixes.contains("shorter kernels: headroom plan 'my models/rank.onnx' --gpu l40s --batch 250"), "\(fixes)")
    #expect(CommandWord.quoted("m.onnx") == "m.onnx" && CommandWord.quoted("it's") == "'it'\\''s'" && CommandWord.quoted("") == "''")
  }

  @Test func aQueueInFrontOfIdleInstancesIsNoLoadThatIsServed() throws {
    // Half a second of queue, and by the length that was said an instance is busy 43 % of the time.
    let after = Self.statistics(
      requests: 21_700, executions: 4_340, rows: 1_085_000, queue: 544_000, infer: 800, sizes: [(250, 4_340, 800)])
    let explanation = ServerExplanation(try window(after, gpu: 0.12))
    #expect(explanation.bottleneck == .inconclusive && explanation.hasUnexplainedQueue)
    #expect(explanation.answer.first?.hasPrefix("Inconclusive: requests wait 544 ms") == true)
    #expect(explanation.confirm.contains("busy instances would need 4.34 s, it is said to last 10 s"))
    #expect(explanation.answer.allSatisfy { $0.count <= 80 })
  }

  @Test func queuesAndABusyGPUAreTheGPUs() throws {
    let after = Self.statistics(
      requests: 9_000, executions: 1_800, rows: 450_000, queue: 800_000, infer: 5_000, sizes: [(250, 1_800, 5_000)])
    #expect(ServerExplanation(try window(after, gpu: 0.75, pending: 700)).bottleneck == .gpuBound)
    #expect(ServerExplanation(try window(after, pending: 700)).bottleneck == .instanceBound)
  }

  /// 64 users without think time on one instance with full batches of eight: a queue of seven batches, never more.
  @Test func anInstanceThatIsAlwaysBusyIsTheLimitHoweverShortTheQueue() throws {
    let after = Self.statistics(requests: 1_770, executions: 221, rows: 1_770, queue: 263_000, infer: 45_000, sizes: [(8, 221, 45_000)])
    let configuration = ServerConfiguration(
      try JSONValue.parse(#"{"max_batch_size": 8, "dynamic_batching": {}, "instance_group": [{"count": 1}]}"#))
    let explanation = ServerExplanation(try window(after, configuration: configuration))
    #expect(explanation.bottleneck == .instanceBound && explanation.confidence == .high && !explanation.hasRoomInBatches)
    #expect(explanation.answer.first == "Bottleneck: the model's instances (high confidence): busy 100 % of the time")
    #expect(explanation.answer.contains { $0.contains("177 req/s is all this loop can do") })
    #expect(explanation.confirm.hasPrefix("a second instance"))
  }

  /// Two users, one in the queue and one in the instance: it is busy, but seven of eight places of each batch are not.
  @Test func aBusyInstanceWithBatchesOfOneHasRoomForMoreRequests() throws {
    let after = Self.statistics(requests: 216, executions: 216, rows: 216, queue: 43_400, infer: 46_000, sizes: [(1, 216, 46_000)])
    let configuration = ServerConfiguration(
      try JSONValue.parse(#"{"max_batch_size": 8, "dynamic_batching": {}, "instance_group": [{"count": 1}]}"#))
    let explanation = ServerExplanation(try window(after, configuration: configuration))
    #expect(explanation.bottleneck == .instanceBound && explanation.hasRoomInBatches)
    #expect(explanation.answer.contains { $0.contains("at least 1.0x") })
    #expect(explanation.changes.contains { $0.fix.hasPrefix("more requests at once") })
  }

  @Test func anUnusedServerKeepsUp() throws {
    let after = Self.statistics(
      requests: 9_000, executions: 6_000, rows: 9_000, queue: 900, infer: 200, sizes: [(1, 3_000, 180), (2, 3_000, 220)])
    let configuration = ServerConfiguration(
      try JSONValue.parse(
        #"{"max_batch_size": 64, "dynamic_batching": {"max_queue_delay_microseconds": "1000", "preferred_batch_size": [32]}, "instance_group": [{"count": 1}]}"#
      ))
    let explanation = ServerExplanation(try window(after, gpu: 0.08, configuration: configuration), goalMilliseconds: 100, observed: 0.3)
    #expect(explanation.bottleneck == .loadLimited)
    #expect(explanation.answer.first == "Load-limited (high confidence): the server keeps up with the 900 req/s offered")
    #expect(explanation.changes.contains { $0.fix == "max_queue_delay_microseconds: 0" })
    // No batch ever had 32 rows.
    #expect(explanation.changes.contains { $0.code == "HR123" })
    #expect(explanation.mismatches.count == 1)
    let capacity = try #require(explanation.capacity)
    #expect(capacity.value > 10 * 900)
    #expect(capacity.kind == .estimated)
    #expect(explanation.maximumRateAtGoal.map { $0.figure.value < capacity.value } == true)
  }

  /// Triton answers the largest batch as preferred where none is configured: nothing to drop there.
  @Test func theLargestBatchIsNoPreferredSize() throws {
    func configuration(_ sizes: String) throws -> ServerConfiguration {
      ServerConfiguration(try JSONValue.parse(#"{"max_batch_size": 64, "dynamic_batching": {"preferred_batch_size": \#(sizes)}}"#))
    }
    #expect(try configuration("[64]").preferredBatchSizes.isEmpty)
    #expect(try configuration("[16, 64]").preferredBatchSizes == [16])
  }

  @Test func aPredictionFromThePlanIsComparedWithWhatWasSeen() throws {
    let after = Self.statistics(requests: 9_000, executions: 6_000, rows: 9_000, queue: 100, infer: 200)
    var window = try window(after)
    // 600 batches per second of 117 us: 7 %.
    window.plannedKernelMicroseconds = (117, 0.1)
    #expect(ServerExplanation(window, observed: 0.3).mismatches.first?.contains("observed") == false)
    #expect(ServerExplanation(window, observed: 0.3).mismatches.first?.hasPrefix("nvidia-smi 30 %, predicted 7.0 %") == true)
    #expect(ServerExplanation(window, observed: 0.07).mismatches.isEmpty)
  }

  @Test func countersThatWentBackAndMissingModelsAreErrors() throws {
    let after = Self.statistics(requests: 10, executions: 5, rows: 10, queue: 1, infer: 1)
    func failure(_ before: [ModelStatistics], _ after: [ModelStatistics], seconds: Double = 1, model: String? = nil) -> String {
      do throws(ServerStatisticsError) {
        _ = try ServerWindow(
          before: before, after: after, metricsBefore: nil, metricsAfter: nil, seconds: seconds, model: model, configuration: nil)
        return ""
      } catch { return error.description }
    }
    #expect(failure([after], [Self.zero]).contains("went back"))
    #expect(failure([Self.zero], [after], model: "other").contains("there are: m"))
    #expect(failure([after], [after]).contains("answered no request"))
    #expect(failure([Self.zero], [after], seconds: 0).contains("--observed-seconds"))
  }

  @Test func statisticsOfTheWrongFormAreErrorsThatSayWhat() throws {
    #expect(throws: ServerStatisticsError.self) { try ModelStatistics.all(in: try JSONValue.parse("[]")) }
    #expect(throws: ServerStatisticsError.self) { try ModelStatistics.all(in: try JSONValue.parse(#"{"model_stats":[{}]}"#)) }
    let odd = try ModelStatistics.all(
      in: try JSONValue.parse(
        #"{"model_stats":[{"name":"m","inference_count":1e300,"execution_count":-5,"inference_stats":"x","batch_stats":[{}]}]}"#))
    #expect(odd.first?.executions == 0)
    #expect(odd.first?.inferences == Int64.max)
  }

  @Test func metricsPagesAreReadLineByLine() {
    let page = PrometheusText(
      "# HELP a b\nplain 1\nnv_x{model=\"a,b\",reason=\"q\\\"uote\"} 2.5 1700000000\nbroken{\nnan NaN\n{} 3\n\n"
        + String(repeating: "x", count: 10_000))
    #expect(page.samples.map(\.name) == ["plain", "nv_x", "nan"])
    #expect(page.samples[1].labels == ["model": "a,b", "reason": "q\"uote"])
    #expect(page.sum("plain") == 1)
    #expect(page.sum("nan") == nil)
    #expect(page.unreadable == 3)
  }

  /// A real Triton, where its files are at hand: what its GPU's counters said meanwhile decides.
  @Test(
    .enabled(if: Files.kind(of: "../shared/gpu/triton-h200") == .folder),
    arguments: [
      ("linear-u3000-r50", 6.002, ServerExplanation.Bottleneck.noPipelining), ("seqlen-u1000-r50", 6.002, .gpuBound),
      ("seqlen-python", 9.002, .gpuBound),
      ("linear-python", 9.004, .loadLimited), ("linear-u1000-r1", 6.002, .loadLimited),
    ])
  func aRealTritonsStatisticsSayWhatItsCountersSaid(run: String, seconds: Double, bottleneck: ServerExplanation.Bottleneck) throws {
    let base = "../shared/gpu/triton-h200/\(run)"
    func statistics(_ end: String) throws -> [ModelStatistics] {
      try ModelStatistics.all(in: try JSONValue.parse(try Files.readText("\(base)-\(end)-stats.json")))
    }
    let window = try ServerWindow(
      before: try statistics("before"), after: try statistics("after"),
      metricsBefore: PrometheusText(try Files.readText("\(base)-before-metrics.txt")),
      metricsAfter: PrometheusText(try Files.readText("\(base)-after-metrics.txt")), seconds: seconds, model: nil, configuration: nil)
    #expect(ServerExplanation(window).bottleneck == bottleneck)
  }
}
