public import Diagnosis
import Reporting

extension RunAnswer {
  /// A change worth making.
  public struct Change: Sendable, Hashable {
    /// What it improves.
    public enum Effect: String, Sendable, Hashable, CaseIterable {
      /// Requests per second answered at this load.
      case throughput
      /// 99th percentile of the latency at this load.
      case p99
      /// Highest request rate that keeps the goal.
      case capacity
      /// Device time per row, or a smaller device.
      case cost
    }

    /// The finding it belongs to.
    public var code: FindingCode
    /// What it improves.
    public var effect: Effect
    /// As lines of config.pbtxt, an option or a command.
    public var setting: String
    /// Lines of a config.pbtxt that go ("- ") and come ("+ "); empty where it is changed elsewhere.
    public var diff: [String]
    /// What it buys, absolute and relative.
    public var gain: String
    /// By how much it moves the quantity, as a share.
    public var change: Figure?
    /// What it makes worse; empty for nothing.
    public var costs: [String]
    /// In brackets behind the line.
    public var kind: String
  }

  /// A change that moves nothing by more than this is no recommendation.
  static let smallestEffect = 0.02
  /// Recommendations of an answer.
  static let maximumChanges = 3

  /// What to change, best first, and what would change nothing.
  static func changes(
    _ assessment: Assessment, run: RunEvidence, goal latency: LatencyGoal, model: String
  ) -> (changes: [Change], noEffect: [String]) {
    // Nothing is advised of a window that was not the same all the time.
    if assessment.verdict.claims.contains(where: { $0.regime == .notSteady }) { return ([], []) }
    var found: [(change: Change, rank: Int, worth: Double, settings: Set<String>)] = []
    var silent: [(text: String, settings: Set<String>)] = []
    var unquantified: [(change: Change, settings: Set<String>)] = []
    // While a place upstream limits, more of what lies behind it is used by nobody.
    let isHeldUpstream = assessment.verdict.side == .upstream && assessment.verdict.claims.first?.stage != nil
    // No change raises the throughput of a load that is served already.
    let isServed = assessment.verdict.claims.first?.regime == .loadLimited
    let goal: Goal = isServed && assessment.goal == .throughput ? .latency : assessment.goal
    for ranked in assessment.ranked {
      for fix in ranked.fixes {
        let settings = Set(fix.fix.changes.map(\.setting))
        switch fix.gains {
        case .failure:
          // What is too slow, or was not the same all the time, has nothing to give away.
          let isGivenAway = ranked.finding.code == .HR102 && (fix.fix.changes.isEmpty || isSmallerDevice(fix.fix))
          if isGivenAway, misses(run, latency) { continue }
          unquantified.append(
            (
              Change(
                code: ranked.finding.code, effect: isGivenAway ? .cost : effect(of: goal),
                setting: fix.fix.typed(on: run.deviceClass, model: model) + (isSmallerDevice(fix.fix) ? " may be enough" : ""),
                diff: fix.fix.changes.flatMap { $0.configurationDiff(of: run) }, gain: "", change: nil, costs: [], kind: "not quantified"),
              settings
            ))
        case .success(let estimate):
          let choice = effect(of: fix.fix, estimate, goal: assessment.goal, latency: latency, isHeldUpstream: isHeldUpstream, run: run)
          guard let choice else {
            if isSilent(estimate, isHeldUpstream: isHeldUpstream), let text = fix.fix.changes.first?.shortText(on: run.deviceClass) {
              silent.append((text, settings))
            }
            continue
          }
          let gain = self.gain(choice.effect, fix.fix, estimate, run)
          found.append(
            (
              Change(
                code: ranked.finding.code, effect: choice.effect, setting: fix.fix.typed(on: run.deviceClass, model: model),
                diff: fix.fix.changes.flatMap { $0.configurationDiff(of: run) }, gain: gain.text, change: gain.figure,
                costs: costs(of: estimate, besides: choice.effect, fix.fix, run), kind: gain.figure?.kind.rawValue ?? "simulated"),
              choice.rank,
              choice.worth, settings
            ))
        }
      }
    }
    // Of two that buy the same, the one that can be typed.
    found = found.enumerated().sorted {
      let (left, right) = ($0.element, $1.element)
      return (left.rank, -(left.worth * 200).rounded(), left.change.diff.isEmpty ? 1 : 0, $0.offset)
        < (right.rank, -(right.worth * 200).rounded(), right.change.diff.isEmpty ? 1 : 0, $1.offset)
    }.map(\.element)
    var (changes, taken): ([Change], Set<String>) = ([], [])
    for entry in found where changes.count < maximumChanges && taken.isDisjoint(with: entry.settings) {
      changes.append(entry.change)
      taken.formUnion(entry.settings)
    }
    // Advice that nobody could compute is said only where nothing was computed.
    if found.isEmpty, silent.isEmpty {
      for entry in unquantified where changes.count < maximumChanges && (entry.settings.isEmpty || taken.isDisjoint(with: entry.settings)) {
        changes.append(entry.change)
        taken.formUnion(entry.settings)
      }
    }
    var noEffect: [String] = []
    for entry in silent where !noEffect.contains(entry.text) && taken.isDisjoint(with: entry.settings) {
      noEffect.append(entry.text)
      taken.formUnion(entry.settings)
    }
    // What people try first: no finding asks for it where kernels limit nothing, and their time was varied all the same.
    if goal == .throughput, let elasticities = run.elasticities, elasticities.isConsistent, let kernels = elasticities.values[.kernels],
      kernels.upperEnd < smallestEffect, taken.isDisjoint(with: [Diagnosis.Change.gpuTimeScale(1).setting])
    {
      noEffect.insert(run.deviceClass == .processor ? "faster kernels" : "faster kernels (GEMM shape, larger GPU)", at: 0)
    }
    return (changes, noEffect)
  }

