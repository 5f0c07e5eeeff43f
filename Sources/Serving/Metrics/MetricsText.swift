import CheckedNumbers
import Execution
import KServe
import Threads
import TimeBase
import Scheduling
import Threads
import Vocabulary

extension InferenceServer {
  /// Every series in Prometheus' text format, as it is now; `live`: what the diagnosis of the last seconds adds.
  public func metricsPage(live: [LiveMetrics] = []) -> String { MetricsText.text(self, live) }
}

/// Prometheus' text format (prometheus/docs `content/docs/instrumenting/exposition_formats.md`): Triton's series under their names, and ours.
enum MetricsText {
  static func text(_ server: InferenceServer, _ live: [LiveMetrics] = []) -> String {
    let models = server.manager.table.allReady
    let values = models.map { ($0, $0.counters.current) }
    var page = MetricsPage()
    build(version: server.options.version, server.device, &page)
    triton(values, server.options.metrics, &page)
    host(server, &page)
    own(values, server, &page)
    diagnosis(live, &page)
    return page.text
  }

  /// What runs here; on a simulated device said in a comment too, for whoever reads the page itself.
  static func build(version: String, _ device: DeviceDescription, _ page: inout MetricsPage) {
    if device.isSimulated {
      page.comment("SIMULATED: device \(device.name) is a model of a GPU in real time; no GPU runs here, and outputs are zero")
    }
    page.family("headroom_build_info", .gauge, "What runs here; simulated: the device is a model of one. Always 1.")
    page.sample(
      "headroom_build_info",
      [("version", version), ("device", device.name), ("simulated", device.isSimulated ? "true" : "false")], 1)
  }

  /// What only the live diagnosis knows; a family without a model in it is left out.
  private static func diagnosis(_ live: [LiveMetrics], _ page: inout MetricsPage) {
    if live.contains(where: { $0.verdict != nil }) {
      page.family("headroom_verdict", .gauge, "What limits the model now, by the live diagnosis: 1 for the kind that holds.")
      for model in live {
        guard let verdict = model.verdict else { continue }
        page.sample("headroom_verdict", [("model", model.model), ("version", model.version), ("kind", verdict)], 1)
      }
    }
    if live.contains(where: { $0.maximum != nil }) {
      page.family(
        "headroom_requests_per_second_max", .gauge,
        "Highest request rate that holds the latency goal, by a simulation fitted to the last seconds; no load is sent for it.")
      for model in live {
        guard let maximum = model.maximum else { continue }
        page.sample(
          "headroom_requests_per_second_max", [("model", model.model), ("version", model.version), ("slo", maximum.goal)],
          maximum.requestsPerSecond)
      }
    }
  }

