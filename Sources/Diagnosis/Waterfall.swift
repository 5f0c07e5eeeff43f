/// Where wall time went, from the wall down to useful work. Bookkeeping: it adds to 100 % by construction, and no bar is a gain. The order
/// is a convention.
public struct Waterfall: Sendable, Hashable {
  /// A bar.
  public struct Bar: Sendable, Hashable {
    /// What it is.
    public var step: Step
    /// Share of wall time.
    public var ofWall: Figure
    /// Share of the time in which a kernel ran; nil for the bars above it.
    public var ofBusy: Figure?
    /// Computed with a model rather than read off the trace: drawn hatched.
    public var isEstimated: Bool

    /// A bar with every field stated.
    public init(step: Step, ofWall: Figure, ofBusy: Figure?, isEstimated: Bool) {
      self.step = step
      self.ofWall = ofWall
      self.ofBusy = ofBusy
      self.isEstimated = isEstimated
    }
  }

  /// Steps in their order.
  public enum Step: String, Sendable, Hashable, CaseIterable {
    /// Nothing ran because the load generator held requests back.
    case generatorIdle
    /// Nothing ran because requests were still on the network.
    case networkIdle
    /// Nothing ran because requests were still in the front end.
    case frontEndIdle
    /// No work existed.
    case noRequestsIdle
    /// The batcher held requests for the batch to fill.
    case batchingDelayIdle
    /// Work waited.
    case hostOverheadIdle
    /// Cause unseen.
    case unattributedIdle
    /// Non-overlapped memcpy.
    case nonOverlappedMemcpy
    /// A kernel ran; SMs without a block.
    case emptySMs
    /// SMs active, below the binding roof.
    case belowRoof
    /// At the roof, on rows that are copies.
    case redundant
    /// At the roof, on work that is in the answer.
    case useful

    /// As printed.
    public var text: String {
      switch self {
      case .generatorIdle: "idle: waiting for the load generator"
      case .networkIdle: "idle: waiting for the network"
      case .frontEndIdle: "idle: waiting for the front end"
      case .noRequestsIdle: "idle: no requests"
      case .batchingDelayIdle: "idle: batching delay"
      case .hostOverheadIdle: "idle: host overhead between batches"
      case .unattributedIdle: "idle: cause not recorded"
      case .nonOverlappedMemcpy: "non-overlapped memcpy"
      case .emptySMs: "busy: SMs without a block"
      case .belowRoof: "busy: SMs active, below the roofline"
      case .redundant: "busy: at the roofline, redundant work"
      case .useful: "busy: at the roofline, useful work"
      }
    }

    /// One sentence.
    public var explanation: String {
      switch self {
      case .generatorIdle:
        "Nothing ran and the load generator limits: the queue was empty, or its requests were too few to fill a batch before the batching delay."
      case .networkIdle: "Nothing ran and the network limits: requests were on their way."
      case .frontEndIdle: "Nothing ran and the front end limits: requests were being received and parsed."
      case .noRequestsIdle: "Nothing ran and the queue was empty."
      case .batchingDelayIdle:
        "Nothing ran while the batcher, with an instance free, waited for more requests: max_queue_delay_microseconds, or a preferred_batch_size that is never reached."
      case .hostOverheadIdle:
        "Nothing ran although a batch was due: wake-up, hand-off, gathering inputs, launches, and gaps between its kernels."
      case .unattributedIdle: "Nothing ran, and the trace does not show why."
      case .nonOverlappedMemcpy: "Only copies between host and device ran."
      case .emptySMs: "A kernel ran on a part of the SMs: the share of SMs without a resident block, times GPU busy time."
      case .belowRoof: "SMs held blocks, and the kernel was slower than the roofline (arithmetic or bandwidth) allows."
      case .redundant: "What the roofline allows, spent on rows that are copies of other rows."
      case .useful: "What the roofline allows, spent on useful work; padding and cancelled work are not known here."
      }
    }

    /// Which of a page's nine colours: a category keeps its own, wherever it is drawn.
    public var style: Int {
      switch self {
      case .generatorIdle, .networkIdle, .frontEndIdle, .noRequestsIdle: 7
      case .batchingDelayIdle: 3
      case .hostOverheadIdle: 5
      case .unattributedIdle: 6
      case .nonOverlappedMemcpy: 4
      case .emptySMs: 1
      case .belowRoof: 0
      case .redundant: 8
      case .useful: 2
      }
    }

    /// For a bar in a terminal, so that no part is told by colour alone.
    public var letter: Character {
      switch self {
      case .generatorIdle: "G"
      case .networkIdle: "N"
      case .frontEndIdle: "F"
      case .noRequestsIdle: "R"
      case .batchingDelayIdle: "D"
      case .hostOverheadIdle: "H"
      case .unattributedIdle: "?"
      case .nonOverlappedMemcpy: "C"
      case .emptySMs: "e"
      case .belowRoof: "b"
      case .redundant: "r"
      case .useful: "u"
      }
    }

