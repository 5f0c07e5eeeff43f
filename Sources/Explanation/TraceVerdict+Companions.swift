import CheckedNumbers
import Diagnosis

/// What files beside a trace decide that the trace leaves open.
extension TraceVerdict {
  /// A place of the requests that holds less than this share of the idle time decides nothing.
  static let decidingPlace = 0.5
  /// More batches than this share with requests left behind are a backlog: the next batch was there to be run.
  static let backlogShare = 0.5
  /// Below this share of its largest clock a GPU that a limit of the driver holds back is clock-limited.
  static let heldClock = 0.95
  /// Kernels that run less than this share of the time are not worth a faster clock.
  static let busyEnoughForClocks = 0.5
  /// A model that spends more than this share of its FLOPs on copies of rows does redundant work first of all.
  static let redundantWork = 0.2

  /// What a load result says of a limit before the GPU: the generator itself where it says so, the offered load where an open one kept its schedule.
  public mutating func weigh(_ load: KnownLoad) {
    let isBeforeServer = isUpstream || regime == .loadLimited
    defer { if isBeforeServer { nameUpstream() } }
    guard isBeforeServer, regime != .frontEndBound, regime != .batchingBound else { return }
    if load.isClientBound == true {
      regime = .clientBound
      title = "the load generator: it could not send more (\(load.tool))"
      confidence = .high
      confirm = "the same users from two generator processes: throughput rises"
    } else if load.isClientBound == false, load.isOpen == true {
      regime = .loadLimited
      title = "load-limited: the server keeps up with the offered load (\(load.tool))"
      confidence = .high
      confirm = "offer twice the load: throughput should double"
    } else if load.isClientBound == false, regime == nil {
      title += "; the load generator had room"
    }
  }

  /// Whether the launch thread's silence is the fetching of its input, as the framework's own ranges say.
  mutating func weigh(_ wait: InputWait, _ device: DeviceExplanation) {
    let silence = Double(device.idle[.upstream])
    guard isUpstream, Double(wait.idle) > Self.decidingPlace * silence else { return }
    confidence = second == nil && Double(wait.idle) > 0.7 * Double(device.idle.total) ? .high : .medium
    isWaitingForInput = true
    nameUpstream()
    title =
      "input-bound: the GPU waits while its program fetches the next input"
      + (second == .launchBound ? ", and for launches while it does not" : "")
    confirm = "synthetic inputs in place of the loader: the rate should rise; then more loader workers, pinned memory, prefetching"
    evidence.append("The GPU idled \(device.share(wait.idle)) of the time inside \(String(wait.name.prefix(80))).")
  }

  /// Where requests were while the device idled. A limit that the trace shows by itself (kernels, copies, launches) stays.
  public mutating func weigh(_ requests: RequestUse, _ device: DeviceExplanation) {
    let wasUpstream = isUpstream
    defer { if wasUpstream { nameUpstream() } }
    let total = Double(requests.idle.values.reduce(0, +))
    let wall = Double(device.wall)
    guard total > Self.smallestIdleShare * wall, requests.requests >= 10 else { return }
    guard isUpstream || regime == .noBatchPipelining || regime == nil else { return }
    guard Double(requests.busy[.batch] ?? 0) > 0.5 * Double(device.busy.device) else {
      evidence.append(
        "Most of the GPU's work lies outside the recorded batches: the requests are another model's, or the clocks are joined wrongly.")
      return
    }
    let known = requests.idle.filter { $0.key != .unrecorded }
    guard let (place, nanoseconds) = known.max(by: { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }),
      Double(nanoseconds) > Self.decidingPlace * total
    else {
      evidence.append("Requests were in several places while the GPU idled; none holds half of the idle time.")
      return
    }
    let share = device.share(nanoseconds)
    let sure: Confidence = Double(nanoseconds) > 0.7 * total ? .high : .medium
    switch place {
    case .nowhere:
      (regime, second, isUpstream, confidence) = (.loadLimited, nil, true, .medium)
      title = "no requests: the server had none while the GPU idled"
      confirm = "the load generator's own CPU and send lag (--load); then offer twice the load: throughput should double"
      evidence.append("The GPU idled \(share) of the time with no request in the server.")
    case .queue where requests.leftBehindShare > Self.backlogShare:
      (regime, second, isUpstream, confidence) = (.noBatchPipelining, nil, false, sure)
      title = "no pipelining: requests wait, no batch runs, and the GPU idles until the next one begins"
      confirm = "a second instance (instance_group { count: 2 }): throughput should rise"
      evidence.append("The GPU idled \(share) of the time with requests queued, more of them than the next batch took.")
    case .queue where requests.filledByArrivalShare > Self.backlogShare:
      (regime, second, isUpstream, confidence) = (.loadLimited, nil, true, .medium)
      title = "too few requests: batches fill as slowly as requests arrive, and the GPU idles meanwhile"
      confirm = "offer twice the load: throughput should double; max_queue_delay_microseconds: 0 shortens the wait, not the limit"
      evidence.append("The GPU idled \(share) of the time with requests queued; batches began the moment another request arrived.")
    case .queue:
      (regime, second, isUpstream, confidence) = (.batchingBound, nil, false, sure)
      title = "batching delay: requests wait for their batch to fill while no batch runs and the GPU idles"
      confirm = "max_queue_delay_microseconds: 0, at the same load: latency falls, and throughput rises in a closed loop"
      evidence.append("The GPU idled \(share) of the time with requests queued that all left with the next batch.")
    case .frontEnd:
      (regime, second, isUpstream, confidence) = (.frontEndBound, nil, false, sure)
      title = "front end: requests are being read, decoded or answered while the GPU idles"
      confirm = "binary tensors or shared memory, or more front-end threads: time before the queue should fall"
      evidence.append("The GPU idled \(share) of the time with requests between the wire and the queue.")
    case .batch where isUpstream:
      (regime, second, isUpstream, confidence) = (.noBatchPipelining, nil, false, sure)
      title = "no pipelining: the GPU waits for the host's part of the batch in the back end"
      confirm = "a second instance (instance_group { count: 2 }): throughput should rise"
      evidence.append("The GPU idled \(share) of the time while an instance had a batch.")
    case .batch, .unrecorded: break
    }
  }

