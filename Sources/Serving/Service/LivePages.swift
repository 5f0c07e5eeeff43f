public import KServe

/// What a server says of its own last seconds. The front end knows paths, methods and fields; this knows what stands there.
public protocol LivePages: Sendable {
  /// The page for browsers, made anew for each of them.
  func page() -> LivePageText
  /// The answer, of one model or (nil) of all; fails for a model that is not known, and where nothing is recorded. It takes longer than an
  /// event loop may wait: `whenDone` is called on another thread.
  func answer(ofModel name: String?, as format: LiveFormat, whenDone: @escaping @Sendable (Result<String, KServeError>) -> Void)
  /// What the metrics page says of each model that is diagnosed: what is known now, without waiting; nothing where nothing is recorded, and
  /// before the first diagnosis is done.
  func metrics() -> [LiveMetrics]
}

/// What the live diagnosis contributes to the metrics page, of one model version.
public struct LiveMetrics: Sendable, Hashable {
  /// The highest request rate that holds a latency goal.
  public struct Maximum: Sendable, Hashable {
    /// The goal as it is typed, "p99<100ms".
    public var goal: String
    /// Requests per second.
    public var requestsPerSecond: Double

    /// Both stated.
    public init(goal: String, requestsPerSecond: Double) {
      self.goal = goal
      self.requestsPerSecond = requestsPerSecond
    }
  }

  /// The model's name.
  public var model: String
  /// Its version.
  public var version: String
  /// What limits it, as a label's value; nil where nothing is recorded.
  public var verdict: String?
  /// nil where it is not known.
  public var maximum: Maximum?

  /// Every field stated.
  public init(model: String, version: String, verdict: String?, maximum: Maximum? = nil) {
    self.model = model
    self.version = version
    self.verdict = verdict
    self.maximum = maximum
  }
}

/// How the live answer is written.
public enum LiveFormat: String, Sendable, Hashable, CaseIterable {
  /// One object with everything.
  case json
  /// Ten lines per model.
  case text
}

/// A page and what browsers are told to let it do.
public struct LivePageText: Sendable {
  /// The whole document.
  public var html: String
  /// Value of the field `Content-Security-Policy`.
  public var contentSecurityPolicy: String

  /// Every field stated.
  public init(html: String, contentSecurityPolicy: String) {
    self.html = html
    self.contentSecurityPolicy = contentSecurityPolicy
  }
}
