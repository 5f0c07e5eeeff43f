import CheckedNumbers
public import Diagnosis
import Reporting
import Vocabulary

/// What is said first of one variant, run or served model: the answer in ten lines, as values. Terminal, page, JSON and the live server print
/// it.
public struct RunAnswer: Sendable {
  /// What it is an answer about: a variant's or a model's name.
  public var name: String
  /// What ran where, at which host costs: "sim:L40S, host profile triton-26.02".
  public var setting: String
  /// What limits, with how sure that is.
  public var bottleneck: String
  /// How much more the server can take.
  public var headroom: Headroom
  /// What was offered and answered.
  public var now: String
  /// Average batch against its maximum, and why batches were dispatched; nil where nothing is known of batches.
  public var batches: String?
  /// Where the device's time went.
  public var time: String
  /// The same as figures, largest first.
  public var timeParts: [(name: String, share: Figure)]
  /// "GPU time", "Time".
  public var timeName: String
  /// How what was seen came about: simulated or measured.
  public var kind: Figure.Kind
  /// At most three, best first.
  public var changes: [Change]
  /// Changes that would move nothing by 2 %.
  public var noEffect: [String]
  /// How to confirm the bottleneck.
  public var confirm: String

  /// The answer about a run.
  ///
  /// - Parameters:
  ///   - setting: device and host profile, as one line.
  ///   - run: what was seen.
  ///   - assessment: what was made of it.
  ///   - waterfall: where wall time went, under the verdict's names.
  ///   - rejected: requests answered with an error, in the window.
  ///   - upstreamOf: what lies downstream, where that is not the device.
  ///   - model: its file or built-in name, for commands to type.
  ///   - bottleneck: the first line, where the caller knows better than the verdict.
  ///   - confirm: how to confirm, where the caller knows better than the verdict.
  public init(
    name: String, setting: String, run: RunEvidence, assessment: Assessment, waterfall: Waterfall?, headroom: Headroom,
    kind: Figure.Kind, rejected: Int = 0, upstreamOf downstream: String? = nil, model: String = "MODEL", bottleneck: String? = nil,
    confirm: String? = nil
  ) {
    self.name = name
    self.setting = setting
    self.headroom = headroom
    self.kind = kind
    let verdict = assessment.verdict
    let sentence = downstream.map { verdict.sentence(upstreamOf: $0) } ?? verdict.sentence
    let fullGenerator = Self.fullGenerator(assessment)
    self.bottleneck =
      bottleneck ?? Self.title(verdict, sentence.text, run)
      + Self.but(verdict, run, headroom.goal, fullGenerator: fullGenerator?.observation)
    now = Self.now(run, rejected: rejected, goal: headroom.goal)
    batches = Self.batches(run)
    timeName = run.deviceClass == .processor ? "Time" : "GPU time"
    timeParts = Self.timeParts(run, waterfall)
    time = Self.largest(timeParts).map { "\($0.share.value < 0.0005 ? "under 0.1 %" : $0.share.text) \($0.name)" }.joined(separator: ", ")
    let (changes, noEffect) = Self.changes(assessment, run: run, goal: headroom.goal, model: model)
    self.changes = changes
    self.noEffect = noEffect
    let measure = fullGenerator?.observation.missing?.cheapestMeasurement.replacing("`", with: "")
    self.confirm = confirm?.replacing("`", with: "") ?? measure ?? Self.confirm(verdict, run)
  }

  /// "Bottleneck: ...", or the state in which nothing limits.
  private static func title(_ verdict: Verdict, _ sentence: String, _ run: RunEvidence) -> String {
    guard let first = verdict.claims.first else {
      return verdict.side == nil ? "Inconclusive: \(undecided(run))" : "Bottleneck: \(sentence)"
    }
    switch first.regime {
    case .loadLimited where !verdict.isCoLimited, .notSteady: return sentence.prefix(1).uppercased() + sentence.dropFirst()
    default: return first.confidence == .inconclusive ? "Inconclusive: \(sentence)" : "Bottleneck: \(sentence)"
    }
  }

