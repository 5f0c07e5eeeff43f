import CheckedNumbers
import Diagnosis
import GPUModel

/// Findings of one device's trace, largest gain first.
public struct TraceFindings: Sendable {
  /// Found.
  public internal(set) var found: [TraceFinding] = []
  /// Relative error with which the unedited replay reproduces the trace; nil where nothing could be replayed.
  public private(set) var replayError: Double?
  /// Why nothing was replayed; nil where it was.
  public private(set) var refusal: String?

  /// Idle time of one kind below this share of the span is no finding.
  static let smallestIdleShare = 0.05
  /// More of the device's work without a launch than this cannot be replayed.
  static let largestUnlinkedShare = 0.05

  let device: DeviceExplanation
  let graph: ReplayGraph?
  let verdict: TraceVerdict
  let before: ReplayGraph.Outcome?
  let requests: RequestUse?
  let metrics: GPUMetrics?
  let model: ModelUse?
  let load: KnownLoad?

  /// Looks for every finding that a trace can show. `graph` replays the whole trace; nil where there is none.
  public init(
    _ device: DeviceExplanation, verdict: TraceVerdict, graph: ReplayGraph?, requests: RequestUse? = nil, metrics: GPUMetrics? = nil,
    model: ModelUse? = nil, load: KnownLoad? = nil
  ) {
    self.device = device
    self.verdict = verdict
    self.requests = requests
    self.metrics = metrics
    self.model = model
    self.load = load
    var usable = graph
    if let graph {
      if graph.unlinkedShare > Self.largestUnlinkedShare {
        refusal = "the launches of \(NumberInWords.percent(graph.unlinkedShare)) of the device's work are not in the trace"
        usable = nil
      } else {
        let error = graph.reproductionError
        replayError = error
        if error > ReplayGraph.gate {
          refusal = "the unedited trace is reproduced only to within \(NumberInWords.percent(error)) (3 % allowed)"
          usable = nil
        }
      }
    } else {
      refusal =
        "the trace has no launches to replay, is cut to a window, or holds over 300,000 kernels and copies"
    }
    self.graph = usable
    before = usable?.run()
    addSteadiness()
    if verdict.regime == .notSteady || found.contains(where: { $0.code == .HR103 }) { refusal = "the window is not steady" }
    if verdict.isWaitingForOthers { refusal = "the GPUs wait for each other, which a replay of the trace does not know" }
    if device.busy.kernels + device.busy.copies < TraceVerdict.minimumKernels { refusal = "the trace holds too few kernels and copies" }
    addIdleFindings()
    addDecodeFinding()
    addCopyFindings()
    addKernelFindings()
    addServingFindings()
    if verdict.isUpstream { limitToArrivals() }
    // What is quantified first, then by size; codes break ties.
    found.sort { left, right in
      (right.gain.change ?? -1, left.code.rawValue) < (left.gain.change ?? -1, right.code.rawValue)
    }
  }

  /// Where the limit may lie before the GPU, nothing done behind it is sure to raise throughput: at the same arrivals it gains nothing.
  private mutating func limitToArrivals() {
    for index in found.indices where found[index].effect == .throughput {
      guard case .replayed(let figure) = found[index].gain else { continue }
      found[index].gain = .ifBacklogged(figure)
    }
  }

  /// What is worth a line: a change of two percent or more, or an unknown one of the limiting kind.
  public var recommendations: [TraceFinding] {
    if verdict.regime == .notSteady || TraceVerdict.isTooLittle(device) { return [] }
    let worth = found.filter { ($0.gain.change ?? 0) >= TraceFinding.smallestChange }
    let unknown = found.filter {
      if case .notQuantified = $0.gain { return $0.code != .HR103 && $0.effect == .throughput }
      return false
    }
    return Array((worth + unknown).prefix(3))
  }

  var wall: Double { Double(device.wall) }

  func share(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / wall }

