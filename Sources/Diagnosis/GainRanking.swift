/// What the reader wants more of; findings are ranked by it.
public enum Goal: String, Sendable, Hashable, CaseIterable {
  case throughput
  case latency
  case cost

  /// Throughput in a closed loop (load follows it), latency in an open one (throughput is given). An unknown loop counts as closed. So does an
  /// open one that is not served: its queue grows, and latency says how long it was watched.
  public static func standard(for load: LoadEvidence) -> Goal {
    if case .open? = load.loop, load.isOpenBelowSaturation != false { return .latency }
    return .throughput
  }

  /// Sure gains of an estimate in order of weight, larger is better: the goal itself, then what else a user would choose by.
  func keys(_ estimate: GainEstimate) -> [Double] {
    let throughput = estimate.throughput?.sureChange ?? 0
    let capacity = estimate.maximumRateAtGoal?.sureChange ?? 0
    let p99 = -(estimate.p99Latency?.sureChange ?? 0)
    let median = -(estimate.medianLatency?.sureChange ?? 0)
    let cost = -(estimate.gpuSecondsPerMillionInferences?.sureChange ?? 0)
    switch self {
    case .throughput: return [throughput, capacity, p99, cost]
    case .latency: return [p99, median, capacity, cost]
    case .cost: return [cost, capacity, throughput, p99]
    }
  }

  /// The goal's own gain.
  func gain(_ estimate: GainEstimate) -> Double { keys(estimate).first ?? 0 }

  /// The quantity the goal is about.
  func quantity(_ estimate: GainEstimate) -> Gain? {
    switch self {
    case .throughput: estimate.throughput
    case .latency: estimate.p99Latency ?? estimate.medianLatency
    case .cost: estimate.gpuSecondsPerMillionInferences
    }
  }
}

/// A fix and what it would buy, or why that is not said.
public struct AssessedFix: Sendable, Hashable {
  /// What to do.
  public var fix: Fix
  /// Its gains.
  public var gains: Result<GainEstimate, GainRefusal>
}

/// A finding with its fixes' gains, best first.
public struct RankedFinding: Sendable, Hashable {
  /// What was found.
  public var finding: Finding
  /// Its fixes, best first.
  public var fixes: [AssessedFix]

  /// Gains of the best fix; nil where none could be computed.
  public var bestGains: GainEstimate? {
    for fix in fixes {
      if case .success(let estimate) = fix.gains { return estimate }
    }
    return nil
  }
}

/// Everything said of one run: verdict, findings by what they are worth, and the cumulative improvement plan.
public struct Assessment: Sendable, Hashable {
  /// What limits.
  public var verdict: Verdict
  /// What they are ranked by.
  public var goal: Goal
  /// Findings that hold, best first.
  public var ranked: [RankedFinding]
  /// Findings that could not be told.
  public var undecided: [Findings.Undecided]
  /// Fix 1, then what limits, fix 2, and so on; empty where no gain may be printed.
  public var improvementPlan: [ImprovementStep]

  /// Reproduction worse than this is no ground for a gain.
  public static let largestReproductionError = 0.03