  /// Why nothing is named: the busiest stage is between roomy and saturated.
  private static func undecided(_ run: RunEvidence) -> String {
    guard let busiest = run.stages.busiest, let utilization = busiest.utilization, utilization.value < RunEvidence.limitingUtilization
    else {
      return "what limits cannot be told"
    }
    return "no stage is saturated; the busiest, \(busiest.stage.subject(on: run.deviceClass)), is at \(utilization.text)"
  }

  /// A load generator that is full although all it sent was answered: then the latency is its own queue's.
  private static func fullGenerator(_ assessment: Assessment) -> Finding? {
    guard assessment.verdict.claims.first?.regime == .loadLimited else { return nil }
    return assessment.ranked.map(\.finding).first { $0.code == .HR101 && $0.observation.confidence > .inconclusive }
  }

  /// A server that keeps up may answer too late all the same, or be asked by a generator that is full.
  private static func but(_ verdict: Verdict, _ run: RunEvidence, _ goal: LatencyGoal, fullGenerator: Observation?) -> String {
    guard verdict.claims.first?.regime == .loadLimited else { return "" }
    var parts: [String] = []
    if misses(run, goal) { parts.append("misses \(goal.text)") }
    if let fullGenerator {
      parts.append("the load generator is saturated (\(fullGenerator.confidence.text)): latencies contain its own queue")
    }
    return parts.isEmpty ? "" : ", but " + parts.joined(separator: ", and ")
  }

  static func misses(_ run: RunEvidence, _ goal: LatencyGoal) -> Bool {
    run.load.p99Latency.map { $0.inMilliseconds > goal.p99Milliseconds } ?? false
  }

  /// The four largest; the busy share among them, however small.
  private static func largest(_ parts: [(name: String, share: Figure)]) -> [(name: String, share: Figure)] {
    var shown = Array(parts.prefix(4))
    if let busy = parts.first(where: { $0.name == busyName }), !shown.contains(where: { $0.name == busyName }) {
      shown = Array(shown.prefix(3)) + [busy]
    }
    return shown
  }

  private static let busyName = "busy"

  private static func now(_ run: RunEvidence, rejected: Int, goal: LatencyGoal) -> String {
    var parts: [String] = []
    let answered = run.load.throughput.map { NumberText.significant($0.value) }
    switch (run.load.loop, answered) {
    case (.closed(let users)?, let answered?): parts.append("\(NumberText.grouped(users)) users: \(answered) requests/s answered")
    case (.open(let rate)?, let answered?):
      // Arrivals at random are not as many in each window.
      let offered = NumberText.significant(rate.value)
      let difference = run.load.throughput.map { ($0.value / max(rate.value, 1e-9) - 1).magnitude } ?? 0
      let isOther = run.load.isOpenBelowSaturation == true && difference > 0.005
      parts.append("\(offered) requests/s offered\(isOther ? " on average" : ""), \(answered) answered")
    case (nil, let answered?): parts.append("\(answered) requests/s answered")
    case (_, nil): parts.append("no request answered")
    }
    if rejected > 0 { parts.append("\(NumberText.grouped(rejected)) rejected") }
    if let p99 = run.load.p99Latency {
      // With more offered than answered the queue grows: the percentile says how long the window was.
      let grows = run.load.isOpenBelowSaturation == false && rejected == 0
      parts.append("p99 \(p99.text)\(misses(run, goal) ? grows ? " and growing: misses the goal" : ": misses the goal" : "")")
    }
    return parts.joined(separator: ", ")
  }