  /// Throughput with an edit made, by replay; the reason where it cannot be had.
  func replay(_ edit: ReplayEdit) -> TraceFinding.Gain {
    if let refusal { return .notQuantified(refusal) }
    guard let graph, let before, let edited = graph.edited(edit) else { return .notQuantified("nothing in the trace to change") }
    let after = edited.graph.run()
    var change = Double(before.span) / Double(max(1, after.span)) - 1
    // Against the program without the profiler, where its rate is known: the replay holds the profiler's cost, the rate does not.
    if let rate = device.counters.rate, let perSecond = rate.unprofiledPerSecond, perSecond > 0 {
      change = rate.stepsInTrace / (Double(max(1, after.span)) / 1e9) / perSecond - 1
      if change <= 0 { return .notQuantified("the trace with the change is no faster than the program without the profiler") }
    }
    // The gate's error on either side is what a replay is good for.
    let error = max(replayError ?? 0, 0.01) * (1 + change)
    return .replayed(
      Figure(change, .share, .simulated, source: "replay of the trace's dependencies", interval: change - error...change + error))
  }

  /// A bound: the span without so many nanoseconds, but no shorter than what is left of the device's work.
  func bound(without nanoseconds: Double, floor: Double) -> TraceFinding.Gain {
    if device.busy.kernels + device.busy.copies < TraceVerdict.minimumKernels {
      return .notQuantified("the trace holds too few kernels and copies")
    }
    if verdict.regime == .notSteady { return .notQuantified("the window is not steady") }
    let after = max(floor, wall - nanoseconds)
    guard after > 0 else { return .notQuantified("nothing would be left") }
    return .atMost(Figure(wall / after - 1, .share, .estimated, source: "the span without this time"))
  }

  private mutating func addSteadiness() {
    let quarters = device.quarters
    guard quarters.count == 4, wall > 20e6, device.busy.kernels >= 200 else { return }
    let rest = quarters.dropFirst()
    let mean = rest.reduce(0, +) / 3
    guard mean > 0.02, quarters[0] < 0.5 * mean, let low = rest.min(), let high = rest.max(), high < 1.3 * low else { return }
    found.append(
      TraceFinding(
        .HR103, .medium,
        seen: [
          "Kernels ran \(Figure(quarters[0], .share, device.kind, source: "trace")) of the first quarter and \(Figure(mean, .share, device.kind, source: "trace")) of the rest."
        ],
        fix: "cut the window: --from \(NumberInWords.seconds(nanoseconds: wall / 4))", effect: .throughput,
        gain: .notQuantified("the window is not steady")))
  }

  private mutating func addIdleFindings() {
    let idle = device.idle
    let late = idle.byCause[.launchLate, default: 0] + idle.byCause[.launchCall, default: 0]
    let launch = share(late)
    if launch >= Self.smallestIdleShare, !verdict.isWaitingForOthers {
      let gain = replay(.cudaGraphs)
      let median = Figure(Double(idle.medianLength) / 1e3, .microseconds, device.kind, source: "trace")
      found.append(
        TraceFinding(
          .HR132, launch > 0.2 ? .high : .medium,
          seen: [
            "The GPU was idle \(device.share(late)) of the time because the next kernel's launch came late; the median gap is \(median)."
          ],
          fix: "CUDA graph: torch.compile(mode=\"reduce-overhead\"), or capture the step", effect: .throughput, gain: gain))
    }
    let loop = share(idle[.loop])
    // The tokens that a generating model reads back are its output: its host gap is a finding of its own.
    let reads = device.shares.isDecoding ? 0 : graph?.edited(.withoutScalarReads)?.places ?? 0
    if reads >= 10 {
      found.append(
        TraceFinding(
          .HR134, .high,
          seen: [
            "\(Figure(Double(reads), .count, device.kind, source: "trace")) copies of a few bytes to the host, each waited for, with the GPU idle behind."
          ],
          fix: "drop .item()/bool(tensor) from the loop: keep scalars on the GPU", effect: .throughput, gain: replay(.withoutScalarReads)))
    }
    // The waits behind scalars are that finding's.
    if loop >= Self.smallestIdleShare, reads < 10 {
      let gain = bound(without: Double(idle[.loop]), floor: Double(device.busy.device))
      found.append(
        TraceFinding(
          .HR131, .medium,
          seen: [
            "The GPU was idle \(device.share(idle[.loop])) of the time between the host's return from a synchronization and its next launch."
          ],
          fix: "launch the next batch before waiting for this one; in Triton instance_group { count: 2 }", effect: .throughput, gain: gain))
    }
    let calls = share(idle[.calls])
    if calls >= Self.smallestIdleShare, verdict.regime != .notSteady {
      found.append(
        TraceFinding(
          .HR134, calls > 0.2 ? .high : .medium,
          seen: [
            "The GPU was idle \(device.share(idle[.calls])) of the time while the host was in calls that allocate, load or query\(device.waitedCall.map { ", most in " + $0 } ?? "")."
          ],
          fix: "no allocation, load or query in the loop: warm up first; cudaMallocAsync or a caching allocator", effect: .throughput,
          gain: bound(without: Double(idle[.calls]), floor: Double(device.busy.device))))
    }
    if share(idle[.device]) >= Self.smallestIdleShare {
      found.append(
        TraceFinding(
          .HR133, .high,
          seen: ["Between kernels that were already queued the GPU took \(device.share(idle[.device])) of the time."],
          fix: "fuse kernels; programmatic dependent launch; a persistent kernel", effect: .throughput, gain: replay(.shorterDispatch)))
    }
  }

