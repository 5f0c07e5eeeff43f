import CheckedNumbers
public import Diagnosis
import Glibc

/// What limits a running server, from its own statistics: no profile, no restart.
public struct ServerExplanation: Sendable {
  /// What limits.
  public enum Bottleneck: String, Sendable, Hashable {
    /// The server keeps up with what is offered.
    case loadLimited
    /// Batches are full and requests queue, and the GPU idles between batches: one batch after the other.
    case noPipelining
    /// Batches queue and the GPU works.
    case gpuBound
    /// Requests queue; whether the GPU or the host's part of a batch limits is not in the statistics.
    case instanceBound
    /// Nearly saturated: no verdict.
    case inconclusive
    /// The load was not the same throughout the window: no verdict.
    case notSteady
  }

  /// Something to change.
  public struct Change: Sendable, Hashable {
    /// throughput, p99, capacity or cost.
    public var effect: String
    /// As a setting or a command.
    public var fix: String
    /// What it does, in words with its figure.
    public var gain: String
    /// estimated, bound, measured.
    public var kind: String
    /// The code of the finding behind it.
    public var code: String
  }

  /// What happened.
  public let window: ServerWindow
  /// What limits.
  public private(set) var bottleneck: Bottleneck
  /// How sure.
  public private(set) var confidence: Confidence
  /// What says so.
  public private(set) var evidence: [Sentence]
  /// Requests per second the server can answer, with its interval; nil where unknown.
  public private(set) var capacity: Figure?
  /// The same at the goal for the 99th percentile, where one was given.
  public private(set) var maximumRateAtGoal: (goalMilliseconds: Double, figure: Figure)?
  /// The instances are always busy, with batches that have room for more requests.
  public private(set) var hasRoomInBatches = false
  /// Why batches were dispatched, as far as the statistics show it.
  public private(set) var dispatch: String
  /// At most three.
  public private(set) var changes: [Change]
  /// Changes that would buy nothing.
  public private(set) var noEffect: [String]
  /// Observed against predicted.
  public private(set) var mismatches: [String]
  /// What would confirm the verdict.
  public private(set) var confirm: String

  /// A batch's queue is a backlog, not a delay, where a request waits this many batches.
  /// (At 90 % utilization batches of one length wait 4.5 of them: M/D/1. Twenty is 97.5 %.)
  static let backlogBatches = 20.0
  /// An instance busy more than this has no room left, whatever waits: a queue of half a batch shows that work was there.
  static let busyInstance = 0.95
  /// Batches with more rows than this share of the largest are full: another request would not have fitted, or seldom.
  static let fullBatch = 0.9
  /// An instance busy less than this has room.
  static let roomyUtilization = 0.7
  /// A GPU busy less than this while requests queue is waiting for its host.
  static let idleGPU = 0.5
  /// Time between a batch's end and the next's start that the statistics do not hold: 0 to 16 % of the batch measured (Triton with a
  /// Python back end: 0.19 of 1.19 ms).
  static let unseenLoop: ClosedRange<Double> = 0...0.2

  /// Requests wait for many batches while the instances have none.
  public private(set) var hasUnexplainedQueue = false

