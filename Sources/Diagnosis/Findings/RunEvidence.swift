public import Trace
public import Vocabulary

/// All that is known of one run, as one pure value: what the findings and the verdict read, and nothing else. nil is "unknown", never
/// zero. Built from a trace, completed by what only the plan, the generator or the simulation knows.
public struct RunEvidence: Sendable, Hashable {
  /// What ran the batches.
  public var deviceClass = DeviceClass.gpu
  /// What was offered and what came back.
  public var load = LoadEvidence()
  /// The load generator's own health.
  public var client = ClientEvidence()
  /// The server's threads outside the issuing loop.
  public var frontEnd = FrontEndEvidence()
  /// Demand, utilization and capacity of the stages.
  public var stages = PipelineStages()
  /// What one percent of each time is worth, where it was measured.
  public var elasticities: Elasticities?
  /// The batcher's decisions.
  public var batching = BatchingEvidence()
  /// The device's time over the wall.
  public var device = DeviceEvidence()
  /// How launches reached the device.
  public var launches = LaunchEvidence()
  /// How data reached the device.
  public var copies = CopyEvidence()
  /// What the kernels are, weighted by the time they took.
  public var kernels = KernelEvidence()
  /// Whether the window is all alike.
  public var steadiness: Steadiness?

  /// Nothing known.
  public init() {}
}

/// What was offered and what came back.
public struct LoadEvidence: Sendable, Hashable {
  /// Who decides when the next request is sent.
  public enum Loop: Sendable, Hashable {
    /// So many users, each waiting for its answer and then thinking.
    case closed(users: Int)
    /// Requests at a rate, whatever comes back.
    case open(arrivalRate: Figure)
  }

  /// Closed or open.
  public var loop: Loop?
  /// Mean think time of a user.
  public var meanThinkTime: Figure?
  /// Rows per request, if all are alike.
  public var fixedRowsPerRequest: Int?
  /// Answers per second.
  public var throughput: Figure?
  /// Answers that this is a mean of; nil where nobody counted.
  public var answers: Int?
  /// Over the client-side latency.
  public var meanLatency: Figure?
  /// Over the client-side latency.
  public var medianLatency: Figure?
  /// Over the client-side latency.
  public var p99Latency: Figure?

  /// Nothing known.
  public init() {}

  /// N/X - R (Little's law over the users): what a user spends per cycle outside the measured latency, think time included. In a
  /// closed loop only.
  public var thinkAndClientQueueTime: Figure? {
    guard case .closed(let users) = loop, users > 0, let throughput, let meanLatency, throughput.value > 0 else { return nil }
    let cycle = Double(users) / throughput.value * 1000
    return .combined(
      cycle - meanLatency.inMilliseconds, .milliseconds, [throughput, meanLatency], source: "N/X - R (Little's law over the users)")
  }

  /// X R: requests between the generator's start and stop of the watch.
  public var meanInFlight: Figure? {
    guard let throughput, let meanLatency else { return nil }
    return .combined(
      throughput.value * meanLatency.inMilliseconds / 1000, .count, [throughput, meanLatency], source: "X R (Little's law)")
  }

  /// In an open loop: whether what arrived was served. nil in a closed loop, where load follows throughput.
  public var isOpenBelowSaturation: Bool? {
    guard case .open(let rate) = loop, let throughput, rate.value > 0 else { return nil }
    return throughput.value >= (1 - shortfallByChance(at: rate, throughput)) * rate.value
  }

  /// How far arrivals at random stay below their rate by chance: the relative standard error of n of them is 1 / sqrt(n), four of those are
  /// 2 % at 40,000. No more than 10 %, however few they were: beyond it a queue grows that is seen.
  private func shortfallByChance(at rate: Figure, _ throughput: Figure) -> Double {
    guard let answers, answers > 0, throughput.value > 0 else { return 0.02 }
    let expected = rate.value * Double(answers) / throughput.value
    return min(0.1, max(0.02, 4 / expected.squareRoot()))
  }
}

