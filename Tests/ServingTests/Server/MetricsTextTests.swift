import Execution
import KServe
import NIOCore
import Testing
import TimeBase

@testable import Serving

/// The format itself: prometheus/docs `content/docs/instrumenting/exposition_formats.md`.
@Suite struct MetricsPageTests {
  @Test func aFamilyIsItsHelpItsTypeAndItsSamples() {
    var page = MetricsPage()
    page.family("a_total", .counter, "Things.")
    page.sample("a_total", [("model", "m"), ("version", "1")], 3)
    page.sample("a_total", [], 0.5)
    #expect(page.text == "# HELP a_total Things.\n# TYPE a_total counter\na_total{model=\"m\",version=\"1\"} 3\na_total 0.5\n")
  }

  @Test func labelsAreEscaped() {
    var page = MetricsPage()
    page.sample("a", [("model", "q\"b\\s\nn")], 1)
    #expect(page.text == "a{model=\"q\\\"b\\\\s\\nn\"} 1\n")
  }

  @Test(
    arguments: [
      (0, "0"), (-2, "-2"), (1e14, "100000000000000"), (1e15, "1000000000000000.0"), (1e16, "1e+16"), (0.25, "0.25"), (-0.0, "0"),
      (123_456_789, "123456789"),
    ] as [(Double, String)])
  func wholeNumbersAreWrittenWhole(value: Double, text: String) {
    var page = MetricsPage()
    page.sample("a", [], value)
    #expect(page.text == "a \(text)\n")
  }

  /// Buckets count everything up to their bound, the last one everything.
  @Test func histogramsAreCumulated() {
    var page = MetricsPage()
    page.histogram("h", [("model", "m")], [2, 0, 3, 4], [0.1, 1, 10], sum: 55.5)
    #expect(
      page.text == """
        h_bucket{model="m",le="0.1"} 2
        h_bucket{model="m",le="1"} 2
        h_bucket{model="m",le="10"} 5
        h_bucket{model="m",le="+Inf"} 9
        h_sum{model="m"} 55.5
        h_count{model="m"} 9

        """)
  }
}

@Suite struct HistogramTests {
  @Test func aDurationFallsIntoTheFirstBucketThatHoldsIt() {
    var histogram = LatencyHistogram()
    // 10 us is the first bound and belongs to it.
    for nanoseconds in [0, 10_000, 10_001, 20_000, 10_000_000_000, 10_000_000_001] as [Int64] { histogram.add(nanoseconds) }
    histogram.add(1_000_000, times: 5)
    #expect(histogram.counts[0] == 2 && histogram.counts[1] == 2)
    #expect(histogram.counts[LatencyHistogram.bounds.count - 1] == 1 && histogram.counts[LatencyHistogram.bounds.count] == 1)
    #expect(histogram.counts[LatencyHistogram.bounds.firstIndex(of: 0.001) ?? 0] == 5)
    #expect(histogram.count == 11)
    #expect(histogram.sumNanoseconds == 20_005_040_002)
  }

  @Test func rowsFallIntoPowersOfTwo() {
    var histogram = SizeHistogram()
    for rows in [1, 2, 3, 4, 4096, 4097, 0] { histogram.add(rows) }
    #expect(histogram.counts[0] == 2 && histogram.counts[1] == 1 && histogram.counts[2] == 2)
    #expect(histogram.counts[12] == 1 && histogram.counts[13] == 1)
    #expect(histogram.sum == 1 + 2 + 3 + 4 + 4096 + 4097)
  }
}

/// The page of a server: every series once, with what its models did.
@Suite struct MetricsTextTests {
  /// Samples by name and labels, as they are printed.
  private struct Page {
    var types: [String: String] = [:]
    var helped: Set<String> = []
    var samples: [String: Double] = [:]
    var order: [String] = []
    var faults: [String] = []
    var comments: [String] = []