  private static func batches(_ run: RunEvidence) -> String? {
    guard let rows = run.batching.meanRows else { return nil }
    var text = NumberText.significant(rows.value)
    if let maximum = run.batching.maximumRows { text += " of \(maximum)" }
    text += " rows on average"
    let total = run.batching.recordedBatches
    let reasons = DispatchReason.allCases.compactMap { reason in run.batching.dispatchReasons[reason].map { (reason, $0) } }
      .filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }
    if let first = reasons.first, total > 0 {
      text += "; \(NumberText.percent(Double(first.1) / Double(total))) dispatched: \(first.0.text)"
    }
    return text
  }

  private static func timeParts(_ run: RunEvidence, _ waterfall: Waterfall?) -> [(name: String, share: Figure)] {
    guard let waterfall else { return [] }
    var parts = waterfall.bars.filter { !$0.step.isBusy }.map { (name: $0.step.text, share: $0.ofWall) }
    if let busy = run.device.gpuBusy { parts.append((busyName, busy)) }
    return parts.filter { $0.share.value >= 0.005 || $0.name == busyName }.sorted { $0.share.value > $1.share.value }
  }

  /// The cheapest measurement that would confirm the verdict.
  private static func confirm(_ verdict: Verdict, _ run: RunEvidence) -> String {
    if let missing = verdict.missing { return missing.cheapestMeasurement.replacing("`", with: "") }
    guard let first = verdict.claims.first else { return "a longer window under the same load" }
    switch first.regime {
    case .loadLimited: return "offer twice the load: throughput should double"
    case .clientBound: return "the same users from two generator processes: throughput should rise"
    case .frontEndBound: return "pidstat -t -p PID 5 1 on the server: its HTTP threads near 100 %"
    case .batchingBound: return "max_queue_delay_microseconds: 0: throughput should rise"
    case .transferBound: return "headroom profile: copies while no kernel runs"
    case .launchBound: return "headroom profile: launches late, the stream empty at most of them"
    case .noBatchPipelining:
      if let gap = run.device.loopGap, let busy = run.device.deviceTimePerBatch {
        return "headroom profile: gap after each batch \(gap.text), device time per batch \(busy.text)"
      }
      return "headroom profile: a gap after each batch while requests queue"
    case .interKernelGaps: return "headroom profile: gaps of a microsecond between queued kernels"
    case .underfilled, .memoryBound, .computeBound, .deviceBound:
      if let busy = run.device.gpuBusy { return "nvidia-smi: utilization.gpu near \(busy.text) under this load" }
      return "nvidia-smi: utilization.gpu near 100 % under this load"
    case .notSteady: return "a longer window, with ramp and warm-up cut"
    }
  }

  /// The lines as rows: a name, a text and what stands in brackets at the end.
  public var rows: [(name: String, text: String, kind: String?)] {
    var rows: [(name: String, text: String, kind: String?)] = [("Headroom", headroom.text, headroom.kindText), ("Now", now, kind.rawValue)]
    if let batches { rows.append(("Batches", batches, nil)) }
    if !time.isEmpty { rows.append((timeName, time, nil)) }
    for (index, change) in changes.enumerated() { rows.append(("\(index + 1) \(change.effect.rawValue)", change.text, change.kind)) }
    if !noEffect.isEmpty { rows.append(("No effect", noEffect.joined(separator: ", "), nil)) }
    rows.append(("Confirm", confirm, nil))
    return rows
  }

  /// The ten lines, 80 columns.
  public var lines: [String] {
    var answer = AnswerLines()
    answer.add(first: bottleneck)
    answer.add("Headroom", headroom.text, kind: headroom.kindText)
    answer.add("Now", now, kind: kind.rawValue)
    if let batches { answer.add("Batches", batches) }
    if !time.isEmpty { answer.add(timeName, time) }
    for (index, change) in changes.enumerated() {
      answer.add(change: index + 1, effect: change.effect.rawValue, fix: change.setting, gain: change.gainAndCosts, kind: change.kind)
    }
    if !noEffect.isEmpty { answer.add("No effect", noEffect.joined(separator: ", ")) }
    answer.add("Confirm", confirm)
    return answer.lines
  }
}

extension RunAnswer.Change {
  /// "1,151 -> 2,282 req/s, +98 %; costs p99 +4 %".
  var gainAndCosts: String { costs.isEmpty ? gain : "\(gain); costs \(costs.joined(separator: ", "))" }

  /// Setting and gain in one.
  var text: String {
    // "half this GPU is enough" is a sentence, not a setting with its gain.
    gain.isEmpty ? setting : setting + (gain.hasPrefix("is enough") ? " " : ": ") + gainAndCosts
  }
}
