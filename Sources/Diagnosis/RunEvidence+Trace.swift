import CheckedNumbers
public import Planning
import TimeBase
public import Trace
import Vocabulary

/// What a trace alone does not say of a run.
public struct RunContext: Sendable {
  /// What ran; nil where the model is unknown.
  public var plan: Plan?
  /// Who decided when the next request was sent.
  public var loop: LoadEvidence.Loop?
  /// Mean think time, milliseconds.
  public var meanThinkMilliseconds: Double?
  /// Rows per request, if all are alike.
  public var fixedRowsPerRequest: Int?
  /// Configuration of the batcher: see `BatchingEvidence`.
  public var maximumRows: Int?
  /// See `BatchingEvidence`.
  public var preferredSizes: [Int]?
  /// See `BatchingEvidence`.
  public var maximumQueueDelayMicroseconds: Int?
  /// See `BatchingEvidence`.
  public var instances: Int?
  /// See `BatchingEvidence`.
  public var maximumQueueSize: Int?
  /// See `BatchingEvidence`.
  public var timeoutMicroseconds: Int?

  /// Nothing known.
  public init() {}
}

/// What a trace says, worked out once.
public struct TraceAnalysis: Sendable {
  /// Measured, or simulated where the trace says so.
  public var kind: Figure.Kind
  /// The window looked at, nanoseconds.
  public var window: Range<Int64>
  /// Where the device's time went.
  public var device: DeviceTime
  /// The case study's tables.
  public var summaries: [Summary]
  /// Everything the findings and the verdict read, as far as a trace and its context say it.
  public var evidence: RunEvidence
  /// Where the wall went.
  public var waterfall: Waterfall
  /// Batches by rows.
  public var batchSizes: [Int: Int]