    init(_ text: String) {
      if !text.hasSuffix("\n") { faults.append("the last line does not end") }
      for line in text.split(separator: "\n") {
        let words = line.split(separator: " ")
        if line.hasPrefix("# TYPE ") {
          if types.updateValue(String(words[3]), forKey: String(words[2])) != nil { faults.append("twice: \(line)") }
          if !helped.contains(String(words[2])) { faults.append("no help before: \(line)") }
          order.append(String(words[2]))
        } else if line.hasPrefix("# HELP ") {
          if !helped.insert(String(words[2])).inserted { faults.append("twice: \(line)") }
          if words.count < 4 { faults.append("no text: \(line)") }
        } else if line.hasPrefix("# SIMULATED: ") {
          comments.append(String(line))
        } else if let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) {
          let series = String(line[..<space])
          if samples.updateValue(value, forKey: series) != nil { faults.append("twice: \(line)") }
          let name = String(series.prefix { $0 != "{" })
          let family = order.last ?? ""
          let isOfFamily = name == family || ["_bucket", "_sum", "_count"].contains { name == family + $0 } && types[family] == "histogram"
          if !isOfFamily { faults.append("not of the family before: \(line)") }
        } else {
          faults.append("neither comment nor sample: \(line)")
        }
      }
    }

    subscript(name: String, model: String) -> Double? { samples["\(name){model=\"\(model)\",version=\"1\"}"] }
  }

  private static func fixture(_ change: (inout InferenceServer.Options) -> Void = { _ in }) throws -> ServerFixture {
    try ServerFixture(["one": ServerFixture.identity("one"), "two": ServerFixture.identity("two")], change)
  }

  @Test func everySeriesIsOfOneFamilyAndCountsWhatItsModelDid() async throws {
    let fixture = try Self.fixture()
    for rows in [1, 2, 8] { #expect(await fixture.infer("one", Array(repeating: 1, count: 4 * rows)).problem == nil) }
    let refused = await fixture.infer(ServerFixture.request("one", Array(repeating: 1, count: 36)))
    #expect(refused.problem != nil)
    let page = Page(MetricsText.text(fixture.server))
    #expect(page.faults == [])
    #expect(Set(page.types.keys) == page.helped)
    #expect(page["nv_inference_request_success", "one"] == 3)
    #expect(page["nv_inference_request_success", "two"] == 0)
    #expect(page["nv_inference_count", "one"] == 11)
    #expect(page["nv_inference_exec_count", "one"] == 3)
    #expect(page["nv_inference_pending_request_count", "one"] == 0)
    #expect(page["headroom_instances", "one"] == 1)
    #expect(page["headroom_queued_requests", "one"] == 0 && page["headroom_queued_rows", "one"] == 0)
    #expect(page["headroom_saturation_ratio", "one"] == 0)
    #expect(page["headroom_gathered_bytes_total", "one"] == 176)
    #expect((page["headroom_instance_busy_seconds_total", "one"] ?? 0) > 0)
    #expect(page.samples["headroom_batch_rows_bucket{model=\"one\",version=\"1\",le=\"2\"}"] == 2)
    #expect(page.samples["headroom_batch_rows_sum{model=\"one\",version=\"1\"}"] == 11)
    for phase in ["request", "queue", "compute_input", "compute_infer", "compute_output"] {
      let name = "headroom_\(phase)_seconds"
      #expect(page.samples["\(name)_count{model=\"one\",version=\"1\"}"] == 3, "\(name)")
      #expect(page.samples["\(name)_bucket{model=\"one\",version=\"1\",le=\"+Inf\"}"] == 3)
      // The same time under the reference server's name and unit.
      let counter = page["nv_inference_\(phase)_duration_us", "one"] ?? -1
      #expect(abs(counter / 1e6 - (page.samples["headroom_\(phase)_seconds_sum{model=\"one\",version=\"1\"}"] ?? -2)) < 2e-6)
    }
    let dispatchReasons = page.samples.filter { $0.key.hasPrefix("headroom_batches_dispatched_total{model=\"one\"") }
    #expect(dispatchReasons.values.reduce(0, +) == 3 && dispatchReasons.keys.contains { $0.contains("reason=\"preferred_size\"") })
    for reason in ["REJECTED", "CANCELED", "BACKEND", "OTHER"] {
      #expect(page.samples["nv_inference_request_failure{model=\"two\",reason=\"\(reason)\",version=\"1\"}"] == 0)
    }
    for name in ["nv_cpu_utilization", "nv_cpu_memory_total_bytes", "headroom_uptime_seconds", "nv_pinned_memory_pool_total_bytes"] {
      #expect((page.samples[name] ?? -1) >= 0)
    }
  }

  @Test func latenciesAreLeftOutAsChosen() throws {
    let both = Page(MetricsText.text(try Self.fixture().server)).types
    let none = Page(
      MetricsText.text(
        try Self.fixture {
          $0.metrics.hasCounterLatencies = false
          $0.metrics.hasHistogramLatencies = false
        }.server)
    ).types
    let gone = Set(both.keys).subtracting(none.keys)
    #expect(gone.count == 10)
    #expect(
      gone.allSatisfy {
        $0.hasPrefix("nv_inference_") && $0.hasSuffix("_duration_us") || $0.hasPrefix("headroom_") && $0.hasSuffix("_seconds")
      })
    let counters = Page(MetricsText.text(try Self.fixture { $0.metrics.hasHistogramLatencies = false }.server)).types
    #expect(counters["nv_inference_queue_duration_us"] == "counter" && counters["headroom_queue_seconds"] == nil)
  }

  /// A time has one series: the reference server's names are for what it has.
  @Test func noDurationIsGivenTwice() throws {
    let names = Page(MetricsText.text(try Self.fixture().server)).types
    #expect(names.keys.allSatisfy { !$0.hasSuffix("_duration_histogram_us") })
    #expect(names["headroom_request_seconds"] == "histogram")
  }

  /// Whoever reads the page sees what it is of.
  @Test func theBuildSaysWhetherTheDeviceIsAModelOfOne() throws {
    let real = Page(MetricsText.text(try Self.fixture { $0.version = "1.2" }.server))
    let series = real.samples.filter { $0.key.hasPrefix("headroom_build_info{") }
    #expect(series.count == 1 && series.values.first == 1 && real.comments == [])
    #expect(series.keys.first?.contains("version=\"1.2\"") == true && series.keys.first?.contains("simulated=\"false\"") == true)
    var page = MetricsPage()
    MetricsText.build(
      version: "1", DeviceDescription(name: "sim:l40s", deviceClass: .simulatedGPU, hardware: "L40S", computeUnits: 142, memoryBytes: 0),
      &page)
    let simulated = Page(page.text)
    #expect(simulated.faults == [] && simulated.comments.count == 1 && simulated.comments[0].contains("sim:l40s"))
    #expect(simulated.samples["headroom_build_info{version=\"1\",device=\"sim:l40s\",simulated=\"true\"}"] == 1)
  }

  /// Idle instances: one that never got a request has idled for one reason alone.
  @Test func idleTimeStandsUnderItsCause() async throws {
    let fixture = try Self.fixture()
    #expect(await fixture.infer("one", [1, 2, 3, 4]).problem == nil)
    let page = Page(MetricsText.text(fixture.server))
    func idle(_ model: String, _ cause: String) -> Double {
      page.samples["headroom_idle_seconds_total{model=\"\(model)\",version=\"1\",cause=\"\(cause)\"}"] ?? -1
    }
    #expect(page.types["headroom_idle_seconds_total"] == "counter")
    #expect(idle("one", "no_requests") > 0 && idle("one", "batching_delay") >= 0 && idle("one", "host_overhead") > 0)
    #expect(idle("two", "no_requests") > 0 && idle("two", "batching_delay") == 0 && idle("two", "host_overhead") == 0)
  }

  @Test func theDiagnosisStandsBesideTheCounters() throws {
    let server = try Self.fixture().server
    let page = Page(
      MetricsText.text(
        server,
        [
          LiveMetrics(
            model: "one", version: "1", verdict: "batching_bound",
            maximum: LiveMetrics.Maximum(goal: "p99<100ms", requestsPerSecond: 1234.5)),
          LiveMetrics(model: "two", version: "1", verdict: "inconclusive"),
        ]))
    #expect(page.faults == [])
    #expect(page.samples["headroom_verdict{model=\"one\",version=\"1\",kind=\"batching_bound\"}"] == 1)
    #expect(page.samples["headroom_verdict{model=\"two\",version=\"1\",kind=\"inconclusive\"}"] == 1)
    #expect(page.samples["headroom_requests_per_second_max{model=\"one\",version=\"1\",slo=\"p99<100ms\"}"] == 1234.5)
    #expect(Page(MetricsText.text(server)).types["headroom_verdict"] == nil)
  }
}