  /// Names, kinds and help texts' subjects: core `src/metrics.cc`; a counter without `_total` is Triton's.
  private static func triton(_ models: [(ServedModel, ModelCounters.Values)], _ settings: MetricsSettings, _ page: inout MetricsPage) {
    func each(_ name: String, _ kind: MetricsPage.Kind, _ help: String, _ value: (ServedModel, ModelCounters.Values) -> Double) {
      page.family(name, kind, help)
      for (model, values) in models { page.sample(name, labels(model), value(model, values)) }
    }
    each("nv_inference_request_success", .counter, "Number of successful inference requests, all batch sizes") {
      Double($1.statistics.success.count)
    }
    page.family("nv_inference_request_failure", .counter, "Number of failed inference requests, all batch sizes")
    for (model, values) in models {
      for reason in ModelCounters.FailureReason.allCases {
        page.sample(
          "nv_inference_request_failure", [("model", model.name), ("reason", reason.rawValue), ("version", model.versionText)],
          Double(values.failures[reason] ?? 0))
      }
    }
    each("nv_inference_count", .counter, "Number of inferences performed (does not include cached requests)") {
      Double($1.statistics.inferenceCount)
    }
    each("nv_inference_exec_count", .counter, "Number of model executions performed (does not include cached requests)") {
      Double($1.statistics.executionCount)
    }
    if settings.hasCounterLatencies {
      each("nv_inference_request_duration_us", .counter, "Cumulative inference request duration in microseconds (includes cached requests)")
      {
        microseconds($1.statistics.success)
      }
      each("nv_inference_queue_duration_us", .counter, "Cumulative inference queuing duration in microseconds (includes cached requests)") {
        microseconds($1.statistics.queue)
      }
      each(
        "nv_inference_compute_input_duration_us", .counter,
        "Cumulative compute input duration in microseconds (does not include cached requests)"
      ) {
        microseconds($1.statistics.computeInput)
      }
      each(
        "nv_inference_compute_infer_duration_us", .counter,
        "Cumulative compute inference duration in microseconds (does not include cached requests)"
      ) {
        microseconds($1.statistics.computeInfer)
      }
      each(
        "nv_inference_compute_output_duration_us", .counter,
        "Cumulative inference compute output duration in microseconds (does not include cached requests)"
      ) {
        microseconds($1.statistics.computeOutput)
      }
    }
    each("nv_inference_pending_request_count", .gauge, "Instantaneous number of pending requests awaiting execution per-model.") {
      model, _ in
      Double(model.counters.pendingRequests)
    }
    each("nv_model_load_duration_secs", .gauge, "Model load time in seconds") { $1.loadSeconds }
  }

  private static func host(_ server: InferenceServer, _ page: inout MetricsPage) {
    let host = server.host.read()
    func one(_ name: String, _ help: String, _ value: Double) {
      page.family(name, .gauge, help)
      page.sample(name, [], value)
    }
    one("nv_cpu_utilization", "CPU utilization rate [0.0 - 1.0]", host.utilization)
    one("nv_cpu_memory_total_bytes", "CPU total memory (RAM), in bytes", host.totalMemory)
    one("nv_cpu_memory_used_bytes", "CPU used memory (RAM), in bytes", host.usedMemory)
    // No GPU, no page-locked pool: what a dashboard asks for is there, and says none.
    one("nv_pinned_memory_pool_total_bytes", "Pinned memory pool total memory size, in bytes", 0)
    one("nv_pinned_memory_pool_used_bytes", "Pinned memory pool used memory size, in bytes", 0)
  }