    /// True for the steps in which a kernel ran.
    public var isBusy: Bool { self == .emptySMs || self == .belowRoof || self == .redundant || self == .useful }
  }

  /// Bars in their order; those that are zero too.
  public var bars: [Bar]

  /// Bars that are known already.
  public init(bars: [Bar]) { self.bars = bars }

  /// From attributed device time and what the kernels are.
  ///
  /// - Parameters:
  ///   - residentSMShare: SMs holding a block while a kernel runs; nil where unknown, and everything below stays one bar.
  ///   - shareOfRoof: kernels' share of their binding roof.
  ///   - redundantShare: share of the work on copies of rows; nil where there is no graph to prove it by.
  public init(_ time: DeviceTime, kind: Figure.Kind, residentSMShare: Figure?, shareOfRoof: Figure?, redundantShare: Figure?) {
    let wall = Double(max(1, time.wall))
    let busy = Double(time.gpuBusy) / wall
    let fill = min(max(residentSMShare?.value ?? 1, 0), 1)
    // A kernel at the bandwidth roof may do with few SMs: the roof cannot exceed the fill in a ladder of shares.
    let roof = min(max(shareOfRoof?.value ?? fill, 0), fill)
    let redundant = min(max(redundantShare?.value ?? 0, 0), 1)
    let estimated = min(kind, .estimated)
    var bars: [Bar] = []
    func add(_ step: Step, _ ofWall: Double, source: String, isEstimated: Bool, isBusy: Bool) {
      let kind = isEstimated ? estimated : kind
      bars.append(
        Bar(
          step: step, ofWall: Figure(ofWall, .share, kind, source: source),
          ofBusy: isBusy && busy > 0 ? Figure(ofWall / busy, .share, kind, source: source) : nil, isEstimated: isEstimated))
    }
    let trace = "trace: union of intervals over the window"
    add(.noRequestsIdle, Double(time.noRequestsIdle) / wall, source: trace, isEstimated: false, isBusy: false)
    add(.batchingDelayIdle, Double(time.batchingDelayIdle) / wall, source: trace, isEstimated: false, isBusy: false)
    add(.hostOverheadIdle, Double(time.hostOverheadIdle) / wall, source: trace, isEstimated: false, isBusy: false)
    add(.unattributedIdle, Double(time.unattributedIdle) / wall, source: trace, isEstimated: false, isBusy: false)
    add(.nonOverlappedMemcpy, Double(time.nonOverlappedMemcpy) / wall, source: trace, isEstimated: false, isBusy: false)
    let plan = "trace and plan: GPU busy time x share"
    add(.emptySMs, busy * (1 - fill), source: plan, isEstimated: true, isBusy: true)
    add(.belowRoof, busy * (fill - roof), source: plan, isEstimated: true, isBusy: true)
    add(.redundant, busy * roof * redundant, source: plan, isEstimated: true, isBusy: true)
    add(.useful, busy * roof * (1 - redundant), source: plan, isEstimated: true, isBusy: true)
    self.bars = bars
  }

  /// The same with idle time under the name the verdict gives its cause. Where a place upstream of the queue limits, time without requests
  /// and the batcher's waiting for more of them are one and the same: that place sends too few.
  public func attributed(to verdict: Verdict) -> Waterfall {
    guard verdict.side == .upstream, let claim = verdict.claims.first, let stage = claim.stage else { return self }
    let step: Step
    switch stage {
    case .client: step = .generatorIdle
    case .network: step = .networkIdle
    case .frontEnd: step = .frontEndIdle
    default: return self
    }
    guard let noRequests = self[.noRequestsIdle], let batchingDelay = self[.batchingDelayIdle] else { return self }
    var copy = self
    copy.bars.removeAll { $0.step == .noRequestsIdle || $0.step == .batchingDelayIdle || $0.step == step }
    let sum = Figure(
      noRequests.ofWall.value + batchingDelay.ofWall.value, .share, min(noRequests.ofWall.kind, batchingDelay.ofWall.kind),
      source: "\(noRequests.ofWall.source); idle without requests and while the batcher waited, by the verdict")
    copy.bars.insert(Bar(step: step, ofWall: sum, ofBusy: nil, isEstimated: false), at: 0)
    return copy
  }

  /// Share of wall time in which nothing ran.
  public var idle: Double { bars.filter { !$0.step.isBusy && $0.step != .nonOverlappedMemcpy }.reduce(0) { $0 + $1.ofWall.value } }

  /// A step's bar.
  public subscript(step: Step) -> Bar? { bars.first { $0.step == step } }
}