/// The load generator's own health.
public struct ClientEvidence: Sendable, Hashable {
  /// CPU time used over CPU time available to the generator's processes, 0...1.
  public var coreShare: Figure?
  /// CPU time of the generator's busiest thread, or of the busiest process where each has one thread, over one core, 0...1. That thread is
  /// full long before the cores of its machine are.
  public var busiestThreadShare: Figure?
  /// Cores the generator may use (1 for one Locust process).
  public var cores: Int?
  /// 99th percentile of (sent - intended).
  public var sendLagP99: Figure?
  /// Time outside the measured latency in other runs of the same generator and think time, whatever the number of users.
  public var otherRuns: [OtherRun] = []

  /// One other run of the same generator.
  public struct OtherRun: Sendable, Hashable {
    /// Its users.
    public var users: Int
    /// Its answers per second.
    public var throughput: Figure
    /// Its N/X - R.
    public var thinkAndClientQueueTime: Figure

    /// The figures of one run.
    public init(users: Int, throughput: Figure, thinkAndClientQueueTime: Figure) {
      self.users = users
      self.throughput = throughput
      self.thinkAndClientQueueTime = thinkAndClientQueueTime
    }
  }

  /// Nothing known.
  public init() {}

  /// How full the place is that fills first: the busiest thread, else all cores; nil where neither was watched.
  public var fullestShare: Figure? {
    guard let busiestThreadShare else { return coreShare }
    guard let coreShare, coreShare.value > busiestThreadShare.value else { return busiestThreadShare }
    return coreShare
  }

  /// Below this share of a core no thread is the limit: at 0.8 a request waits four service times on average (rho / (1 - rho), M/M/1).
  public static let roomyShare = 0.8
  /// A generator that sends within this of the due instant, 99 times of 100, is on time.
  public static let promptMilliseconds = 1.0

  /// True where the generator was watched and has room: its fullest thread below `roomyShare`, and sends on time as far as that is known.
  public var hasRoom: Bool {
    guard let fullestShare, fullestShare.value < Self.roomyShare else { return false }
    return (sendLagP99?.inMilliseconds ?? 0) < Self.promptMilliseconds
  }

  /// True where the generator itself was watched on a real machine: a simulated or fitted client says what our system assumes of it.
  public var isWitnessed: Bool { fullestShare?.kind == .measured || sendLagP99?.kind == .measured }
}

/// The server's threads outside the issuing loop.
public struct FrontEndEvidence: Sendable, Hashable {
  /// CPU time used over CPU time available, 0...1.
  public var coreShare: Figure?
  /// Cores it may use.
  public var cores: Int?
  /// Part of its CPU time that grows with the bytes of a request (parsing, copying), 0...1.
  public var perByteShare: Figure?

  /// Nothing known.
  public init() {}
}

/// Why a request was rejected.
public enum RejectionReason: String, Sendable, Hashable, CaseIterable {
  case queueFull
  case timeout
  case cancelled
  case other

  /// As printed.
  public var text: String {
    switch self {
    case .queueFull: "queue full"
    case .timeout: "queue timeout"
    case .cancelled: "cancelled"
    case .other: "other"
    }
  }
}

/// The batcher's decisions.
public struct BatchingEvidence: Sendable, Hashable {
  /// Batches in the window.
  public var batches: Int?
  /// Rows per batch.
  public var meanRows: Figure?
  /// Requests per batch.
  public var meanRequests: Figure?
  /// Batches by dispatch reason; empty where it was not recorded.
  public var dispatchReasons: [DispatchReason: Int] = [:]
  /// Configured `max_batch_size`.
  public var maximumRows: Int?
  /// Configured preferred sizes; empty for none.
  public var preferredSizes: [Int]?
  /// Configured delay.
  public var maximumQueueDelayMicroseconds: Int?
  /// Configured instances of the model on this device.
  public var instances: Int?
  /// Requests rejected, by reason; nil where it was not recorded.
  public var rejections: [RejectionReason: Int]?
  /// Requests answered or rejected.
  public var offeredRequests: Int?
  /// Configured queue limit, in requests.
  public var maximumQueueSize: Int?
  /// Configured default queue timeout.
  public var timeoutMicroseconds: Int?
  /// Requests waiting in the batcher's queue, averaged over time.
  public var meanQueuedRequests: Figure?
  /// How long 99 % of the requests waited between queue and batch at most. Not the longest wait: on a shared machine one thread that got no core
  /// for a moment would decide.
  public var p99Wait: Figure?
  /// The longest any batch took, from gathering its inputs to its outputs.
  public var longestBatch: Figure?