  /// Examines a run.
  ///
  /// - Parameters:
  ///   - goal: nil for the standard goal of the load's kind.
  ///   - codes: findings to look for; nil for all.
  ///   - only: the one finding whose fixes are worked out, and at this load alone: without the highest rates, the other findings' gains and the
  ///     improvement plan, which take most of the time; nil for all of that.
  ///   - estimator: nil leaves every gain out.
  ///   - improvementSteps: longest path looked for; every step estimates each remaining fix once.
  ///   - pairs: pairs of fixes tried in the whole path where no single one gains; each is one estimate.
  public init(
    of run: RunEvidence, goal: Goal? = nil, codes: Set<FindingCode>? = nil, only: FindingCode? = nil, estimator: (any GainEstimator)?,
    improvementSteps: Int = 4, pairs: Int = 15
  ) {
    let wanted = goal
    let goal = goal ?? Goal.standard(for: run.load)
    let findings = Findings(of: run, codes: codes)
    self.verdict = run.verdict
    self.goal = goal
    self.undecided = findings.undecided

    var ledger = GainLedger(run: run, codes: codes, estimator: estimator)
    let asked = findings.found.filter { only == nil || $0.code == only }
    ledger.prepare(asked.flatMap(\.observation.fixes).map(\.changes), forMaximumRate: only == nil)
    var ranked: [(finding: RankedFinding, keys: [Double], order: Int)] = []
    for (order, finding) in findings.found.enumerated() {
      var fixes: [(fix: AssessedFix, keys: [Double])] = []
      for fix in finding.observation.fixes {
        let gains: Result<GainEstimate, GainRefusal> =
          only == nil ? ledger.gains(fix.changes) : finding.code == only ? ledger.gainsAtThisLoad(fix.changes) : .failure(.notAsked)
        let keys = (try? gains.get()).map(goal.keys) ?? []
        fixes.append((AssessedFix(fix: fix, gains: gains), keys))
      }
      // A computed gain, even of nothing, comes before advice.
      let sorted = fixes.enumerated().sorted { Self.isBetter($0.element.keys, $1.element.keys, $0.offset, $1.offset) }.map(\.element)
      ranked.append((RankedFinding(finding: finding, fixes: sorted.map(\.fix)), sorted.first?.keys ?? [], order))
    }
    let sorted = ranked.sorted { Self.isBetter($0.keys, $1.keys, $0.order, $1.order) }.map(\.finding)
    // Fixes that pull in two directions are chosen among by their gains, which are not all known where one finding was asked for.
    self.ranked = only == nil ? OneDirection(of: run, goal: goal).filtered(sorted) : sorted
    self.improvementPlan =
      ledger.refusal == nil && only == nil
      ? ledger.improvementPlan(self.ranked, goal: goal, paysFor: wanted != nil, steps: improvementSteps, pairs: pairs) : []
  }

  /// Lexicographic, larger first; by original order where all are equal. Half a percent apart is equal: intervals of a two-minute run are wider.
  static func isBetter(_ left: [Double], _ right: [Double], _ leftOrder: Int, _ rightOrder: Int) -> Bool {
    if left.isEmpty != right.isEmpty { return right.isEmpty }
    for (a, b) in zip(left, right) {
      // Rounded, not compared with a tolerance, so that the order stays transitive.
      let (roundedA, roundedB) = ((a * 200).rounded(), (b * 200).rounded())
      if roundedA != roundedB { return roundedA > roundedB }
    }
    return leftOrder < rightOrder
  }
}

/// One step of the cumulative improvement plan.
public struct ImprovementStep: Sendable, Hashable {
  /// Findings whose fixes are applied in this step: one, or two where neither gains alone.
  public var codes: [FindingCode]
  /// What is done in this step.
  public var fixes: [Fix]
  /// Gains of all steps so far, against the run as it is.
  public var total: GainEstimate
  /// Ratio of the goal's quantity after this step to before it.
  public var stepRatio: Figure?
  /// What the step makes worse, as its figures say: `gpuSecondsPerMillionInferences` or `p99Latency`, against what was before it.
  public var costs: [StepCost]
  /// Why it is not known what limits after this step, where that was asked for and could not be found.
  public var unknownLimit: GainRefusal?
}

/// A quantity that a step makes worse.
public struct StepCost: Sendable, Hashable {
  /// Which.
  public enum Quantity: String, Sendable, Hashable, CaseIterable {
    /// Kernel time per row.
    case gpuSecondsPerMillionInferences
    /// 99th percentile of the latency at this load.
    case p99Latency
    /// Answers per second at this load.
    case throughput
  }

  /// Which.
  public var quantity: Quantity
  /// By how much, as a share of what it was before the step.
  public var change: Figure

  /// What `after` makes worse than `before`, by more than a step must be worth.
  static func costs(of after: GainEstimate, against before: GainEstimate?) -> [StepCost] {
    func change(_ path: KeyPath<GainEstimate, Gain?>) -> Figure? {
      guard let gain = after[keyPath: path], gain.sureChange != 0 || before != nil else { return nil }
      let base = 1 + (before?[keyPath: path]?.change.value ?? 0)
      guard base > 0 else { return nil }
      return Figure.combined(
        (1 + gain.change.value) / base - 1, .share, [gain.change], source: "change of this step alone")
    }
    var costs: [StepCost] = []
    if let gpu = change(\.gpuSecondsPerMillionInferences), gpu.value >= GainLedger.smallestStep {
      costs.append(StepCost(quantity: .gpuSecondsPerMillionInferences, change: gpu))
    }
    if let p99 = change(\.p99Latency), p99.value >= GainLedger.smallestStep {
      costs.append(StepCost(quantity: .p99Latency, change: p99))
    }
    if let throughput = change(\.throughput), throughput.value <= -GainLedger.smallestStep {
      costs.append(StepCost(quantity: .throughput, change: throughput))
    }
    return costs
  }
}