  private mutating func addCopyFindings() {
    let pageable = device.copies.pageableNanoseconds
    if share(pageable) >= Self.smallestIdleShare {
      let rate = linkRate
      let gain: TraceFinding.Gain =
        rate.map { replay(.pinnedCopies(bytesPerSecond: $0)) } ?? .notQuantified("the link's rate is unknown: name the GPU with --gpu")
      found.append(
        TraceFinding(
          .HR141, .high,
          seen: ["Copies of pageable memory took \(device.share(pageable)) of the time."],
          fix: "pinned memory: tensor.pin_memory() and .to(device, non_blocking=True)", effect: .throughput, gain: gain))
    }
    let nonOverlappedMemcpy = share(device.busy.nonOverlappedMemcpy)
    if nonOverlappedMemcpy >= 0.1, share(device.busy.kernel) >= 0.1 {
      let floor = Double(max(device.busy.kernel, device.busy.copy))
      found.append(
        TraceFinding(
          .HR142, .medium,
          seen: ["Copies ran \(device.share(device.busy.nonOverlappedMemcpy)) of the time with no kernel beside them."],
          fix: "a copy stream of its own and two buffers", effect: .throughput,
          gain: bound(without: Double(device.busy.nonOverlappedMemcpy), floor: floor)))
    }
    if let large = device.copies.largePinned, let rate = linkRate, large.count >= 3, large.rate < 0.5 * rate {
      let saved = Double(large.nanoseconds) * (1 - large.rate / (0.9 * rate))
      guard saved / wall >= 0.02 else { return }
      found.append(
        TraceFinding(
          .HR143, .medium,
          seen: [
            "Pinned copies of a megabyte or more ran at \(Figure(large.rate, .bytesPerSecond, device.kind, source: "trace")); the link carries \(Figure(rate, .bytesPerSecond, .estimated, source: "PCI Express generation"))."
          ],
          fix: "check slot and NUMA node: nvidia-smi topo -m; nvidia-smi -q -d PCIE", effect: .throughput,
          gain: bound(without: saved, floor: Double(device.busy.kernel))))
    }
  }

  /// What pinned copies reach: 55.4 GB/s measured on PCI Express 5; each generation half of the next.
  private var linkRate: Double? {
    guard let generation = device.facts.gpu?.pcieGeneration, (3...6).contains(generation) else { return nil }
    var rate = 55.4e9
    for _ in generation..<5 { rate /= 2 }
    if generation == 6 { rate *= 2 }
    return rate
  }