  /// Works a trace out.
  ///
  /// - Throws: `PlanError` when the context's plan cannot be evaluated at a batch size the trace shows.
  public init(of trace: Trace, context: RunContext) throws(PlanError) {
    let isSimulated = trace.run["kind"] == "simulated"
    kind = isSimulated ? .simulated : .measured
    window = Self.window(of: trace)
    device = DeviceTime(of: trace, window: window)
    let window = window
    summaries = Summary.Report.allCases.map { Summary($0, of: trace, window: window) }
    batchSizes = [:]
    for rows in trace.batches.rows where rows > 0 { batchSizes[Int(rows), default: 0] += 1 }

    var evidence = RunEvidence()
    evidence.deviceClass = trace.deviceClass
    evidence.fill(load: trace, context: context, window: window, kind: kind)
    evidence.fill(batching: trace, context: context, window: window, kind: kind)
    evidence.fill(device: trace, time: device, kind: kind)
    evidence.fill(launches: trace, window: window, kind: kind)
    evidence.fill(copies: trace, time: device, kind: kind)
    var roof: Figure?
    if let plan = context.plan, let usual = batchSizes.max(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key {
      let batch = try plan.at(rows: usual)
      let peak = plan.gpu.peakFLOPs(plan.type)
      evidence.kernels = KernelEvidence(
        plan: batch, peakFloatingPointOperationsPerSecond: peak, bandwidthBytesPerSecond: plan.gpu.memoryGigabytesPerSecond * 1e9,
        weightBytes: plan.weightBytes, l2Bytes: plan.gpu.l2Megabytes * 1e6, kind: min(kind, .estimated))
      if let share = batch.rooflineShare {
        roof = Figure(share, .share, .estimated, source: "plan at \(usual) rows: roof time over predicted time")
      }
      evidence.kernels.residentSMShareOfAll = Figure(
        batch.residentSMShare, .share, .estimated, source: "plan at \(usual) rows, all kernels by time")
    }
    self.evidence = evidence
    waterfall = Waterfall(
      device, kind: kind, residentSMShare: evidence.kernels.residentSMShareOfAll ?? Self.residentSMShare(of: trace, kind: kind),
      shareOfRoof: roof,
      redundantShare: evidence.kernels.redundantShare)
  }

  /// The run's own window where it names one, else from the first to the last device event, else of everything.
  static func window(of trace: Trace) -> Range<Int64> {
    if let window = trace.measurementWindow { return window }
    let starts = [trace.kernels.start.min(), trace.copies.start.min(), trace.memsets.start.min()].compactMap { $0 }
    let ends = [trace.kernels.end.max(), trace.copies.end.max(), trace.memsets.end.max()].compactMap { $0 }
    if let start = starts.min(), let end = ends.max(), start < end { return start..<end }
    let calls = [trace.apiCalls.start.min(), trace.osCalls.start.min()].compactMap { $0 }.min() ?? 0
    let last = [trace.apiCalls.end.max(), trace.osCalls.end.max()].compactMap { $0 }.max() ?? 1
    return calls < last ? calls..<last : 0..<1
  }

  /// Blocks over SMs, at most 1, weighted by time: what a trace alone says of SMs with a resident block. An upper estimate: tails and early blocks are not
  /// in it. nil where the device's SM count is not recorded.
  package static func residentSMShare(of trace: Trace, kind: Figure.Kind) -> Figure? {
    guard let stream = trace.streams.first, let gpu = trace.gpu(of: stream), let sms = Trace.known(gpu.smCount), sms > 0 else { return nil }
    var weighted = 0.0
    var total = 0.0
    for index in trace.kernels.start.indices {
      guard let blocks = trace[trace.kernels.description[index]].blockCount else { continue }
      let duration = Double(trace.kernels.end[index] - trace.kernels.start[index])
      weighted += min(1, Double(blocks) / Double(sms)) * duration
      total += duration
    }
    return total > 0 ? Figure(weighted / total, .share, .estimated, source: "trace: blocks over SMs, by time; an upper estimate") : nil
  }
}

extension RunEvidence {
  mutating func fill(load trace: Trace, context: RunContext, window: Range<Int64>, kind: Figure.Kind) {
    load.loop = context.loop
    load.fixedRowsPerRequest = context.fixedRowsPerRequest
    if let think = context.meanThinkMilliseconds {
      load.meanThinkTime = Figure(think, .milliseconds, kind == .simulated ? .simulated : .assumed, source: "workload: mean think time")
    }
    let table = trace.clientRequests
    var latencies: [Int64] = []
    latencies.reserveCapacity(table.count)
    let slices = 24
    var perSlice = [Int](repeating: 0, count: slices)
    let length = window.upperBound - window.lowerBound
    for index in table.done.indices where window.contains(table.done[index]) && table.status[index] == .ok {
      if table.sent[index] != Trace.unknown { latencies.append(table.done[index] - table.sent[index]) }
      perSlice[min(slices - 1, Int(saturating: Double(table.done[index] - window.lowerBound) / Double(length) * Double(slices)))] += 1
    }
    guard !latencies.isEmpty else { return }
    latencies.sort()
    let source = "client-side latency, \(latencies.count) answers"
    func percentile(_ percentile: Double) -> Figure? {
      NearestRank.value(percentile: percentile, ofSorted: latencies).map { Figure(Double($0) / 1e6, .milliseconds, kind, source: source) }
    }
    load.medianLatency = percentile(50)
    load.p99Latency = percentile(99)
    let mean = latencies.reduce(0.0) { $0 + Double($1) } / Double(latencies.count) / 1e6
    load.meanLatency = Figure(mean, .milliseconds, kind, source: source)
    load.throughput = Figure(
      Double(perSlice.reduce(0, +)) / (Double(length) / 1e9), .requestsPerSecond, kind, source: "answers in the window")
    load.answers = perSlice.reduce(0, +)
    steadiness = Steadiness(stepIn: perSlice, kind: kind) ?? Steadiness(answersPerSlice: perSlice, kind: kind)
  }

  mutating func fill(batching trace: Trace, context: RunContext, window: Range<Int64>, kind: Figure.Kind) {
    batching.maximumRows = context.maximumRows
    batching.preferredSizes = context.preferredSizes
    batching.maximumQueueDelayMicroseconds = context.maximumQueueDelayMicroseconds
    batching.instances = context.instances
    batching.maximumQueueSize = context.maximumQueueSize
    batching.timeoutMicroseconds = context.timeoutMicroseconds
    let table = trace.batches
    guard table.count > 0 else { return }
    batching.batches = table.count
    let (rows, requests) = (table.rows.reduce(0.0) { $0 + Double($1) }, table.requests.reduce(0.0) { $0 + Double($1) })
    batching.meanRows = Figure(rows / Double(table.count), .rows, kind, source: "batches in the window")
    batching.meanRequests = Figure(requests / Double(table.count), .count, kind, source: "batches in the window")
    for reason in table.reason {
      if let departure = trace.names[reason].flatMap(DispatchReason.init(rawValue:)) {
        batching.dispatchReasons[departure, default: 0] += 1
      }
    }
    var longest: Int64 = 0
    for (start, end) in zip(table.gatherStart, table.outputEnd) where start != Trace.unknown && end != Trace.unknown {
      longest = max(longest, end.subtractingSaturated(start))
    }
    if longest > 0 {
      batching.longestBatch = Figure(Double(longest) / 1e6, .milliseconds, kind, source: "longest batch, gathering to outputs")
    }
    guard trace.requests.count > 0 else { return }
    var rejections: [RejectionReason: Int] = [:]
    for status in trace.requests.status {
      switch status {
      case .rejected: rejections[.queueFull, default: 0] += 1
      case .timedOut: rejections[.timeout, default: 0] += 1
      case .cancelled: rejections[.cancelled, default: 0] += 1
      case .failed: rejections[.other, default: 0] += 1
      default: break
      }
    }
    batching.rejections = rejections
    batching.offeredRequests = trace.requests.count
    var formed: [Int64: Int64] = [:]
    for (id, time) in zip(table.id, table.formed) where time != Trace.unknown { formed[id] = time }
    var waits: [Int64] = []
    for (batch, enqueued) in zip(trace.requests.batch, trace.requests.enqueued) {
      if let left = formed[batch], enqueued != Trace.unknown {
        waits.append(max(0, left - enqueued))
      }
    }
    let waited = waits.reduce(0.0) { $0 + Double($1) }
    waits.sort()
    batching.p99Wait = NearestRank.value(percentile: 99, ofSorted: waits).map {
      Figure(Double($0) / 1e6, .milliseconds, kind, source: "time between queue and batch, 99 % of the requests")
    }
    batching.meanQueuedRequests = Figure(
      waited / Double(window.upperBound - window.lowerBound), .count, kind, source: "time between queue and batch, over the window")
  }