  /// Explains a window. `goalMilliseconds`: the p99 to keep; `observed`: GPU utilization that somebody saw, 0...1.
  public init(_ window: ServerWindow, goalMilliseconds: Double? = nil, observed: Double? = nil) {
    self.window = window
    evidence = []
    changes = []
    noEffect = []
    mismatches = []
    let service = window.serviceMicroseconds
    let delay = Double(window.configuration?.queueDelayMicroseconds ?? 0)
    let waited = window.queueMicroseconds
    let backlog = waited - delay > Self.backlogBatches * max(service, 1)
    let growing = (window.pending.after ?? 0) > Self.backlogBatches * window.requestsPerBatch
    // A closed loop of a few users never has a long queue: an instance that is always busy is the limit all the same.
    let isBusy = window.utilization >= Self.busyInstance && waited - delay > 0.5 * service
    let isSaturated = (backlog || growing) && window.utilization > 0.6 || isBusy
    let gpu = window.gpuUtilization
    let isSteady = window.steadiness?.isSteady ?? true
    hasUnexplainedQueue = backlog && !isSaturated && isSteady
    if !isSteady {
      (bottleneck, confidence) = (.notSteady, .inconclusive)
    } else if hasUnexplainedQueue {
      // Requests that wait for twenty batches, and instances that have none: bursts, or a window of another length than was said.
      (bottleneck, confidence) = (.inconclusive, .inconclusive)
    } else if isSaturated {
      if let gpu {
        bottleneck = gpu < Self.idleGPU ? .noPipelining : .gpuBound
        confidence = gpu < Self.idleGPU || gpu > Self.roomyUtilization ? .high : .medium
      } else {
        bottleneck = .instanceBound
        confidence = isBusy ? .high : .medium
      }
    } else {
      // Close to its limit a queue is short and the utilization high: what the statistics do not hold may be the rest.
      bottleneck = window.utilization < Self.busyInstance ? .loadLimited : .inconclusive
      confidence = bottleneck == .inconclusive ? .inconclusive : window.utilization < Self.roomyUtilization ? .high : .medium
    }
    dispatch = Self.dispatch(window)
    confirm = ""
    addEvidence()
    // A mean over a ramp or a drift describes no state that the server was in: no rate and no advice follows from it.
    guard isSteady else {
      confirm = "watch longer than the drift, or after the ramp"
      return
    }
    // More load would fill batches that are not full, and more requests would be answered by as many batches.
    hasRoomInBatches = isBusy && !backlog && !growing && window.rowsPerBatch < Self.fullBatch * Self.fullRows(window)
    estimateCapacity(isSaturated: isSaturated && !hasRoomInBatches, goalMilliseconds)
    addChanges()
    addMismatches(observed)
    confirm = hasUnexplainedQueue ? unexplainedQueue : Self.confirm(bottleneck, window)
  }

  /// Rows of a full batch: what the configuration allows, else the largest batch seen.
  private static func fullRows(_ window: ServerWindow) -> Double {
    let seen = Double(window.model.batches.map(\.rows).max() ?? 0)
    let rowsPerRequest = window.rowsPerBatch / max(1e-9, window.requestsPerBatch)
    guard let maximum = window.configuration.map({ Double($0.maximumBatchSize) }), maximum > 0 else {
      return max(seen, window.rowsPerBatch)
    }
    // Whole requests only: 50 rows each fill 250 of 256.
    return max(rowsPerRequest, (maximum / max(1, rowsPerRequest)).rounded(.down) * rowsPerRequest)
  }

