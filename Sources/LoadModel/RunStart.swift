/// When a process's part of a run begins.
public enum RunStart: Sendable, Hashable {
  /// Seconds since 1970.
  case at(epochSeconds: Double)
  /// The instant the parts agreed on has passed: what was due since then would be sent in one burst, or never.
  case missed(bySeconds: Double)

  /// Threads and connections first: this is enough for them, and nobody waits for it.
  private static let leadSeconds = 0.02

  /// A start after this is another run's start. Half a scheduler's worst delay on a busy machine would be far less.
  public static let toleranceSeconds = 0.1

  /// `startAt` is what --start-at says; nil starts soon after `now`.
  public init(startAt: Double?, now: Double) {
    guard let startAt else {
      self = .at(epochSeconds: now + Self.leadSeconds)
      return
    }
    self = now > startAt ? .missed(bySeconds: now - startAt) : .at(epochSeconds: startAt)
  }
}
