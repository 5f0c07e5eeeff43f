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
  }

  /// Steps in their order.
  public enum Step: String, Sendable, Hashable, CaseIterable {
    /// No work existed.
    case starvedIdle
    /// The batcher kept requests for company.
    case heldIdle
    /// Work waited.
    case stalledIdle
    /// Cause unseen.
    case unattributedIdle
    /// Copies alone.
    case copyOnly
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
      case .starvedIdle: "starved idle (no request waited)"
      case .heldIdle: "held idle (batcher waiting for company)"
      case .stalledIdle: "stalled idle (a batch was due)"
      case .unattributedIdle: "idle, cause unseen"
      case .copyOnly: "copies alone"
      case .emptySMs: "kernel-busy, SMs empty"
      case .belowRoof: "SM active, below the binding roof"
      case .redundant: "at the roof, redundant rows"
      case .useful: "at the roof, useful"
      }
    }

    /// One sentence.
    public var explanation: String {
      switch self {
      case .starvedIdle: "Nothing ran and no request had reached the batcher: the limit lies upstream."
      case .heldIdle:
        "Nothing ran while the batcher, with an instance waiting, let requests wait for more rows: its delay, or a size never reached. Where requests come slowly this is the limit upstream, seen from the device."
      case .stalledIdle: "Nothing ran although a batch was due: wake-up, hand-over, gathering, launching, and gaps between its kernels."
      case .unattributedIdle: "Nothing ran, and the trace does not show why."
      case .copyOnly: "Only copies between host and device ran."
      case .emptySMs: "A kernel ran on a part of the SMs: 1 - SM fill of kernel-busy time."
      case .belowRoof: "SMs held blocks, and the kernel was slower than its binding roof (arithmetic or bandwidth) allows."
      case .redundant: "What the roof allows, spent on rows that are copies of other rows."
      case .useful: "What the roof allows, spent on work that is in the answer; padding and cancelled work are not known here."
      }
    }
  }

  /// Bars in their order; those that are zero too.
  public var bars: [Bar]

  /// From attributed device time and what the kernels are.
  ///
  /// - Parameters:
  ///   - smFill: SMs holding a block while a kernel runs; nil where unknown, and everything below stays one bar.
  ///   - shareOfRoof: kernels' share of their binding roof.
  ///   - redundantShare: share of the work on copies of rows; nil where there is no graph to prove it by.
  public init(_ time: DeviceTime, kind: Figure.Kind, smFill: Figure?, shareOfRoof: Figure?, redundantShare: Figure?) {
    let wall = Double(max(1, time.wall))
    let busy = Double(time.kernelBusy) / wall
    let fill = min(max(smFill?.value ?? 1, 0), 1)
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
    add(.starvedIdle, Double(time.starvedIdle) / wall, source: trace, isEstimated: false, isBusy: false)
    add(.heldIdle, Double(time.heldIdle) / wall, source: trace, isEstimated: false, isBusy: false)
    add(.stalledIdle, Double(time.stalledIdle) / wall, source: trace, isEstimated: false, isBusy: false)
    add(.unattributedIdle, Double(time.unattributedIdle) / wall, source: trace, isEstimated: false, isBusy: false)
    add(.copyOnly, Double(time.copyOnly) / wall, source: trace, isEstimated: false, isBusy: false)
    let plan = "trace and plan: kernel-busy x share"
    add(.emptySMs, busy * (1 - fill), source: plan, isEstimated: true, isBusy: true)
    add(.belowRoof, busy * (fill - roof), source: plan, isEstimated: true, isBusy: true)
    add(.redundant, busy * roof * redundant, source: plan, isEstimated: true, isBusy: true)
    add(.useful, busy * roof * (1 - redundant), source: plan, isEstimated: true, isBusy: true)
    self.bars = bars
  }

  /// A step's bar.
  public subscript(step: Step) -> Bar? { bars.first { $0.step == step } }
}