  private mutating func estimateCapacity(isSaturated: Bool, _ goal: Double?) {
    let rowsPerRequest = window.rowsPerBatch / max(1e-9, window.requestsPerBatch)
    let source = "batch statistics and window"
    if isSaturated {
      // What a saturated server does is what it can do.
      let value = window.requestsPerSecond
      capacity = Figure(value, .requestsPerSecond, .measured, source: source, interval: 0.97 * value...1.03 * value)
    } else {
      let full = Self.fullRows(window)
      // The time of a full batch: by the line through the sizes seen, else as long as what was seen, per row at best.
      let seen = window.rowsPerBatch
      let service = window.serviceMicroseconds
      let time: ClosedRange<Double>
      if let line = window.timeByRows, full >= seen {
        let value = max(line.fixed + line.perRow * full, service)
        // Outside of the sizes seen a line is a guess: a fifth more or less.
        let largest = Double(window.model.batches.map(\.rows).max() ?? 0)
        let error = full > 1.2 * largest ? 0.3 : 0.1
        time = value * (1 - error)...value * (1 + error)
      } else {
        time = service...max(service, service * full / max(1, seen))
      }
      let best = window.instances * full / rowsPerRequest / time.lowerBound * 1e6
      let worst = window.instances * full / rowsPerRequest / (time.upperBound * (1 + Self.unseenLoop.upperBound)) * 1e6
      let middle = (best * worst).squareRoot()
      let low = max(window.requestsPerSecond, worst)
      capacity = Figure(max(low, middle), .requestsPerSecond, .estimated, source: source, interval: min(low, middle)...max(best, low))
    }
    guard let goal, let capacity, goal > 0 else { return }
    // A queue in front of batches of one length (M/D/1): the 99th percentile is a batch's wait and service and about 4.6 mean waits.
    let period = window.instances * window.requestsPerBatch / max(1e-9, capacity.value) * 1e3
    let fixed = period + (window.configuration.flatMap(\.queueDelayMicroseconds).map { Double($0) / 1e3 } ?? 0)
    guard goal > fixed else {
      maximumRateAtGoal = (goal, Figure(0, .requestsPerSecond, .estimated, source: "one batch alone takes longer than the goal"))
      return
    }
    let share = (goal - fixed) / (goal - fixed + 2.3 * period)
    maximumRateAtGoal = (
      goal,
      Figure(
        capacity.value * share, .requestsPerSecond, .estimated, source: "capacity x utilization that an M/D/1 queue allows",
        interval: (capacity.interval?.lowerBound ?? capacity.value) * share * 0.85...(capacity.interval?.upperBound ?? capacity.value)
          * min(1, share * 1.1))
    )
  }

  private mutating func addEvidence() {
    func figure(_ value: Double, _ unit: Figure.Unit) -> Figure { Figure(value, unit, .measured, source: "server statistics") }
    evidence.append(
      "A batch takes \(figure(window.serviceMicroseconds / 1e3, .milliseconds)), one starts every \(figure(window.periodMicroseconds / 1e3, .milliseconds)) on an instance: it has a batch \(figure(window.utilization, .share)) of the time."
    )
    evidence.append("A request waits \(figure(window.queueMicroseconds / 1e3, .milliseconds)) in the queue.")
    if let gpu = window.gpuUtilization { evidence.append("The GPU is busy \(figure(gpu, .share)) of the time, as the server reports it.") }
    if let pending = window.pending.after, pending > 0 {
      evidence.append("\(figure(pending, .count)) requests wait at the window's end.")
    }
  }

