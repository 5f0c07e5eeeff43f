import CheckedNumbers
public import Diagnosis
public import GPUModel
public import Trace

/// What a load generator measured while the program ran, with or without the profiler.
public struct KnownLoad: Sendable, Hashable {
  /// Which tool.
  public var tool: String
  /// Responses a second.
  public var requestsPerSecond: Double
  /// Mean latency, milliseconds; nil where unknown.
  public var meanMilliseconds: Double?
  /// Whether the generator itself was the limit, as it says; nil where it does not.
  public var isClientBound: Bool?
  /// Sent on a schedule of its own, whatever came back; nil where unknown.
  public var isOpen: Bool?

  /// A result.
  public init(tool: String, requestsPerSecond: Double, meanMilliseconds: Double? = nil, isClientBound: Bool? = nil, isOpen: Bool? = nil) {
    self.tool = tool
    self.requestsPerSecond = requestsPerSecond
    self.meanMilliseconds = meanMilliseconds
    self.isClientBound = isClientBound
    self.isOpen = isOpen
  }

  /// As printed: "1,151 req/s at 410 ms (locust)".
  public var text: String {
    let rate = NumberInWords.short(requestsPerSecond)
    return "\(rate) req/s" + (meanMilliseconds.map { " at \(NumberInWords.milliseconds($0))" } ?? "") + " (\(tool))"
  }
}

/// What is known beside a trace.
public struct TraceContext: Sendable {
  /// Steps a second without the profiler.
  public var rate: Double?
  /// Where the rate comes from.
  public var rateSource = "--rate"
  /// Steps in the trace; nil to find them by the kernels' counts.
  public var steps: Double?
  /// The GPU, where the trace does not name it or names it wrongly.
  public var gpu: GPU?
  /// Part of the trace, nanoseconds on its clock.
  public var window: Range<Int64>?
  /// Only this device.
  public var device: Int64?
  /// What a load generator measured.
  public var load: KnownLoad?
  /// Requests of a step, where the rate comes from a load result: a batch carries several.
  public var requestsPerStep = 1.0
  /// What somebody saw: "gpu-util" and the like, 0...1.
  public var observed: [PredictedCounter.Counter: Double] = [:]

  /// Nothing is known.
  public init() {}
}

/// From a trace and what is known beside it to one value that terminal, page and JSON print.
public struct TraceExplanation: Sendable {
  /// The file, or what stands for it.
  public var name: String
  /// Devices that did something, by ordinal.
  public var devices: [DeviceExplanation]
  /// Verdict of each.
  public var verdicts: [TraceVerdict]
  /// Findings of each.
  public var findings: [TraceFindings]
  /// The device whose verdict comes first: the one with the most work.
  public var main: Int
  /// What the reader should know: rows left out, what the capture says of itself.
  public var notes: [String]
  /// Whether the times are simulated.
  public var isSimulated: Bool
  /// What the trace holds beside device work.
  public var contents: Contents
  /// What counters showed, where somebody said so, against what is predicted.
  public var mismatches: [Mismatch]
  /// What a load generator measured, where that is known.
  public var load: KnownLoad?

  /// Rows by table.
  public struct Contents: Sendable, Hashable {
    /// CUDA calls.
    public var apiCalls: Int
    /// Calls that launch kernels or graphs.
    public var launches: Int
    /// OS calls.
    public var osCalls: Int
    /// Ranges.
    public var ranges: Int
    /// Requests.
    public var requests: Int
    /// Threads that call CUDA.
    public var threads: Int
    /// Processes.
    public var processes: Int
  }

  /// A figure that somebody saw and that the trace does not predict.
  public struct Mismatch: Sendable, Hashable {
    /// Which.
    public var counter: PredictedCounter.Counter
    /// As seen, 0...1.
    public var observed: Double
    /// As predicted.
    public var predicted: Figure
  }

