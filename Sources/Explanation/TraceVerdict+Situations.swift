import CheckedNumbers
import Diagnosis
import TimeBase
import Trace

/// What a trace shows beside shares of time: a program that only starts up, too little to judge, collectives, generation, GPUs that take turns.
extension TraceVerdict {
  /// Fewer pieces of device work than this, over less than `shortestWindow`, are no basis for a verdict.
  static let minimumEvents = 5
  /// Nanoseconds.
  static let shortestWindow: Int64 = 10_000_000
  /// One call that takes more of the span than this is the program's start, not its steady state.
  static let startUpShare = 0.3
  /// Collectives without a kernel beside them that take more of the span than this limit it ...
  static let communicationShare = 0.35
  /// ... and above this are worth a word.
  static let notableCommunication = 0.1

  /// Less than what a verdict can rest on.
  static func isTooLittle(_ device: DeviceExplanation) -> Bool {
    device.busy.kernels + device.busy.copies < minimumEvents && device.wall < shortestWindow
  }

  /// A handful of kernels says nothing of a program.
  mutating func weighAmount(_ device: DeviceExplanation) {
    guard Self.isTooLittle(device) else { return }
    (regime, second, isUpstream, confidence) = (nil, nil, false, .inconclusive)
    let kernels = device.busy.kernels
    title = "inconclusive: too little in the trace: \(kernels) kernel\(kernels == 1 ? "" : "s"), \(device.busy.copies) copies and fills"
    confirm = "a trace of at least twenty steps of the steady state"
  }

  /// One call that allocates, loads or creates a context and takes a good part of the trace: nothing said of the rest would hold in service.
  mutating func weighStartUp(_ device: DeviceExplanation) {
    guard let call = device.idle.longestCall, Double(call.nanoseconds) > Self.startUpShare * Double(device.wall) else { return }
    let name = device.longestCallName ?? "a CUDA call"
    (regime, second, isUpstream) = (.notSteady, nil, false)
    confidence = device.busy.kernels + device.busy.copies < Self.minimumKernels ? .medium : .high
    title =
      "not steady: the program starts up: one call of \(name) takes \(NumberInWords.percent(Double(call.nanoseconds) / Double(device.wall))) of the trace"
    confirm = "record after a warm-up: ten steps before the profiler starts, then the steady state"
    let after = Double(call.end.subtractingSaturated(device.span.lowerBound))
    if after > 0, call.end < device.span.upperBound { confirm += "; or cut it off: --from \(NumberInWords.seconds(nanoseconds: after))" }
  }

  /// Pages of unified memory that move: alone, or beneath kernels that wait for them.
  mutating func weighUnifiedMemory(_ device: DeviceExplanation) {
    let share = Double(device.copies.unifiedNanoseconds) / Double(device.wall)
    let kernelsLimit = regime == .deviceBound || regime == .underfilled || regime == .computeBound || regime == .memoryBound
    guard share >= 0.3, regime == .transferBound || kernelsLimit || isUpstream || confidence == .inconclusive else { return }
    (regime, second, isUpstream, confidence) = (.transferBound, nil, false, share > 0.5 ? .high : .medium)
    title = "transfer-bound (pages of unified memory move between host and device, and kernels wait for them)"
    confirm = "cudaMemPrefetchAsync before the kernels, or cudaMalloc and explicit copies: the rate should rise"
    evidence.append("Pages of unified memory moved \(device.share(device.copies.unifiedNanoseconds)) of the time.")
  }

  /// Graphs that are recorded whole hide what runs in them: their time is an upper bound of their kernels'.
  mutating func weighHiddenKernels(_ device: DeviceExplanation) {
    guard device.hiddenShare > DeviceExplanation.largestHiddenShare,
      regime == .deviceBound || regime == .underfilled || regime == .computeBound || regime == .memoryBound
    else { return }
    (regime, second) = (.deviceBound, nil)
    confidence = min(confidence, .medium)
    title =
      "GPU-bound: CUDA graphs run \(NumberInWords.percent(Double(device.busy.kernel) / Double(device.wall))) of the time; their kernels are not in the trace"
    confirm = "nsys profile --cuda-graph-trace=node -- COMMAND: which kernels, and the gaps between them"
  }

