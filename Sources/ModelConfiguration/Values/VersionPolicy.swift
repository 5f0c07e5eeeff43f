/// Which versions of a model are served (`ModelVersionPolicy`).
public enum VersionPolicy: Sendable, Hashable {
  /// The highest-numbered ones, this many; 0 counts as 1.
  case latest(Int)
  /// Every version there is.
  case all
  /// These versions.
  case specific([Int])
}