  private static func own(_ models: [(ServedModel, ModelCounters.Values)], _ server: InferenceServer, _ page: inout MetricsPage) {
    for (index, phase) in ModelCounters.Phase.allCases.enumerated() where server.options.metrics.hasHistogramLatencies {
      let name = "headroom_\(phase.rawValue)_seconds"
      page.family(name, .histogram, "Time that successful requests spent in the phase: \(words(phase)).")
      for (model, values) in models {
        page.histogram(
          name, labels(model), values.phases[index].counts, LatencyHistogram.bounds, sum: Double(values.phases[index].sumNanoseconds) / 1e9)
      }
    }
    page.family("headroom_batch_rows", .histogram, "Rows of executed batches.")
    for (model, values) in models {
      page.histogram(
        "headroom_batch_rows", labels(model), values.batchRows.counts, SizeHistogram.bounds.map(Double.init),
        sum: Double(values.batchRows.sum))
    }
    page.family("headroom_batches_dispatched_total", .counter, "Batches by dispatch reason.")
    for (model, values) in models {
      for reason in DispatchReason.allCases {
        page.sample(
          "headroom_batches_dispatched_total", [("model", model.name), ("reason", snake(reason.rawValue)), ("version", model.versionText)],
          Double(values.dispatchReasons[reason] ?? 0))
      }
    }
    page.family("headroom_queued_requests", .gauge, "Requests that wait in the queue.")
    for (model, _) in models { page.sample("headroom_queued_requests", labels(model), Double(model.queue.depth.requests)) }
    page.family("headroom_queued_rows", .gauge, "Rows that wait in the queue.")
    for (model, _) in models { page.sample("headroom_queued_rows", labels(model), Double(model.queue.depth.rows)) }
    page.family(
      "headroom_instance_busy_seconds_total", .counter, "Time that the model's instances spent on batches, from gathering to response.")
    for (model, values) in models {
      page.sample("headroom_instance_busy_seconds_total", labels(model), Double(values.busyNanoseconds) / 1e9)
    }
    page.family(
      "headroom_idle_seconds_total", .counter,
      "Time in which the device did not compute for an instance, by cause: no request waited, batching delay, host overhead between batches."
    )
    for (model, values) in models {
      let idle = model.queue.idleTimes
      for (cause, nanoseconds) in [
        ("no_requests", idle.noRequestsNanoseconds), ("batching_delay", idle.batchingDelayNanoseconds),
        ("host_overhead", values.hostOverheadNanoseconds),
      ] {
        page.sample(
          "headroom_idle_seconds_total", [("model", model.name), ("version", model.versionText), ("cause", cause)],
          Double(nanoseconds) / 1e9)
      }
    }
    page.family("headroom_instances", .gauge, "Instances of the model.")
    for (model, _) in models { page.sample("headroom_instances", labels(model), Double(model.instanceCount)) }
    page.family("headroom_saturation_ratio", .gauge, "Share of the model's instances that are at work now: 0 to 1.")
    for (model, _) in models {
      page.sample(
        "headroom_saturation_ratio", labels(model), 1 - Double(model.queue.depth.readyInstances) / Double(max(1, model.instanceCount)))
    }
    page.family("headroom_gathered_bytes_total", .counter, "Bytes copied from request buffers into batch slots.")
    for (model, values) in models { page.sample("headroom_gathered_bytes_total", labels(model), Double(values.bytesGathered)) }
    page.family("headroom_uptime_seconds", .gauge, "Time since the server started.")
    page.sample("headroom_uptime_seconds", [], (MonotonicClock.now - server.started).seconds)
  }

  private static func labels(_ model: ServedModel) -> [(String, String)] { [("model", model.name), ("version", model.versionText)] }
  private static func microseconds(_ duration: DurationCount) -> Double { (Double(duration.nanoseconds) / 1000).rounded(.down) }

  private static func words(_ phase: ModelCounters.Phase) -> String {
    switch phase {
    case .request: "from acceptance to response"
    case .queue: "waiting in the queue"
    case .computeInput: "gathering inputs"
    case .computeInfer: "computing"
    case .computeOutput: "splitting outputs into responses"
    }
  }

  /// "preferredSize" -> "preferred_size".
  private static func snake(_ name: String) -> String {
    name.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
  }
}

/// Writes the format.
struct MetricsPage {
  enum Kind: String { case counter, gauge, histogram }

  private(set) var text = ""

  mutating func family(_ name: String, _ kind: Kind, _ help: String) { text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n" }

  /// A line for people: scrapers skip it.
  mutating func comment(_ text: String) { self.text += "# \(text)\n" }

  mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
    text += name
    if !labels.isEmpty { text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}" }
    text += " \(Self.number(value))\n"
  }

  /// `counts` are per bucket, the last above every bound; they are printed cumulated.
  mutating func histogram(_ name: String, _ labels: [(String, String)], _ counts: [UInt64], _ bounds: [Double], sum: Double) {
    var total: UInt64 = 0
    for (index, count) in counts.enumerated() {
      total += count
      sample("\(name)_bucket", labels + [("le", index < bounds.count ? Self.number(bounds[index]) : "+Inf")], Double(total))
    }
    sample("\(name)_sum", labels, sum)
    sample("\(name)_count", labels, Double(total))
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(saturating: value)) : "\(value)"
  }

  private static func escaped(_ value: String) -> String {
    value.reduce(into: "") { $0 += $1 == "\\" ? "\\\\" : $1 == "\"" ? "\\\"" : $1 == "\n" ? "\\n" : String($1) }
  }
}