  private mutating func addChanges() {
    let delay = window.configuration?.queueDelayMicroseconds
    switch bottleneck {
    case .noPipelining:
      // A second instance fills the first one's gaps until the GPU, or the host, is busy: at most twice.
      let busy = max(window.gpuUtilization ?? 0, 0.01)
      let maximum = min(window.instances + 1, window.instances / min(1, busy)) / window.instances - 1
      changes.append(
        Change(
          effect: "throughput", fix: "instance_group { count: \(Int(saturating: window.instances) + 1) }",
          gain: "at most +\(NumberInWords.percent(maximum))",
          kind: "bound", code: "HR131"))
      let copies = window.batchMicroseconds.input + window.batchMicroseconds.output
      let gain = window.periodMicroseconds / max(1, window.periodMicroseconds - copies) - 1
      if gain > 0.02 {
        changes.append(
          Change(
            effect: "throughput", fix: "move copies and conversion off the batch's path", gain: "at most +\(NumberInWords.percent(gain))",
            kind: "bound", code: "HR131"))
      }
      noEffect = ["faster kernels or a larger GPU"] + (hasRoomInBatches ? [] : ["a larger max_batch_size while batches are full"])
    case .gpuBound:
      let share = window.batchMicroseconds.infer / max(1, window.periodMicroseconds)
      let gap = 1 / max(0.01, min(1, window.gpuUtilization ?? share)) - 1
      if gap > 0.02 {
        changes.append(
          Change(
            effect: "throughput", fix: "instance_group { count: \(Int(saturating: window.instances) + 1) }",
            gain: "at most +\(NumberInWords.percent(gap))", kind: "bound", code: "HR131"))
      }
      changes.append(
        Change(
          effect: "throughput", fix: "shorter kernels: \(planCommand ?? "a trace, or --onnx and --gpu beside --url, says which")",
          gain: "not quantified", kind: "not quantified",
          code: "HR201"))
      noEffect = ["more clients", "a shorter max_queue_delay_microseconds"]
    case .instanceBound:
      changes.append(
        Change(
          effect: "measure",
          fix: window.mayBeGPU
            ? "GPU utilization: --metrics, --dcgm or --observed gpu-util=N%" : "the server's cores during the load: pidstat -t -p PID 5 1",
          gain: "", kind: "decides", code: "HR131"))
    case .loadLimited:
      if let delay, delay > 0, window.queueMicroseconds > 0.3 * Double(delay) {
        let saved = min(window.queueMicroseconds, Double(delay))
        changes.append(
          Change(
            effect: "latency", fix: "max_queue_delay_microseconds: 0", gain: "mean at most -\(NumberInWords.milliseconds(saved / 1e3))",
            kind: "bound", code: "HR121"))
      }
      // What is sure: where no full batch was seen, the middle of a wide interval is a guess.
      if let capacity, let sure = capacity.interval?.lowerBound, sure > 2 * window.requestsPerSecond {
        changes.append(
          Change(
            effect: "cost", fix: "\(window.mayBeGPU ? "a smaller \(window.deviceNoun)" : "fewer cores"), or other models beside this one",
            gain: "at least \(NumberInWords.times(sure / window.requestsPerSecond)) of room", kind: capacity.kind.rawValue, code: "HR102"))
      }
      let faster = window.deviceClass?.isGPU == true ? "faster kernels, more instances, CUDA graphs" : "a faster device, more instances"
      noEffect = ["\(faster): the offered load is served"]
    case .inconclusive, .notSteady: break
    }
    if hasRoomInBatches, let interval = capacity?.interval {
      let most = interval.upperBound / max(1e-9, window.requestsPerSecond) - 1
      changes.append(
        Change(
          effect: "throughput", fix: "more requests at once: batches are not full", gain: "at most +\(NumberInWords.percent(most))",
          kind: "bound", code: "HR121"))
    }
    if let configuration = window.configuration, !configuration.preferredBatchSizes.isEmpty {
      let seen = Set(window.model.batches.map(\.rows))
      if !seen.isEmpty, configuration.preferredBatchSizes.allSatisfy({ !seen.contains($0) }) {
        changes.append(
          Change(
            effect: "latency", fix: "drop preferred_batch_size: no batch ever had one of them", gain: "not quantified",
            kind: "not quantified",
            code: "HR123"))
      }
    }
    let rejected = window.rejected.filter { $0.key == "REJECTED" }.values.reduce(0, +)
    if rejected > 0.01 * Double(window.model.requests) {
      changes.append(
        Change(
          effect: "errors", fix: "queue policy: max_queue_size and default_timeout_microseconds",
          gain: "\(NumberInWords.percent(rejected / (rejected + Double(window.model.requests)))) of requests rejected", kind: "measured",
          code: "HR124"))
    }
    changes = Array(changes.prefix(3))
  }

  /// The layers of the model as it was named, at the batches seen; nil where it was not.
  private var planCommand: String? {
    window.planned.map { model, gpu in
      "headroom plan \(CommandWord.quoted(model)) --gpu \(CommandWord.quoted(gpu)) --batch \(max(1, Int(saturating: window.rowsPerBatch.rounded())))"
    }
  }

  /// What would explain a queue in front of idle instances.
  private var unexplainedQueue: String {
    let fitting = window.serviceMicroseconds * Double(window.model.executions) / window.instances / 1e6
    return
      "the window's length: busy instances would need \(NumberInWords.short(fitting)) s, it is said to last \(NumberInWords.short(window.seconds)) s; or load in bursts: read both ends inside one"
  }

