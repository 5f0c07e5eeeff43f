import CheckedNumbers
public import Diagnosis

/// What limits a device's work, as far as its trace shows it.
public struct TraceVerdict: Sendable, Hashable {
  /// What limits; nil where the trace cannot show it.
  public var regime: Regime?
  /// A second one that shares the limit.
  public var second: Regime?
  /// The limit lies before the GPU: its host, its requests or its data.
  public var isUpstream: Bool
  /// How sure.
  public var confidence: Confidence
  /// What it is, in the field's words.
  public var title: String
  /// What says so.
  public var evidence: [Sentence]
  /// The cheapest measurement that would decide or confirm.
  public var confirm: String
  /// The finding that names the limit where no regime does: a held clock, another process, work done twice. Nil for the regime itself.
  public var named: TraceFinding.Code?
  /// The device waits for other GPUs of the trace.
  public var isWaitingForOthers = false
  /// The limit before the GPU is the fetching of inputs.
  public var isWaitingForInput = false
  /// What files beside the trace say the time outside of CUDA was; nil where none does.
  private(set) var upstreamName: String?

  /// Above this share of the span kernels, or copies, are the limit by time.
  static let limitingShare = 0.7
  /// Where nothing more is known of kernels, they limit for certain above this share: a quarter of idle time may be worth as much.
  static let certainShare = 0.8
  /// A cause of idle time that takes less of the span decides nothing.
  static let smallestIdleShare = 0.1
  /// A second cause as large as this share of the first shares the limit.
  static let sharedLimit = 0.75
  /// Fewer kernels than that are an anecdote.
  static let minimumKernels = 20
  /// More idle time than this share of the span without a seen cause caps the verdict at "likely".
  static let largestUnseen = 0.2

  /// Of one device.
  public init(_ device: DeviceExplanation) {
    let wall = Double(device.wall)
    let kernel = Double(device.busy.kernel) / wall
    let nonOverlappedMemcpy = Double(device.busy.nonOverlappedMemcpy) / wall
    let idle = Double(device.idle.total) / wall
    func figure(_ nanoseconds: Int64) -> Figure { device.share(nanoseconds) }
    evidence = ["Kernels ran \(figure(device.busy.kernel)) of the time, non-overlapped memcpy \(figure(device.busy.nonOverlappedMemcpy))."]
    isUpstream = false
    second = nil
    regime = nil
    confidence = .inconclusive
    title = "inconclusive"
    confirm = "a longer trace of the steady state"

    let families = GapCause.Family.allCases.map { ($0, Double(device.idle[$0]) / wall) }.sorted { $0.1 > $1.1 }
    if nonOverlappedMemcpy > kernel, nonOverlappedMemcpy >= 0.3 {
      regime = .transferBound
      confidence = nonOverlappedMemcpy + kernel > Self.limitingShare ? .high : .medium
      let pageable = device.copies.pageableNanoseconds
      title = pageable * 2 > device.busy.nonOverlappedMemcpy ? "transfer-bound (copies of pageable memory)" : "transfer-bound"
      confirm = "repeat without the copies (data kept on the device): the rate should follow the kernels"
    } else if kernel >= Self.limitingShare {
      decideKernels(device)
      // Where the rest is the host's own time, the load may be what keeps kernels from more.
      let outside = Double(device.idle[.upstream]) / wall
      let isNearLimit = kernel >= Self.certainShare || regime != .deviceBound
      confidence = isNearLimit && !(outside > 0.05 && outside > idle / 2) ? .high : .medium
    } else if var (family, share) = families.first, share >= Self.smallestIdleShare {
      // A profiler stretches launches and not silence: of two that are nearly equal the silence counts.
      let silence = Double(device.idle[.upstream]) / wall
      let launchesToo = family == .launch && silence >= Self.sharedLimit * share
      if launchesToo { (family, share) = (.upstream, silence) }
      decide(family, share, device)
      if launchesToo {
        second = .launchBound
        title += ", and launch-bound while it is not"
      }
      if kernel >= 0.5 { noteKernels(device, kernel) }
      if !launchesToo, families.count > 1, families[1].1 >= Self.sharedLimit * share, let other = Self.regime(of: families[1].0),
        other != regime,
        regime != nil, family != .upstream
      {
        second = other
        title += " and " + Self.name(families[1].0)
      }
    } else if nonOverlappedMemcpy + kernel >= Self.limitingShare {
      decideKernels(device)
      confidence = .medium
    }
    let loop = Double(device.idle[.loop]) / wall
    // The tokens that a generating model reads back are its output.
    if device.copies.scalarReads >= Self.minimumKernels, !device.shares.isDecoding, loop >= Self.smallestIdleShare,
      regime == .noBatchPipelining || regime == .launchBound
    {
      (regime, second) = (.noBatchPipelining, nil)
      title = "unnecessary synchronization: the host reads scalars back and waits each time"
      confidence = .high
      confirm = "drop .item() and bool(tensor) from the loop and measure again"
    }
    if idle > 0 {
      for (family, share) in families.prefix(2) where share >= 0.02 {
        evidence.append("Idle, \(Self.name(family)): \(figure(device.idle[family])).")
      }
    }
    // What is not seen cannot be sure.
    if Double(device.idle[.unknown]) / wall > Self.largestUnseen { confidence = min(confidence, .medium) }
    weighUnifiedMemory(device)
    weighHiddenKernels(device)
    weighCommunication(device)
    weighDecoding(device)
    if device.busy.kernels + device.busy.copies < Self.minimumKernels {
      confidence = min(confidence, .medium)
      evidence.append(
        "The trace holds few kernels, \(Figure(Double(device.busy.kernels), .count, .measured, source: "trace")): no more is certain.")
    }
    weighStartUp(device)
    weighAmount(device)
    title = device.facts.vendor.words(title)
    confirm = device.facts.vendor.words(confirm)
  }