  mutating func fill(device trace: Trace, time: DeviceTime, kind: Figure.Kind) {
    let wall = Double(max(1, time.wall))
    func share(_ nanoseconds: Int64, _ source: String) -> Figure { Figure(Double(nanoseconds) / wall, .share, kind, source: source) }
    device.gpuBusy = share(time.gpuBusy, "trace: union of kernels over the window")
    if time.unattributedIdle < time.wall - time.deviceBusy || time.deviceBusy == time.wall {
      device.noRequestsIdle = share(time.noRequestsIdle, "trace: idle before the next batch's first request")
      device.batchingDelayIdle = share(time.batchingDelayIdle, "trace: idle while the batcher waited for the batch to fill")
      device.hostOverheadIdle = share(time.hostOverheadIdle, "trace: idle after the next batch was due")
    }
    device.unattributed = share(time.unattributedIdle, "trace: idle without a seen cause")

    let batches = BatchTimes(of: trace)
    guard !batches.isEmpty else { return }
    let inFlight = batches.formed.indices.filter { batches.outputEnd[$0] != Trace.unknown }
    let covered = Intervals(inFlight.map { batches.formed[$0] }, inFlight.map { batches.outputEnd[$0] }, in: Int64.min / 2..<Int64.max / 2)
      .total
    let summed = inFlight.reduce(0.0) { $0 + Double(batches.outputEnd[$1] - batches.formed[$1]) }
    if covered > 0 {
      device.pipelineDepth = Figure(
        summed / Double(covered), .count, kind, source: "batches between forming and output, while there is one")
    }
    var gaps: [Double] = []
    var handOff = 0.0
    var ran = 0.0
    for index in batches.formed.indices {
      handOff += Double(batches.computeStart[index] - batches.formed[index])
      ran += Double(max(0, batches.computeEnd[index] - batches.computeStart[index]))
      guard index > 0, batches.due[index] <= batches.computeEnd[index - 1], batches.computeStart[index] >= batches.computeEnd[index - 1]
      else { continue }
      gaps.append(Double(batches.computeStart[index] - batches.computeEnd[index - 1]))
    }
    device.deviceTimePerBatch = Figure(
      ran / Double(batches.count) / 1e6, .milliseconds, kind, source: "first launch to last kernel's end, mean of the batches")
    if gaps.count >= 10 {
      device.loopGap = Figure(
        gaps.reduce(0, +) / Double(gaps.count) / 1e6, .milliseconds, kind,
        source: "last kernel's end to next first launch, when work waited")
    } else {
      device.loopGap = Figure(
        handOff / Double(batches.count) / 1e6, .milliseconds, kind,
        source: "forming to first launch (work hardly ever waited): at least this")
    }
  }

