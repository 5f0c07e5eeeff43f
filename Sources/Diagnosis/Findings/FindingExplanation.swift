/// What a finding's page says: of the finding in general, where an `Observation` speaks of one run. `Docs/findings` is made of these
/// (`FindingPages`), so that a finding is one file and a line of the registry.
public struct FindingExplanation: Sendable, Hashable {
  /// For the index.
  public var inOneLine: String
  /// For the index: where the gains of its fixes come from.
  public var gainsComputedBy: String
  /// The page's first sentence.
  public var summary: String
  /// When it is said.
  public var says: String
  /// What it costs.
  public var whyBad: String
  /// Which figures, and from which value on.
  public var evidence: String
  /// A run that shows it.
  public var example: String
  /// What to do, as lines to type where there are some.
  public var fix: String
  /// What to measure in order to refute it.
  public var wouldChange: String

  /// Every part, in Markdown.
  public init(
    inOneLine: String, gainsComputedBy: String, summary: String, says: String, whyBad: String, evidence: String, example: String,
    fix: String,
    wouldChange: String
  ) {
    self.inOneLine = inOneLine
    self.gainsComputedBy = gainsComputedBy
    self.summary = summary
    self.says = says
    self.whyBad = whyBad
    self.evidence = evidence
    self.example = example
    self.fix = fix
    self.wouldChange = wouldChange
  }
}