  /// Explains a trace.
  ///
  /// - Parameter progress: told what is being done; reading and analysing a gigabyte takes seconds.
  public init(of trace: Trace, name: String, context: TraceContext = TraceContext(), progress: (String) -> Void = { _ in }) {
    self.name = name
    isSimulated = trace.run["kind"] == "simulated"
    let kind: Figure.Kind = isSimulated ? .simulated : .measured
    progress("joining launches and kernels")
    let host = HostActivity(of: trace)
    var activities = DeviceActivity.all(of: trace, window: context.window)
    if let device = context.device { activities = activities.filter { $0.ordinal == device } }
    let launches = host.launchCount(trace)
    contents = Contents(
      apiCalls: trace.apiCalls.count, launches: launches, osCalls: trace.osCalls.count, ranges: trace.ranges.count,
      requests: trace.requests.count, threads: host.threads.count,
      processes: Set(trace.streams.map(\.process) + host.threads.keys.map(GlobalID.process(ofThread:))).count)
    progress("attributing idle time")
    load = context.load
    let rate = context.rate ?? context.load.map { $0.requestsPerSecond / max(1e-9, context.requestsPerStep) }
    devices = activities.map { activity in
      DeviceExplanation(
        activity, trace: trace, host: host, facts: DeviceFacts(activity.gpu, named: context.gpu), rate: rate, steps: context.steps,
        launches: launches, kind: kind)
    }
    verdicts = devices.map { device in
      var verdict = TraceVerdict(device)
      if let load = context.load { verdict.weigh(load) }
      return verdict
    }
    let busy = devices.map(\.busy.device)
    main = busy.indices.max { left, right in (busy[left], right) < (busy[right], left) } ?? 0
    progress("replaying")
    let graph = context.window == nil && context.device == nil ? ReplayGraph(of: trace, host: host, devices: activities) : nil
    mismatches = []
    notes = []
    findings = []
    for (device, verdict) in zip(devices, verdicts) { findings.append(TraceFindings(device, verdict: verdict, graph: graph)) }
    addNotes(trace, context)
    if devices.indices.contains(main) {
      for (counter, seen) in context.observed.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
        guard let figure = devices[main].counters[counter], let interval = figure.interval else { continue }
        if seen < interval.lowerBound * 0.75 - 0.02 || seen > interval.upperBound * 1.33 + 0.02 {
          mismatches.append(Mismatch(counter: counter, observed: seen, predicted: figure))
        }
      }
    }
  }

  private mutating func addNotes(_ trace: Trace, _ context: TraceContext) {
    for device in devices {
      if device.discarded > 0 {
        notes.append("\(device.name): \(device.discarded) rows left out: they end before they start, or at no time of a clock")
      }
      let events = device.busy.kernels + device.busy.copies
      if device.unlinked > 0 {
        notes.append("\(device.name): \(device.unlinked) of \(events) kernels and copies have no launch in the trace; they count as busy")
      }
      if device.facts.smCount == nil, device.busy.kernels > 0 { notes.append("\(device.name): SM fill \(device.facts.source)") }
      if context.rate != nil || context.load != nil, device.counters.rate == nil, device.busy.kernels > 0 {
        notes.append(
          "\(device.name): the steps in the trace could not be told from the kernels' counts, so the rate was not used: give --steps or --requests-per-step"
        )
      }
    }
    if trace.graphExecutions.count > 0 {
      notes.append(
        "\(trace.graphExecutions.count) CUDA graphs are recorded as one event each: inside them busy is an upper bound and SM fill unknown; record nodes with nsys profile --cuda-graph-trace=node"
      )
    }
    for row in 0..<min(trace.diagnostics.count, 1000) where trace.diagnostics.severity[row] >= 2 {
      if notes.count >= 20 { break }
      if let text = trace.names[trace.diagnostics.text[row]] { notes.append(String(text.prefix(300))) }
    }
  }

  /// The main device's explanation; nil where nothing ran on a GPU.
  public var device: DeviceExplanation? { devices.indices.contains(main) ? devices[main] : nil }
  /// Its verdict.
  public var verdict: TraceVerdict? { verdicts.indices.contains(main) ? verdicts[main] : nil }

  /// Why there is no verdict; nil where there is one.
  public var refusal: String? {
    if device != nil { return nil }
    if contents.apiCalls > 0 { return "no GPU work in the trace: \(contents.apiCalls) CUDA calls and no kernel, copy or fill" }
    if contents.osCalls + contents.ranges > 0 {
      return "no GPU work in the trace: \(contents.ranges) ranges, \(contents.osCalls) OS calls and no CUDA at all"
    }
    return "the trace is empty"
  }
}