/// Estimates, each computed once, under the rules that say when none is printed.
struct GainLedger {
  let run: RunEvidence
  /// Findings that the path may come upon; nil for all.
  let codes: Set<FindingCode>?
  let estimator: (any GainEstimator)?
  /// Why no gain at all is printed for this run.
  let refusal: GainRefusal?
  private var known: [[Change]: Result<GainEstimate, GainRefusal>] = [:]
  private var knownAtThisLoad: [[Change]: Result<GainEstimate, GainRefusal>] = [:]

  /// A step must be worth this much: less is within the noise of a two-minute run.
  static let smallestStep = 0.02

  init(run: RunEvidence, codes: Set<FindingCode>? = nil, estimator: (any GainEstimator)?) {
    self.run = run
    self.codes = codes
    self.estimator = estimator
    if let steadiness = run.steadiness, !steadiness.isSteady {
      refusal = .notSteady
    } else if let error = estimator?.reproductionError, !(error.value.magnitude <= Assessment.largestReproductionError) {
      refusal = .reproductionOff(error)
    } else {
      refusal = estimator == nil ? .noEstimator : nil
    }
  }

  mutating func gains(_ changes: [Change]) -> Result<GainEstimate, GainRefusal> {
    if let answer = known[changes] { return answer }
    let answer = found(changes) { estimator throws(GainRefusal) in try estimator.estimate(changes) }
    known[changes] = answer
    return answer
  }

  /// Without the highest rate, which is a search of its own: what a plan chooses by.
  mutating func gainsAtThisLoad(_ changes: [Change]) -> Result<GainEstimate, GainRefusal> {
    if let answer = known[changes] ?? knownAtThisLoad[changes] { return answer }
    let answer = found(changes) { estimator throws(GainRefusal) in try estimator.estimateAtThisLoad(changes) }
    knownAtThisLoad[changes] = answer
    return answer
  }

  /// Says to the estimator what it will be asked.
  func prepare(_ lists: [[Change]], forMaximumRate: Bool) {
    if refusal == nil { estimator?.prepare(lists.filter { !$0.isEmpty }, forMaximumRate: forMaximumRate) }
  }

  private func found(
    _ changes: [Change], _ estimate: (any GainEstimator) throws(GainRefusal) -> GainEstimate
  ) -> Result<GainEstimate, GainRefusal> {
    if changes.isEmpty { return .failure(.adviceOnly) }
    if let refusal { return .failure(refusal) }
    guard let estimator else { return .failure(.noEstimator) }
    do throws(GainRefusal) { return .success(try estimate(estimator).consistent(with: run.load)) } catch { return .failure(error) }
  }