  private mutating func addKernelFindings() {
    let kernels = device.kernels
    let total = Double(max(1, kernels.total))
    let busy = share(device.busy.kernel)
    func part(_ role: KernelName.Role) -> Double { Double(kernels.byRole[role] ?? 0) / total }
    func figure(_ value: Double) -> Figure { Figure(value, .share, .estimated, source: "trace: share of kernel time") }
    if let fill = kernels.computingFill, fill < 0.5, busy >= 0.1, device.hiddenShare <= DeviceExplanation.largestHiddenShare {
      addUnderfilled(fill, figure(fill))
    }
    if let gpu = device.facts.gpu, gpu.computeCapability.major >= 7 {
      addKernelClass(gpu, total, busy, figure)
    }
    let elementwise = Double(kernels.rows.reduce(Int64(0)) { $0 + ($1.parsed.role.isElementwise ? $1.total : 0) }) / total
    if elementwise > 0.2, busy >= 0.1 {
      let gain: TraceFinding.Gain
      if case .replayed(let figure) = replay(.withoutElementwiseKernels) {
        gain = .atMost(figure)
      } else {
        gain = bound(without: elementwise * Double(device.busy.kernel), floor: (1 - elementwise) * Double(device.busy.kernel))
      }
      found.append(
        TraceFinding(
          .HR204, .high, seen: ["Element-wise, normalization, softmax and layout kernels take \(figure(elementwise)) of kernel time."],
          fix: "fuse them: torch.compile, TensorRT, or fused operators", effect: .gpuTime, gain: gain))
    }
    if let products = device.products, Double(products.streamingNanoseconds) > 0.3 * total, busy >= 0.1 {
      addWeightStreaming(products, total, figure)
    }
    if let products = device.products, let gpu = device.facts.gpu, busy >= 0.1 { addWeightsBeyondL2(products, gpu, total) }
    if let slots = kernels.slotEfficiency, slots < 0.8, let balance = kernels.waveBalance, balance < 0.8, kernels.severalWavesShare > 0.3 {
      addWaveTail(slots, figure(slots))
    }
    if part(.softmax) > 0.05, part(.attention) == 0, part(.tensorGEMM) + part(.plainGEMM) + part(.unknownGEMM) > 0.1 {
      let saved = part(.softmax) * Double(device.busy.kernel)
      found.append(
        TraceFinding(
          .HR213, .medium, seen: ["Softmax kernels take \(figure(part(.softmax))) of kernel time and no fused attention ran."],
          fix: "scaled_dot_product_attention, or a TensorRT attention plugin", effect: .gpuTime,
          gain: bound(without: saved, floor: Double(device.busy.kernel) - saved)))
    }
    addSlowing(total)
    addRedundantWork()
  }

  private mutating func addKernelClass(_ gpu: GPU, _ total: Double, _ busy: Double, _ figure: (Double) -> Figure) {
    let rows = device.kernels.rows
    let plain =
      Double(rows.reduce(Int64(0)) { $0 + ($1.parsed.role == .plainGEMM && !$1.fullName.contains("gemv") ? $1.total : 0) }) / total
    // Kernels built for Ampere run on 9.0 and 10.x at a third of the rate; on 12.0 they are the usual ones.
    let isOld = (9...10).contains(gpu.computeCapability.major)
    let old =
      isOld
      ? Double(rows.reduce(Int64(0)) { $0 + ($1.parsed.role == .tensorGEMM && ($1.parsed.architecture ?? 90) < 90 ? $1.total : 0) }) / total
      : 0
    if plain > 0.1, busy >= 0.1 {
      let saved = plain * 0.75 * Double(device.busy.kernel)
      found.append(
        TraceFinding(
          .HR203, .high,
          seen: ["Matrix products without tensor cores take \(figure(plain)) of kernel time."],
          fix: "fp16/bf16, or torch.set_float32_matmul_precision(\"high\") for TF32", effect: .gpuTime,
          gain: bound(without: saved, floor: Double(device.busy.kernel) - saved)))
    } else if old > 0.1, busy >= 0.1 {
      let saved = old * 0.67 * Double(device.busy.kernel)
      found.append(
        TraceFinding(
          .HR203, .medium,
          seen: ["Products in kernels for compute capability 8.0 take \(figure(old)) of kernel time on a \(gpu.name)."],
          fix: "pad N and K to multiples of 8, or rebuild the engine on this GPU", effect: .gpuTime,
          gain: bound(without: saved, floor: Double(device.busy.kernel) - saved)))
    }
  }
}

/// Numbers inside reasons and settings, where no figure stands.
enum NumberInWords {
  static func percent(_ share: Double) -> String {
    guard share.isFinite else { return "unknown" }
    let percent = share * 100
    return percent < 10 ? "\((percent * 10).rounded() / 10) %" : "\(Int(saturating: percent.rounded())) %"
  }

  static func seconds(nanoseconds: Double) -> String { "\((nanoseconds / 1e6).rounded() / 1e3)" }
}