  private mutating func addMismatches(_ observed: Double?) {
    if let plan = window.plannedKernelMicroseconds {
      let predicted = min(1, plan.value * window.batchesPerSecond / 1e6)
      let allowed = 1 + max(0.3, 2 * plan.band)
      for (name, seen) in [("nvidia-smi", observed), ("the server's GPU metric", window.gpuUtilization)] {
        guard let seen else { continue }
        if seen > predicted * allowed + 0.02 {
          mismatches.append(
            "\(name) \(NumberInWords.percent(seen)), predicted \(NumberInWords.percent(predicted)): fp32 engine? clocks? other process?")
        } else if seen < predicted / allowed - 0.02 {
          mismatches.append(
            "\(name) \(NumberInWords.percent(seen)), predicted \(NumberInWords.percent(predicted)): another GPU? a smaller model?")
        }
      }
    } else if let observed, let gpu = window.gpuUtilization, (observed - gpu).magnitude > 0.05 + 0.3 * gpu {
      mismatches.append(
        "observed \(NumberInWords.percent(observed)), the server reports \(NumberInWords.percent(gpu)): another moment, another GPU?")
    }
  }

  /// The pattern of batch sizes: what sends batches.
  private static func dispatch(_ window: ServerWindow) -> String {
    let maximum = Double(window.configuration?.maximumBatchSize ?? 0)
    let sizes = window.model.batches
    let total = Double(max(1, sizes.reduce(Int64(0)) { $0 + $1.count }))
    guard let top = sizes.max(by: { $0.count < $1.count }), total > 1 else {
      return maximum > 0
        ? "batch \(NumberInWords.short(window.rowsPerBatch)) of \(NumberInWords.short(maximum))"
        : "batch \(NumberInWords.short(window.rowsPerBatch))"
    }
    let share = Double(top.count) / total
    let rowsPerRequest = window.rowsPerBatch / max(1e-9, window.requestsPerBatch)
    let text = "batch \(NumberInWords.short(window.rowsPerBatch))" + (maximum > 0 ? " of \(NumberInWords.short(maximum))" : "")
    if maximum > 0, Double(top.rows) > maximum - rowsPerRequest, share > 0.5 {
      return text + ", \(NumberInWords.percent(share)) sent full"
    }
    if share > 0.8 { return text + ", \(NumberInWords.percent(share)) of one size (\(top.rows))" }
    if window.configuration?.queueDelayMicroseconds ?? 0 > 0 { return text + ", sizes vary: most sent by queue delay" }
    return text + ", sizes vary"
  }

  private static func confirm(_ bottleneck: Bottleneck, _ window: ServerWindow) -> String {
    switch bottleneck {
    case .loadLimited: "offer twice the load: throughput should double"
    case .noPipelining:
      "a trace: gap after each batch \(NumberInWords.milliseconds(max(0, window.periodMicroseconds * (1 - (window.gpuUtilization ?? 0))) / 1e3)); or a second instance"
    case .gpuBound:
      "nsys profile or headroom explain of a trace: kernels should run \(NumberInWords.percent(window.gpuUtilization ?? 0)) of the time"
    case .instanceBound:
      window.utilization >= busyInstance
        ? "a second instance (instance_group { count: \(Int(saturating: window.instances) + 1) }): throughput should rise where the host's part of a batch limits"
        : window.mayBeGPU
          ? "nvidia-smi during the load: below 50 % the host's part of a batch limits"
          : "pidstat -t -p PID 5 1 during the load: cores that are not full leave room for a second instance"
    case .inconclusive, .notSteady: "offer a tenth more load: does throughput follow?"
    }
  }
}

extension NumberInWords {
  static func milliseconds(_ value: Double) -> String { "\(short(value)) ms" }

  static func short(_ value: Double) -> String {
    guard value.isFinite else { return "unknown" }
    if value.magnitude >= 100 || value == value.rounded() { return "\(Int(saturating: value.rounded()))" }
    if value.magnitude >= 10 { return "\((value * 10).rounded() / 10)" }
    return "\((value * 100).rounded() / 100)"
  }

  static func times(_ value: Double) -> String { value >= 10 ? "\(Int(saturating: value.rounded()))x" : "\((value * 10).rounded() / 10)x" }
}