  /// What a server's statistics say where no request trace does: whether batches, the queue or what lies before it holds the idle time.
  public mutating func weigh(_ server: ServerWindow, _ device: DeviceExplanation) {
    guard isUpstream || regime == .noBatchPipelining || regime == nil else { return }
    let wasUpstream = isUpstream
    defer { if wasUpstream { nameUpstream() } }
    func figure(_ value: Double, _ unit: Figure.Unit) -> Figure { Figure(value, unit, .measured, source: "server statistics") }
    let free = max(0, server.periodMicroseconds - server.serviceMicroseconds)
    evidence.append(
      "The server's instances have a batch \(figure(server.utilization, .share)) of the time; a request is queued \(figure(server.queueMicroseconds / 1e3, .milliseconds))."
    )
    if server.utilization > 0.85 {
      guard isUpstream else { return }
      (regime, second, isUpstream, confidence) = (.noBatchPipelining, nil, false, .medium)
      title = "no pipelining: the GPU waits for the host's part of the batch in the back end"
      confirm = "a second instance (instance_group { count: 2 }): throughput should rise"
    } else if server.queueMicroseconds > ServerExplanation.backlogBatches * max(1, server.serviceMicroseconds) {
      (regime, second, isUpstream, confidence) = (.noBatchPipelining, nil, false, .medium)
      title = "no pipelining: requests wait, no batch runs, and the GPU idles until the next one begins"
      confirm = "a second instance (instance_group { count: 2 }): throughput should rise"
    } else if server.queueMicroseconds > Self.decidingPlace * free {
      (regime, second, isUpstream, confidence) = (.batchingBound, nil, false, .medium)
      title = "batching delay: requests wait for their batch to fill while no batch runs and the GPU idles"
      confirm = "max_queue_delay_microseconds: 0, at the same load: latency falls, and throughput rises in a closed loop"
    } else {
      (regime, second, isUpstream, confidence) = (nil, nil, true, .medium)
      title = "before the server's queue: its front end, or too few requests"
      confirm = "the server's request times (--triton-trace) tell the front end from the load"
    }
  }

  /// What was seen of clocks and of other processes.
  public mutating func weigh(_ metrics: GPUMetrics, _ device: DeviceExplanation) {
    let busy = Double(device.busy.kernel) / Double(device.wall)
    let largest = device.facts.gpu.map { $0.modelGigahertz * 1000 }
    let slow = Double(device.kernels.slowTime) > 0.15 * Double(max(1, device.kernels.total))
    let others = metrics.processes.map { $0 - 1 } ?? 0
    if others > 0, slow {
      named = .HR302
      confidence = .high
      title = "shared GPU: another process runs on it, and the same kernels take twice as long at times"
      confirm = "nvidia-smi pmon -c 5; the same run with the GPU to itself"
      evidence.append(
        "\(Figure(Double(others), .count, .measured, source: metrics.source)) other processes hold memory on the GPU.")
      return
    }
    guard busy >= Self.busyEnoughForClocks, let clock = metrics.clockMegahertz, let share = metrics.clockShare(largest: largest) else {
      return
    }
    let reasons = metrics.throttles.map(\.text)
    guard share < (reasons.isEmpty ? 0.85 : Self.heldClock) else { return }
    named = .HR301
    let maximum = metrics.largestClockMegahertz ?? largest ?? 0
    let why = reasons.isEmpty ? "no reason given" : reasons.joined(separator: ", ")
    evidence.append(
      "Without that: \(title). The SM clock is \(Figure(share, .share, .measured, source: metrics.source)) of the largest.")
    title = "clock-limited: the SM clock is \(NumberInWords.short(clock)) of \(NumberInWords.short(maximum)) MHz (\(why))"
    confidence = reasons.isEmpty ? .medium : .high
    confirm = "nvidia-smi -q -d CLOCK,POWER,PERFORMANCE during the run; a higher power cap or better cooling shortens kernels"
  }

  /// What the model's graph says of the work itself.
  public mutating func weigh(_ model: ModelUse, _ device: DeviceExplanation) {
    guard model.redundantShare > Self.redundantWork, Double(device.busy.kernel) / Double(device.wall) >= Self.limitingShare else { return }
    named = .HR211
    evidence.append(
      "Without that: \(title). \(Figure(model.redundantShare, .share, .estimated, source: "the graph: rows that are copies of other rows")) of the model's FLOPs compute copies of rows that it broadcast itself."
    )
    title = "redundant work: \(NumberInWords.percent(model.redundantShare)) of the model's FLOPs are spent on copies of rows"
    confidence = .high
    confirm = "headroom export \(model.name) --rewrite sink-broadcast -o fixed.onnx; the same load on it"
  }
}