  private static func isSmallerDevice(_ fix: Fix) -> Bool {
    fix.changes.contains { if case .gpuTimeScale(let factor) = $0 { factor > 1 } else { false } }
  }

  private static func effect(of goal: Goal) -> Change.Effect {
    switch goal {
    case .throughput: .throughput
    case .latency: .p99
    case .cost: .cost
    }
  }

  /// What a fix improves by enough to be said, its rank among the kinds of effect, and its worth; nil for a fix that improves nothing.
  private static func effect(
    of fix: Fix, _ estimate: GainEstimate, goal: Goal, latency: LatencyGoal, isHeldUpstream: Bool, run: RunEvidence
  ) -> (effect: Change.Effect, rank: Int, worth: Double)? {
    let worth: [(Change.Effect, Double)] = [
      (.throughput, estimate.throughput?.sureChange ?? 0), (.p99, -(estimate.p99Latency?.sureChange ?? 0)),
      (.capacity, estimate.maximumRateAtGoal?.sureChange ?? 0), (.cost, -(estimate.gpuSecondsPerMillionInferences?.sureChange ?? 0)),
    ]
    let own = effect(of: goal)
    if let first = worth.first(where: { $0.0 == own }), first.1 >= smallestEffect { return (own, 0, first.1) }
    // A smaller device does the same: cost, where the load and the goal allow it.
    if let scale = fix.changes.compactMap({ change in if case .gpuTimeScale(let factor) = change { factor } else { nil } }).first, scale > 1
    {
      let holds = estimate.p99Latency.map { $0.after.value <= latency.p99Milliseconds } ?? false
      let keeps = (estimate.throughput?.change.value ?? -1) >= -smallestEffect
      return holds && keeps ? (.cost, 1, 1 - 1 / scale) : nil
    }
    guard !isHeldUpstream else { return nil }
    for (rank, effect) in [Change.Effect.throughput, .capacity, .p99, .cost].enumerated() where effect != own {
      // Of a queue that grows, latency says how long it was watched.
      if effect == .p99, run.load.isOpenBelowSaturation == false { continue }
      if let entry = worth.first(where: { $0.0 == effect }), entry.1 >= smallestEffect {
        return (effect, 2 + rank, entry.1)
      }
    }
    return nil
  }

  /// Neither better nor worse in what can be seen at this load, and in capacity too unless something upstream hides it.
  private static func isSilent(_ estimate: GainEstimate, isHeldUpstream: Bool) -> Bool {
    let seen = [
      estimate.throughput?.sureChange, estimate.p99Latency?.sureChange, isHeldUpstream ? nil : estimate.maximumRateAtGoal?.sureChange,
    ]
    return seen.compactMap { $0 }.allSatisfy { $0.magnitude < smallestEffect }
  }

  /// "1,151 -> 2,282 req/s, +98 %".
  private static func gain(_ effect: Change.Effect, _ fix: Fix, _ estimate: GainEstimate, _ run: RunEvidence) -> (
    text: String, figure: Figure?
  ) {
    // A change is tried in pairs of short runs. What it is from is what the answer's own line says; by how much, what the pairs say.
    func text(_ gain: Gain?, _ unit: String, now: Double? = nil) -> (String, Figure?) {
      guard let gain else { return ("", nil) }
      var (before, after) = (gain.before.value, gain.after.value)
      if let now, before > 0, (now / before - 1).magnitude < largestBaseShift { (before, after) = (now, now * (1 + gain.change.value)) }
      return (
        "\(NumberText.significant(before)) -> \(NumberText.significant(after)) \(unit), \(Figure.changeText(gain.change.value))",
        gain.change
      )
    }
    switch effect {
    case .throughput: return text(estimate.throughput, "req/s", now: run.load.throughput?.value)
    case .p99: return text(estimate.p99Latency, "ms p99", now: run.load.p99Latency?.inMilliseconds)
    case .capacity: return text(estimate.maximumRateAtGoal, "req/s max")
    case .cost:
      if isSmallerDevice(fix), estimate.p99Latency != nil {
        let (p99, figure) = text(estimate.p99Latency, "ms", now: run.load.p99Latency?.inMilliseconds)
        return ("is enough: p99 \(p99)", figure)
      }
      return text(estimate.gpuSecondsPerMillionInferences, "GPU s per million inferences")
    }
  }

  /// A short run's quantity further than this from the run's own is another quantity, and stays as it is.
  private static let largestBaseShift = 0.25

  /// What a change makes worse by enough to be said.
  private static func costs(of estimate: GainEstimate, besides effect: Change.Effect, _ fix: Fix, _ run: RunEvidence) -> [String] {
    var costs: [String] = []
    func add(_ name: String, _ gain: Gain?, worseWhenHigher: Bool) {
      guard let gain, (worseWhenHigher ? gain.sureChange : -gain.sureChange) >= smallestEffect else { return }
      costs.append("\(name) \(Figure.changeText(gain.change.value))")
    }
    // A smaller device has its latency said already, and takes longer for a row by construction.
    if !isSmallerDevice(fix) {
      if effect != .cost { add("GPU time", estimate.gpuSecondsPerMillionInferences, worseWhenHigher: true) }
      if run.load.isOpenBelowSaturation != false { add("p99", estimate.p99Latency, worseWhenHigher: true) }
      add("throughput", estimate.throughput, worseWhenHigher: false)
    }
    return costs
  }
}
