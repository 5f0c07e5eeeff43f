/// A finding's code, as "HR121". A code is never given to another finding; each rule declares its own beside itself.
public struct FindingCode: RawRepresentable, Sendable, Hashable, Comparable {
  /// "HR" and three digits.
  public let rawValue: String

  /// nil for a text that is no code.
  public init?(rawValue: String) {
    guard rawValue.count == 5, rawValue.hasPrefix("HR"), rawValue.dropFirst(2).allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    self.rawValue = rawValue
  }

  /// HR and a number of three digits.
  public init(_ number: Int) { rawValue = "HR\(number)" }

  /// By number.
  public static func < (left: FindingCode, right: FindingCode) -> Bool { left.rawValue < right.rawValue }
}

/// A finding's rule: reads the evidence, says whether it holds. Pure.
public protocol FindingRule: Sendable {
  /// The registered code.
  static var code: FindingCode { get }
  /// Short name, as in "client-saturated".
  static var name: String { get }
  /// A run that shows it, in one or two sentences.
  static var example: String { get }
  /// What its page says.
  static var explanation: FindingExplanation { get }
  /// Whether it can hold where a processor computes: nothing of launches, copies over a link, streaming multiprocessors or a GPU's memory.
  static var appliesToProcessors: Bool { get }
  /// Examines a run. Confidence is the rule's own; `Findings` applies what caps it.
  static func examine(_ run: RunEvidence) -> Examination
}

extension FindingRule {
  /// Of GPUs alone, where a rule says nothing.
  public static var appliesToProcessors: Bool { false }

  /// The page that explains it.
  public static var page: String { "Docs/findings/\(code.rawValue)-\(name).md" }
}

/// What a rule says of a run.
public enum Examination: Sendable, Hashable {
  /// It holds.
  case found(Observation)
  /// It does not, and the figures say so.
  case clear
  /// Something needed is unknown.
  case inconclusive(MissingEvidence)
}

/// What a rule saw.
public struct Observation: Sendable, Hashable {
  /// How sure.
  public var confidence: Confidence
  /// What was seen, with its figures.
  public var seen: [Sentence]
  /// Why it is bad.
  public var whyBad: Sentence
  /// What to do, best known first.
  public var fixes: [Fix]
  /// What would make it certain, where it is not.
  public var missing: MissingEvidence?

  /// All that was seen.
  public init(_ confidence: Confidence, seen: [Sentence], whyBad: Sentence, fixes: [Fix], missing: MissingEvidence? = nil) {
    self.confidence = confidence
    self.seen = seen
    self.whyBad = whyBad
    self.fixes = fixes
    self.missing = missing
  }
}

/// A finding that holds for a run.
public struct Finding: Sendable, Hashable {
  /// Registered code.
  public var code: FindingCode
  /// Short name.
  public var name: String
  /// A run that shows it.
  public var example: String
  /// The page that explains it.
  public var page: String
  /// What was seen.
  public var observation: Observation
}

/// All findings of one run, before gains.
public struct Findings: Sendable, Hashable {
  /// Those that hold, by code.
  public var found: [Finding]
  /// Those that could not be told, with what would decide.
  public var undecided: [Undecided]

  /// A finding that could not be told.
  public struct Undecided: Sendable, Hashable {
    /// Registered code.
    public var code: FindingCode
    /// Short name.
    public var name: String
    /// What would decide.
    public var missing: MissingEvidence
  }

  /// Asks the registered rules that apply to the run's device, or of these those of `codes`.
  public init(of run: RunEvidence, codes: Set<FindingCode>? = nil, rules: [any FindingRule.Type] = FindingRegistry.rules) {
    found = []
    undecided = []
    var codes = codes
    if let applicable = run.deviceClass.findings { codes = codes?.intersection(applicable) ?? applicable }
    for rule in rules where codes?.contains(rule.code) ?? true {
      switch rule.examine(run) {
      case .clear: continue
      case .inconclusive(let missing): undecided.append(Undecided(code: rule.code, name: rule.name, missing: missing))
      case .found(var observation):
        observation.confidence = Self.cap(observation, run)
        found.append(Finding(code: rule.code, name: rule.name, example: rule.example, page: rule.page, observation: observation))
      }
    }
  }

  /// The weaker kind wins: what rests on a fitted or assumed figure is at most likely, and so is everything when more than a fifth of
  /// the wall has no seen cause.
  private static func cap(_ observation: Observation, _ run: RunEvidence) -> Confidence {
    let weakest = observation.seen.flatMap(\.figures).map(\.kind).min()
    let confidence = weakest == .fitted || weakest == .assumed ? min(observation.confidence, .medium) : observation.confidence
    return run.capped(confidence)
  }
}