  private mutating func decide(_ family: GapCause.Family, _ share: Double, _ device: DeviceExplanation) {
    regime = Self.regime(of: family)
    confidence = share > 0.5 ? .high : .medium
    switch family {
    case .launch:
      if 2 * device.idle.byCause[.graphLaunch, default: 0] > device.idle[.launch] {
        title = "launch-bound: the GPU waits for CUDA graphs to be launched"
        confirm = "launch the next graph before waiting for the one that runs; fewer, larger graphs"
      } else {
        title = "launch-bound: the GPU waits for the host to launch kernels"
        confirm = "capture the step in a CUDA graph (torch.compile(mode=\"reduce-overhead\"))"
      }
    case .device:
      title = "inter-kernel gaps: short kernels, one after the other"
      confirm = "fuse kernels, or run two streams: the GPU's own gaps should fill"
    case .loop:
      title = "no pipelining: the GPU waits while the host ends one batch and begins the next"
      confidence = min(confidence, .medium)
      confirm = "a second instance (instance_group { count: 2 }): throughput should rise"
    case .transfer:
      title = "transfer-bound: the GPU waits for copy calls of the host"
      confirm = "repeat without the copies (data kept on the device)"
    case .upstream:
      // Whether the host waits for requests or computes something is not in the file.
      regime = nil
      isUpstream = true
      title = "upstream of the GPU: its launch thread is outside CUDA, with nothing to launch"
      confidence = .medium
      // Where the scheduler was recorded, waiting and computing are told apart; else the silence has no name.
      let causes: [GapCause] = [.hostOutsideCUDA, .blocked, .offCPU, .hostComputing]
      let most = causes.max { device.idle.byCause[$0, default: 0] < device.idle.byCause[$1, default: 0] } ?? .hostOutsideCUDA
      confirm = most.nextMeasurement ?? ""
      if most == .hostComputing, 2 * device.idle.byCause[most, default: 0] > device.idle[.upstream] {
        title = "the host's own computing: the launch thread is on the CPU, outside CUDA, and launches nothing"
      }
    case .calls:
      title = "the GPU waits for CUDA calls that allocate, load or query" + (device.waitedCall.map { ", most for \($0)" } ?? "")
      confirm = "repeat after a warm-up; with a caching allocator, and without queries in the loop"
    case .overhead:
      title = "inconclusive: the GPU mostly waits while the profiler or the driver works for itself"
      regime = nil
      confidence = .inconclusive
      confirm = "record again after a warm-up, with fewer kinds of events"
    case .dependency:
      title = "inconclusive: queued work waits for something that the trace does not show"
      regime = nil
      confidence = .inconclusive
      confirm = GapCause.dependency.nextMeasurement ?? ""
    case .unknown:
      title = "inconclusive: the launches of most work are not in the trace"
      regime = nil
      confidence = .inconclusive
      confirm = GapCause.launchNotRecorded.nextMeasurement ?? ""
    }
  }

