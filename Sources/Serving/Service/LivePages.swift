public import KServe

/// What a server says of its own last seconds. The front end knows paths, methods and fields; this knows what stands there.
public protocol LivePages: Sendable {
  /// The page for browsers, made anew for each of them.
  func page() -> LivePageText
  /// The answer, of one model or (nil) of all; fails for a model that is not known, and where nothing is recorded. It takes longer than an
  /// event loop may wait: `whenDone` is called on another thread.
  func answer(ofModel name: String?, as format: LiveFormat, whenDone: @escaping @Sendable (Result<String, KServeError>) -> Void)
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
