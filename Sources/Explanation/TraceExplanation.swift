import CheckedNumbers
public import Diagnosis
public import GPUModel
import Reporting
import TimeBase
public import Trace
public import TraceFormats

/// What a load generator measured while the program ran, with or without the profiler.
public struct KnownLoad: Sendable, Hashable {
  /// Which tool.
  public var tool: String
  /// Responses per second.
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
  /// Parts of the trace, nanoseconds on its clock, in order and apart; nil for all of it.
  public var windows: [Range<Int64>]?
  /// What they are, as printed: `range "decode", 12 times`.
  public var windowText: String?
  /// Only this device.
  public var device: Int64?
  /// Only this process's work: its global id.
  public var process: Int64?
  /// What a load generator measured.
  public var load: KnownLoad?
  /// Requests of a step, where the rate comes from a load result: a batch carries several. Nil for those of the trace's batches, else one.
  public var requestsPerStep: Double?
  /// What somebody saw: "gpu-util" and the like, 0...1.
  public var observed: [PredictedCounter.Counter: Double] = [:]
  /// How the clock of the requests was joined with the trace's, where they come from a file of their own.
  public var requestClock: ClockJoin?
  /// What was passed over of that file.
  public var requestNotes: [String] = []
  /// What counters and the driver said.
  public var metrics: GPUMetrics?
  /// The server's statistics over a window of the same load.
  public var server: ServerWindow?
  /// The model that ran.
  public var model: ModelBesideTrace?
  /// The reader of the file has its own notes on rows without launches, devices without facts and graphs without nodes.
  public var hasImportNotes = false
  /// The file is damaged or ends early: what was not read may say otherwise.
  public var isDamaged = false

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
  /// Where requests were while the main device worked and idled, where the trace or a file beside it says so.
  public var requests: RequestUse?
  /// How their clock was joined with the trace's.
  public var requestClock: ClockJoin?
  /// What counters and the driver said of the main device.
  public var metrics: GPUMetrics?
  /// The model that ran.
  public var model: ModelUse?
  /// Steps in the trace, where they were given.
  public var steps: Double?
  /// The part of the trace that is explained; nil for all of it.
  public var windowText: String?
  /// Where the trace came from: a value of `TraceFileFormat`; nil where not recorded.
  public var source: String?

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
    /// Operators that a framework recorded on the host.
    public var operators = 0
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
    let (windows, process) = (context.windows, context.process)
    windowText = context.windowText
    source = trace.run["source"]
    let isLarge = trace.apiCalls.count + trace.kernels.count > ConcurrentPair.minimumRows
    var (activities, host) = ConcurrentPair.run(concurrently: isLarge) {
      DeviceActivity.all(of: trace, windows: windows, process: process)
    } _: {
      HostActivity(of: trace)
    }
    if let device = context.device { activities = activities.filter { $0.ordinal == device } }
    let launches = host.launchCount(trace)
    contents = Contents(
      apiCalls: trace.apiCalls.count, launches: launches, osCalls: trace.osCalls.count, ranges: trace.ranges.count,
      operators: trace.operators.count, requests: trace.requests.count, threads: host.threads.count,
      processes: Set(trace.streams.map(\.process) + host.threads.keys.map(GlobalID.process(ofThread:))).count)
    progress("attributing idle time")
    load = context.load
    steps = context.steps
    let perBatch = trace.batches.isEmpty ? 1 : max(1, Double(trace.requests.count) / Double(trace.batches.count))
    let rate = context.rate ?? context.load.map { $0.requestsPerSecond / max(1e-9, context.requestsPerStep ?? perBatch) }
    let firstCall = trace.apiCalls.isEmpty ? nil : trace.names[trace.apiCalls.name[0]]
    devices = activities.map { activity in
      DeviceExplanation(
        activity, trace: trace, host: host, facts: DeviceFacts(activity.gpu, named: context.gpu, firstCall: firstCall), rate: rate,
        steps: context.steps, launches: launches, kind: kind)
    }
    verdicts = devices.map(TraceVerdict.init)
    let busy = devices.map(\.busy.device)
    main = busy.indices.max { left, right in (busy[left], right) < (busy[right], left) } ?? 0
    notes = context.requestNotes
    mismatches = []
    findings = []
    weigh(trace, activities, context)
    if context.isDamaged { for index in verdicts.indices { verdicts[index].weighDamage() } }
    progress("replaying")
    let graph =
      windows == nil && context.device == nil && process == nil ? ReplayGraph(of: trace, host: host, devices: activities) : nil
    for (index, (device, verdict)) in zip(devices, verdicts).enumerated() {
      findings.append(
        TraceFindings(
          device, verdict: verdict, graph: graph, requests: index == main ? requests : nil, metrics: index == main ? metrics : nil,
          model: index == main ? model : nil, load: load))
    }
    addNotes(trace, context)
    if let windows, let note = Self.lateWorkNote(trace, host, activities, windows) { notes.append(note) }
    if devices.indices.contains(main) {
      let observed = (metrics?.shares ?? [:]).merging(context.observed) { _, told in told }
      for (counter, seen) in observed.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
        guard let figure = devices[main].counters[counter], let interval = figure.interval else { continue }
        if seen < interval.lowerBound * 0.75 - 0.02 || seen > interval.upperBound * 1.33 + 0.02 {
          mismatches.append(Mismatch(counter: counter, observed: seen, predicted: figure))
        }
      }
    }
  }

  /// What the files beside the trace decide, of the device with the most work.
  private mutating func weigh(_ trace: Trace, _ activities: [DeviceActivity], _ context: TraceContext) {
    requestClock = context.requestClock
    guard devices.indices.contains(main), activities.indices.contains(main) else { return }
    let device = devices[main]
    for index in devices.indices where activities.indices.contains(index) {
      verdicts[index].weigh(others: activities, main: index, devices[index])
    }
    if contents.apiCalls == 0 { verdicts[main].weighMissingCalls() }
    verdicts[main].weighMissingJoin(launches: contents.launches, device)
    if let wait = InputWait(trace, device: activities[main]) { verdicts[main].weigh(wait, device) }
    if !trace.requests.isEmpty { requests = RequestUse(trace, device: activities[main]) }
    if let requests {
      verdicts[main].weigh(requests, device)
    } else if let server = context.server {
      verdicts[main].weigh(server, device)
    }
    if let load = context.load { for index in verdicts.indices { verdicts[index].weigh(load) } }
    if let clock = requestClock, clock.isAmbiguous {
      notes.append(
        "the clocks of requests and trace fit as well a batch earlier or later: shares of time hold, single requests may be another batch's"
      )
    }
    metrics = GPUMetrics(trace, device: device.ordinal)
    if let given = context.metrics {
      if metrics == nil { metrics = given } else { metrics?.add(given) }
    }
    if let metrics { verdicts[main].weigh(metrics, device) }
    if let beside = context.model {
      let batched = trace.batches.rows.filter { $0 > 0 }
      let mean = batched.isEmpty ? nil : Double(batched.reduce(0) { $0 + Double($1) }) / Double(batched.count)
      if let rows = beside.rows ?? mean.map({ Int(saturating: $0.rounded()) }) ?? beside.graph.fixedRows {
        if let gpu = device.facts.gpu {
          switch ModelUse.plan(beside, rows: rows, on: gpu) {
          case .success(let use):
            model = use
            if verdicts[main].named == nil { verdicts[main].weigh(use, device) }
          case .failure(let error): notes.append("the model cannot be planned: \(error)")
          }
        } else {
          notes.append("the model is not planned: \(device.facts.source)")
        }
      } else {
        notes.append("the model is not planned: how many rows a step has is not in the trace; give --rows")
      }
    }
  }

  /// Steps per second of the main device: the rate without the profiler, else the trace's own.
  public var stepsPerSecond: Double? {
    if let rate = device?.counters.rate, let perSecond = rate.unprofiledPerSecond { return perSecond }
    guard let device else { return nil }
    let seconds = Double(device.wall) / 1e9
    if let steps { return steps / seconds }
    return requests.flatMap { $0.batches > 0 ? Double($0.batches) / seconds : nil }
  }

  private mutating func addNotes(_ trace: Trace, _ context: TraceContext) {
    for device in devices {
      if device.discarded > 0 {
        notes.append("\(device.name): \(device.discarded) rows left out: they end before they start, or at no time of a clock")
      }
      let events = device.busy.kernels + device.busy.copies
      // Where the reader of the file has not said so already.
      if device.unlinked > 0, !context.hasImportNotes {
        notes.append("\(device.name): \(device.unlinked) of \(events) kernels and copies have no launch in the trace; they count as busy")
      }
      if device.shares.byProcess.count > 1 { notes.append(Self.processNote(device)) }
      if device.facts.isSlice, let own = device.facts.smCount {
        let whole =
          device.facts.wholeSMCount.map { " of the board's \($0), \(NumberInWords.percent(Double(own) / Double(max(1, $0))))" } ?? ""
        notes.append(
          "\(device.name): a MIG slice with \(own) SMs\(whole): all shares, also of predicted counters, are of the slice")
      }
      if device.facts.smCount == nil, device.busy.kernels > device.busy.graphs, !context.hasImportNotes {
        notes.append("\(device.name): SMs with a resident block \(device.facts.source)")
      }
      if context.rate != nil || context.load != nil, device.counters.rate == nil, device.busy.kernels > 0 {
        notes.append(
          "\(device.name): the steps in the trace could not be told from the kernels' counts, so the rate was not used: give --steps or --requests-per-step"
        )
      }
    }
    if let metrics, !metrics.undecidedInstances.isEmpty {
      notes.append(
        "counters of GPU instances \(metrics.undecidedInstances.map(String.init).joined(separator: ", ")) are in the trace and not weighed: which of them the program ran in is not recorded"
      )
    }
    if context.rate == nil, context.load != nil, context.requestsPerStep == nil, trace.batches.isEmpty, device?.counters.rate != nil {
      notes.append(
        "the load's rate is taken as steps per second: one request a step; give --requests-per-step where a batch carries several")
    }
    if trace.graphExecutions.count > 0, !context.hasImportNotes {
      notes.append(
        "\(trace.graphExecutions.count) CUDA graphs are recorded as one event each: inside them busy is an upper bound and SMs with a resident block unknown; record nodes with nsys profile --cuda-graph-trace=node"
      )
    }
    for row in 0..<min(trace.diagnostics.count, 1000) where trace.diagnostics.severity[row] >= 2 {
      if notes.count >= 20 { break }
      if let text = trace.names[trace.diagnostics.text[row]] { notes.append(String(text.prefix(300))) }
    }
  }

  /// "GPU 0: 2 processes work on it, by kernel time: 4711 60 %, 4712 40 %; --process shows one of them".
  private static func processNote(_ device: DeviceExplanation) -> String {
    let total = Double(max(1, device.shares.byProcess.values.reduce(Int64(0)) { $0.addingSaturated($1) }))
    let parts = device.shares.byProcess.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(4).map { process, nanoseconds in
      "\(GlobalID.processNumber(process)) \(NumberInWords.percent(Double(nanoseconds) / total))"
    }
    return
      "\(device.name): \(device.shares.byProcess.count) processes work on it, by kernel time: \(parts.joined(separator: ", ")); --process NUMBER explains one of them"
  }

  /// Of the work that was launched while the windows lasted, how much ran outside of them: a host that runs ahead of its device.
  private static func lateWorkNote(_ trace: Trace, _ host: HostActivity, _ activities: [DeviceActivity], _ windows: [Range<Int64>])
    -> String?
  {
    let windows = DisjointRanges(merging: windows)
    var (all, outside) = (0.0, 0.0)
    let table = trace.kernels
    for row in 0..<table.count {
      let (start, end) = (table.start[row], table.end[row])
      guard end > start, start > -DeviceActivity.largestTime, end < DeviceActivity.largestTime,
        let call = host.launches.apiCall(process: trace[table.stream[row]].process, correlation: table.correlation[row]),
        windows.covered(trace.apiCalls.start[call]..<trace.apiCalls.start[call].addingSaturated(1)) > 0
      else { continue }
      all += Double(end - start)
      outside += Double(end - start - windows.covered(start..<end))
    }
    guard all > 0, outside > 0.2 * all else { return nil }
    return
      "\(NumberInWords.percent(outside / all)) of the kernel time that was launched in the window runs after it: the GPU is behind its host, and the window shows what ran then, not what was launched then"
  }

  /// The main device's explanation; nil where nothing ran on a GPU.
  public var device: DeviceExplanation? { devices.indices.contains(main) ? devices[main] : nil }
  /// Its verdict.
  public var verdict: TraceVerdict? { verdicts.indices.contains(main) ? verdicts[main] : nil }

  /// The first line: what limits, and how sure that is.
  public var headline: String {
    guard let verdict else { return "No verdict: \(refusal ?? "nothing ran")" }
    let mark = "inconclusive: "
    if verdict.confidence == .inconclusive, verdict.title.hasPrefix(mark) { return "Inconclusive: \(verdict.title.dropFirst(mark.count))" }
    return "Bottleneck: \(verdict.title) (\(verdict.confidence.phrase))"
  }

  /// Why there is no verdict; nil where there is one.
  public var refusal: String? {
    if device != nil { return nil }
    let held = [
      (contents.apiCalls, "CUDA call"), (contents.operators, "operator on the CPU"), (contents.ranges, "range"),
      (contents.osCalls, "OS call"),
    ].filter { $0.0 > 0 }.map { count, name in
      let words = name.split(separator: " ", maxSplits: 1)
      let many = name.hasPrefix("operator") ? "operators \(words.last ?? "")" : name + "s"
      return "\(NumberText.grouped(count)) \(count == 1 ? name : many)"
    }
    let place = windowText.map { "in \($0)" } ?? "in the trace"
    if held.isEmpty { return windowText == nil ? "the trace is empty" : "no GPU work \(place)" }
    return "no GPU work \(place): \(held.joined(separator: ", ")) and no kernel, copy or fill"
  }

  /// How to record what is missing, with the tool that wrote the trace.
  var recordingCommand: String {
    source == "kineto"
      ? "torch.profiler.profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])"
      : "nsys profile --trace=cuda,nvtx,osrt -- COMMAND"
  }

  /// Summaries of what a trace without GPU work holds.
  var otherSummaries: String? {
    let names = [
      (contents.apiCalls, "cuda_api_sum"), (contents.osCalls, "osrt_sum"), (contents.ranges, "nvtx_sum"),
    ].filter { $0.0 > 0 }.map(\.1)
    return names.isEmpty ? nil : "headroom explain FILE --report \(names.joined(separator: ","))"
  }
}