  /// Collectives that nothing hides.
  mutating func weighCommunication(_ device: DeviceExplanation) {
    let share = Double(device.shares.communicationAlone) / Double(device.wall)
    guard share > Self.notableCommunication else { return }
    evidence.append("Collectives ran \(device.share(device.shares.communicationAlone)) of the time with no other kernel beside them.")
    guard regime == .deviceBound || regime == .underfilled || regime == .computeBound || regime == .memoryBound else { return }
    if share > Self.communicationShare {
      (regime, second) = (.deviceBound, nil)
      confidence = min(confidence, share > 0.5 ? .high : .medium)
      title = "communication-bound: \(NumberInWords.percent(share)) of the time collectives run with nothing beside them"
      confirm =
        "the trace of another rank: a rank that waits for a slower one spends it in its collective; nccl-tests for the link"
    } else {
      title += "; \(NumberInWords.percent(share)) of the time only collectives run"
    }
  }

  /// A model that generates token by token, and a host that works between the steps.
  mutating func weighDecoding(_ device: DeviceExplanation) {
    let idle = Double(device.shares.idleBehindResults) / Double(device.wall)
    guard device.shares.isDecoding, device.shares.waitsBehindResults >= 10, idle >= Self.smallestIdleShare,
      isUpstream || regime == .noBatchPipelining || regime == nil
    else { return }
    (regime, second, isUpstream, confidence) = (.noBatchPipelining, nil, false, .medium)
    named = .HR401
    title = "decode loop: the GPU idles while the host samples, schedules and prepares the next token's step"
    confirm = "asynchronous scheduling (vLLM --async-scheduling, SGLang's overlap schedule): the gap per step should go"
    evidence.append(
      "Behind \(Figure(Double(device.shares.waitsBehindResults), .count, device.kind, source: "trace: copies of at most 64 KB to the host")) small results the GPU idled \(device.share(device.shares.idleBehindResults)) of the time."
    )
  }

  /// A file of which a part could not be read.
  mutating func weighDamage() {
    confidence = min(confidence, .medium)
    evidence.append("Parts of the file could not be read: what they held may say otherwise.")
  }

  /// Launches and kernels are there, and nothing that joins them.
  mutating func weighMissingJoin(launches: Int, _ device: DeviceExplanation) {
    guard confidence == .inconclusive, launches > 0, device.busy.kernels > 0,
      device.unlinked >= device.busy.kernels + device.busy.copies
    else { return }
    title = "inconclusive: calls and GPU work carry no correlation that would join them"
    confirm = "the trace as the profiler wrote it: filters and converters drop args.correlation (correlationId)"
  }

  /// No CUDA call at all: what launched the work was not recorded.
  mutating func weighMissingCalls() {
    guard confidence == .inconclusive else { return }
    title = "inconclusive: the trace holds no CUDA calls, so that nothing says why the GPU idled"
    confirm = "record the calls too: nsys profile --trace=cuda, or torch.profiler with activities=[CPU, CUDA]"
  }

  /// Work that waits for something unseen, while another GPU of the trace works: they take turns.
  mutating func weigh(others activities: [DeviceActivity], main: Int, _ device: DeviceExplanation) {
    let waiting = Double(device.idle[.dependency])
    guard activities.count > 1, waiting >= Self.smallestIdleShare * Double(device.wall), waiting > 0.5 * Double(device.idle.total) else {
      return
    }
    var ranges: [Range<Int64>] = []
    for (index, other) in activities.enumerated() where index != main {
      for event in other.events where event.end > event.start { ranges.append(event.start..<event.end) }
    }
    let work = DisjointRanges(merging: ranges)
    var covered: Int64 = 0
    activities[main].eachGap { gap, _, _ in covered = covered.addingSaturated(work.covered(gap)) }
    guard Double(covered) > 0.7 * Double(device.idle.total) else { return }
    (regime, second, isUpstream, confidence) = (nil, nil, false, .medium)
    isWaitingForOthers = true
    title = "the GPUs take turns: this one waits while another works"
    confirm = "smaller micro-batches (pipeline parallelism), or tensor parallelism: the GPUs' busy times should overlap"
    evidence.append("While it idled another GPU of the trace worked \(device.share(covered)) of the time.")
  }
}