  /// Greedy: the fix that is worth most, then the one that is worth most with it, and so on. Where no single fix is worth anything, pairs
  /// are tried, best-ranked first: of two stages that are equally full, opening one alone gains nothing.
  ///
  /// - Parameter paysFor: the goal was asked for, so that a step may make cost or latency worse and says so; else such a step is not taken.
  mutating func improvementPlan(_ findings: [RankedFinding], goal: Goal, paysFor: Bool = true, steps: Int, pairs: Int) -> [ImprovementStep]
  {
    var candidates: [(code: FindingCode, fix: Fix)] = findings.flatMap { ranked in
      ranked.fixes.map(\.fix).filter { !$0.changes.isEmpty }.map { (ranked.finding.code, $0) }
    }
    var pairsLeft = pairs
    var applied: [Change] = []
    var best: GainEstimate?
    var path: [ImprovementStep] = []
    while path.count < steps, !candidates.isEmpty {
      let base = best.map { goal.quantity($0)?.change.value ?? 0 } ?? 0
      var choice: (indices: [Int], changes: [Change], estimate: GainEstimate, worth: Double)?
      func worth(_ estimate: GainEstimate) -> Double {
        guard let quantity = goal.quantity(estimate), 1 + base > 0 else { return 0 }
        // sureChange, so that a gain whose interval holds zero moves nobody; against the ratio reached so far.
        let ratio = (1 + (quantity.sureChange == 0 ? 0 : quantity.change.value)) / (1 + base)
        return goal == .throughput ? ratio - 1 : 1 - ratio
      }
      func isTaken(_ estimate: GainEstimate) -> Bool { paysFor || StepCost.costs(of: estimate, against: best).isEmpty }
      prepare(candidates.map { Self.merged(applied, $0.fix.changes) }, forMaximumRate: false)
      for (index, candidate) in candidates.enumerated() {
        let changes = Self.merged(applied, candidate.fix.changes)
        guard changes != applied, case .success(let estimate) = gainsAtThisLoad(changes), isTaken(estimate) else { continue }
        let worth = worth(estimate)
        if worth >= Self.smallestStep, worth > choice?.worth ?? 0 { choice = ([index], changes, estimate, worth) }
      }
      if choice == nil {
        for (first, left) in candidates.enumerated() {
          for (second, right) in candidates.enumerated() where second > first && left.code != right.code && pairsLeft > 0 {
            pairsLeft -= 1
            let changes = Self.merged(Self.merged(applied, left.fix.changes), right.fix.changes)
            guard case .success(let estimate) = gainsAtThisLoad(changes), isTaken(estimate) else { continue }
            let worth = worth(estimate)
            if worth >= Self.smallestStep, worth > choice?.worth ?? 0 { choice = ([first, second], changes, estimate, worth) }
          }
        }
      }
      guard var choice else { break }
      if case .success(let whole) = gains(choice.changes) { choice.estimate = whole }
      let codes = choice.indices.map { candidates[$0].code }
      let fixes = choice.indices.map { candidates[$0].fix }
      let ratio = goal.quantity(choice.estimate).map { quantity in
        Figure.combined(
          (1 + quantity.change.value) / (1 + base), .ratio, [quantity.change], source: "\(goal.rawValue) after this step over before it")
      }
      var total = choice.estimate
      var seen: RunEvidence?
      var unknownLimit: GainRefusal?
      do throws(GainRefusal) { seen = try estimator?.evidence(choice.changes) } catch { unknownLimit = error }
      total.verdict = total.verdict ?? seen?.verdict
      let costs = StepCost.costs(of: choice.estimate, against: best)
      path.append(ImprovementStep(codes: codes, fixes: fixes, total: total, stepRatio: ratio, costs: costs, unknownLimit: unknownLimit))
      applied = choice.changes
      best = choice.estimate
      let taken = Set(choice.indices)
      candidates = candidates.enumerated().filter { !taken.contains($0.offset) }.map(\.element)
      // With the first limit gone, others show that the run as it is could not: their fixes are candidates from here on.
      if let seen {
        for finding in Findings(of: seen, codes: self.codes).found {
          for fix in finding.observation.fixes where !fix.changes.isEmpty && !candidates.contains(where: { $0.fix == fix }) {
            if Self.merged(applied, fix.changes) != applied { candidates.append((finding.code, fix)) }
          }
        }
      }
    }
    return path
  }

  /// Both lists; a later change of the same setting replaces the earlier one.
  static func merged(_ earlier: [Change], _ later: [Change]) -> [Change] {
    earlier.filter { old in !later.contains { $0.setting == old.setting } } + later
  }
}

extension Change {
  /// Which setting it changes: two changes of one setting exclude each other.
  public var setting: String {
    switch self {
    case .clientCores: "clientCores"
    case .frontEndCores: "frontEndCores"
    case .frontEndTimeScale: "frontEndTimeScale"
    case .removeRedundantWork: "removeRedundantWork"
    case .cudaGraphs: "cudaGraphs"
    case .instances: "instances"
    case .issuingThreadPerInstance: "issuingThreadPerInstance"
    case .eagerBatching: "eagerBatching"
    case .dynamicBatching: "dynamicBatching"
    case .batchDelay: "batchDelay"
    case .preferredSizes: "preferredSizes"
    case .maximumBatchRows: "maximumBatchRows"
    case .maximumQueueSize: "maximumQueueSize"
    case .queueTimeout: "queueTimeout"
    case .pinnedTransfers: "pinnedTransfers"
    case .gatheredCopies: "gatheredCopies"
    case .overlappedCopies: "overlappedCopies"
    case .dispatchGapScale: "dispatchGapScale"
    case .gpuTimeScale: "gpuTimeScale"
    case .weightBytesScale: "weightBytesScale"
    case .splitK: "splitK"
    }
  }
}