  mutating func fill(copies trace: Trace, time: DeviceTime, kind: Figure.Kind) {
    let wall = Double(max(1, time.wall))
    copies.nonOverlappedMemcpy = Figure(Double(time.nonOverlappedMemcpy) / wall, .share, kind, source: "trace: copies and no kernel")
    if trace.batches.count > 0 {
      let uploads = trace.copies.direction.count { $0 == 1 }
      copies.uploadsPerBatch = Figure(
        Double(uploads) / Double(trace.batches.count), .count, kind, source: "host-to-device copies over batches")
      copies.copyOnlyWhileWorkWaits = Figure(
        Double(time.copyOnlyWhileWorkWaits) / wall, .share, kind, source: "trace: non-overlapped memcpy while the next batch was due")
    }
    var (pageable, all) = (0.0, 0.0)
    for index in trace.copies.bytes.indices {
      let host = trace.copies.direction[index] == 1 ? trace.copies.sourceKind[index] : trace.copies.destinationKind[index]
      guard trace.copies.direction[index] == 1 || trace.copies.direction[index] == 2, host != Trace.unknown32 else { continue }
      all += Double(trace.copies.bytes[index])
      if host == 0 { pageable += Double(trace.copies.bytes[index]) }
    }
    if all > 0 { copies.pageableByteShare = Figure(pageable / all, .share, kind, source: "bytes of host copies by memory kind") }
  }

  /// How launches reached the device, kernel by kernel, from correlation ids.
  mutating func fill(launches trace: Trace, window: Range<Int64>, kind: Figure.Kind) {
    let kernels = trace.kernels
    guard kernels.count > 0, trace.apiCalls.count > 0 else { return }
    // Correlation ids of one process count up: a table beats a dictionary wherever they are dense.
    let maximum = kernels.correlation.max() ?? 0
    guard maximum > 0, maximum < Int64(16 * (trace.apiCalls.count + 1000)) else { return }
    var callEnd = [Int64](repeating: Trace.unknown, count: Int(maximum) + 1)
    for index in trace.apiCalls.correlation.indices {
      let correlation = trace.apiCalls.correlation[index]
      if correlation >= 0, correlation <= maximum { callEnd[Int(correlation)] = trace.apiCalls.end[index] }
    }
    var batchOf = [Int64](repeating: Trace.unknown, count: Int(maximum) + 1)
    for (correlation, batch) in zip(trace.launches.correlation, trace.launches.batch) where correlation >= 0 && correlation <= maximum {
      batchOf[Int(correlation)] = batch
    }
    var last: [Int32: (end: Int64, batch: Int64)] = [:]
    var (late, lateIdle, queued, queuedGap, burst, kernelTime) = (0, 0.0, 0, 0.0, 0.0, 0.0)
    for index in kernels.start.indices where window.contains(kernels.start[index]) {
      let correlation = kernels.correlation[index]
      let stream = kernels.stream[index].rawValue
      let duration = Double(kernels.end[index] - kernels.start[index])
      kernelTime += duration
      burst += duration
      guard correlation >= 0, correlation <= maximum else { continue }
      let batch = batchOf[Int(correlation)]
      if let before = last[stream], before.batch == batch, batch != Trace.unknown || trace.launches.count == 0 {
        let gap = Double(max(0, kernels.start[index] - before.end))
        burst += gap
        if callEnd[Int(correlation)] != Trace.unknown {
          if callEnd[Int(correlation)] >= before.end {
            late += 1
            lateIdle += gap
          } else {
            queued += 1
            queuedGap += gap
          }
        }
      }
      last[stream] = (kernels.end[index], batch)
    }
    let source = "trace: launch call's return against the previous kernel's end, first kernels of batches left out"
    if late + queued > 0, burst > 0 {
      launches.lateShare = Figure(Double(late) / Double(late + queued), .share, kind, source: source)
      launches.lateIdleShare = Figure(lateIdle / burst, .share, kind, source: source)
      launches.queuedGapShare = Figure(queuedGap / burst, .share, kind, source: source)
      if queued > 0 { launches.queuedGap = Figure(queuedGap / Double(queued) / 1000, .microseconds, kind, source: source) }
    }
    launches.kernelTime = Figure(kernelTime / Double(kernels.count) / 1000, .microseconds, kind, source: "mean of all kernels")
    if trace.batches.count > 0 {
      launches.launchesPerBatch = Figure(Double(kernels.count) / Double(trace.batches.count), .count, kind, source: "kernels over batches")
    }
    var (calls, callTime) = (0, 0.0)
    let isLaunch = trace.names.texts.map { $0.contains("Launch") }
    for index in trace.apiCalls.name.indices {
      let name = Int(trace.apiCalls.name[index].rawValue)
      guard isLaunch.indices.contains(name), isLaunch[name] else { continue }
      calls += 1
      callTime += Double(trace.apiCalls.end[index] - trace.apiCalls.start[index])
    }
    if calls > 0 {
      launches.launchTime = Figure(callTime / Double(calls) / 1000, .microseconds, kind, source: "mean of the launch calls")
    }
  }
}