  /// Nothing known.
  public init() {}

  /// Whether hardly a request waited longer than the batcher's delay and one batch's service time: the queue is empty whenever a batch ends. nil
  /// where waits were not recorded.
  public var keepsUp: Bool? {
    guard let p99Wait, let longestBatch else { return nil }
    return p99Wait.inMilliseconds <= Double(maximumQueueDelayMicroseconds ?? 0) / 1000 + longestBatch.inMilliseconds
  }

  /// Batches whose dispatch reason was recorded.
  public var recordedBatches: Int { dispatchReasons.values.reduce(0) { $0.addingClamping($1) } }

  /// Share of the batches that left for `reason`; nil where reasons were not recorded. `kind` is the batches' own.
  public func share(dispatchedBy reason: DispatchReason, kind: Figure.Kind) -> Figure? {
    let recorded = dispatchReasons.values.reduce(0, +)
    guard recorded > 0 else { return nil }
    return Figure(Double(dispatchReasons[reason] ?? 0) / Double(recorded), .share, kind, source: "batches by dispatch reason")
  }
}

/// The device's time over the wall, each a share of it.
public struct DeviceEvidence: Sendable, Hashable {
  /// At least one kernel ran.
  public var gpuBusy: Figure?
  /// Nothing ran and no work existed anywhere behind the queue.
  public var noRequestsIdle: Figure?
  /// Nothing ran, and the batcher held requests for the batch to fill although an instance was there.
  public var batchingDelayIdle: Figure?
  /// Nothing ran although a batch was due.
  public var hostOverheadIdle: Figure?
  /// Wall time whose cause could not be seen.
  public var unattributed: Figure?
  /// Batches in flight between forming and answer, per launch thread: 1 is no batch pipelining.
  public var pipelineDepth: Figure?
  /// From the end of a batch's work on the device to the first launch of the next, when work waited.
  public var loopGap: Figure?
  /// Device time of a batch.
  public var deviceTimePerBatch: Figure?

  /// Nothing known.
  public init() {}
}

/// How launches reached the device. The first kernel of a batch is no part of it: its lateness belongs to the loop.
public struct LaunchEvidence: Sendable, Hashable {
  /// Kernels per batch.
  public var launchesPerBatch: Figure?
  /// Share of the kernels that found the device idle and waiting: queue depth 0 at their launch.
  public var lateShare: Figure?
  /// Device idle before late kernels, as a share of the bursts' time.
  public var lateIdleShare: Figure?
  /// Launch thread's time per launch.
  public var launchTime: Figure?
  /// Mean kernel.
  public var kernelTime: Figure?
  /// Mean gap before a kernel that was queued before its predecessor ended.
  public var queuedGap: Figure?
  /// Such gaps, as a share of the bursts' time.
  public var queuedGapShare: Figure?

  /// Nothing known.
  public init() {}
}

/// How data reached the device.
public struct CopyEvidence: Sendable, Hashable {
  /// Bytes copied from or to pageable host memory over all bytes copied between host and device.
  public var pageableByteShare: Figure?
  /// Host-to-device copies per batch.
  public var uploadsPerBatch: Figure?
  /// Wall time in which only copies ran while another batch waited, as a share.
  public var copyOnlyWhileWorkWaits: Figure?
  /// Wall time in which only copies ran, as a share.
  public var nonOverlappedMemcpy: Figure?

  /// Nothing known.
  public init() {}
}