  /// Kernels are busy, and a cause of idle time is nearly as large.
  private mutating func noteKernels(_ device: DeviceExplanation, _ share: Double) {
    let idle = 1 - share
    if idle < share { confidence = min(confidence, .medium) }
  }

  private mutating func decideKernels(_ device: DeviceExplanation) {
    let total = Double(max(1, device.kernels.total))
    let tensor = (device.kernels.tensor?.estimate ?? 0) / total
    // Only kernels whose names say that they move data: what an unknown kernel computes is not in its record.
    // A product of a matrix and a vector reads each weight for one multiplication: it moves data, too.
    let moving =
      Double(
        device.kernels.rows.reduce(Int64(0)) { sum, row in
          let moves = row.parsed.role.isElementwise || row.parsed.role.isProduct && row.fullName.contains("gemv")
          return moves && row.median >= 5_000 ? sum.addingSaturated(row.total) : sum
        }) / total
    let streaming = Double(device.products?.streamingNanoseconds ?? 0) / total
    regime = .deviceBound
    title = "GPU-bound: kernels run \(NumberInWords.percent(Double(device.busy.kernel) / Double(device.wall))) of the time"
    confirm = "hardware counters of one step (ncu --set full), or the model: headroom explain ... --onnx MODEL"
    if let fill = device.kernels.computingFill, fill < 0.5 {
      regime = .underfilled
      title = "kernels too small to fill the GPU"
      evidence.append("SMs with a resident block, weighted by time: \(Figure(fill, .share, .estimated, source: "grids and SM count")).")
      confirm = "two instances or a larger batch: the rate should rise with the same kernel times"
    } else if tensor > 0.6 {
      regime = .computeBound
      title = "compute-bound: tensor cores are the limit"
      evidence.append(
        "Tensor pipe active in kernels, predicted: \(Figure(tensor, .share, .estimated, source: "tiles and durations")).")
      confirm = "nvidia-smi -q -d CLOCK,POWER during the run: is the clock below boost?"
    } else if let slots = device.kernels.slotEfficiency, slots < 0.65, device.kernels.waveBalance ?? 1 < 0.65,
      device.kernels.severalWavesShare > 0.6
    {
      regime = .underfilled
      title = "wave quantization: \(NumberInWords.percent(1 - slots)) of the kernels' block slots stay empty in their last wave"
      confirm = "another batch size or tile: the kernel time per row should fall"
    } else if streaming > 0.5 || streaming + moving > 0.6 && streaming > moving {
      regime = .memoryBound
      title = "memory-bandwidth-bound: products stream their weights"
      evidence.append(
        "Products whose bytes take longer than their arithmetic, at 60 % of the memory's bandwidth or more: \(Figure(streaming, .share, .estimated, source: "shapes and kernel times")) of kernel time."
      )
      confirm = "twice the batch: the kernel time should hardly rise"
    } else if moving > 0.6 {
      regime = .memoryBound
      title = "memory-bandwidth-bound: most kernel time is in kernels that only move data"
      confirm = "DCGM 1005 during the run: about 0.8 is the practical ceiling"
    }
  }

  static func regime(of family: GapCause.Family) -> Regime? {
    switch family {
    case .launch: .launchBound
    case .device: .interKernelGaps
    case .loop, .calls: .noBatchPipelining
    case .transfer: .transferBound
    case .upstream, .dependency, .unknown, .overhead: nil
    }
  }

  /// What the trace alone cannot name is named after what files beside it decided: picture and verdict say the same.
  func name(_ family: GapCause.Family) -> String {
    family == .upstream ? upstreamName ?? Self.name(family) : Self.name(family)
  }

  /// Names the time that was spent outside of CUDA after what a file beside the trace has just decided of it.
  mutating func nameUpstream() {
    upstreamName =
      switch regime {
      case _ where isWaitingForInput: "fetching input"
      case .loadLimited: "waiting for requests"
      case .clientBound: "waiting for the load generator"
      case .frontEndBound: "requests in the front end"
      case .batchingBound: "batching delay"
      case .noBatchPipelining: "host overhead between batches"
      default: upstreamName
      }
  }

  static func name(_ family: GapCause.Family) -> String {
    switch family {
    case .launch: "waiting for launches"
    case .device: "between queued kernels"
    case .dependency: "queued work waiting for other work"
    case .loop: "host between batches"
    case .transfer: "host in copy calls"
    case .upstream: "host outside CUDA"
    case .calls: "other CUDA calls"
    case .unknown: "launch not recorded"
    case .overhead: "profiler or driver overhead"
    }
  }
}
