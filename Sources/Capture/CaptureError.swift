public import ProcessContract

/// Why a program's calls could not be recorded.
public struct CaptureError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure it is.
  public enum Kind: Sendable, Hashable {
    /// There is no such program.
    case notFound
    /// It cannot be run, or nothing of it would be seen.
    case cannotBeSeen
    /// Something of the recording itself.
    case failed
  }

  /// See `Kind`.
  public var kind: Kind
  /// What was wrong, where, and what to do next.
  public var description: String

  /// An error of this kind.
  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  /// How `headroom profile` ends.
  public var status: ExitStatus {
    switch kind {
    case .notFound: .commandNotFound
    case .cannotBeSeen: .commandNotRunnable
    case .failed: .wrapperFailed
    }
  }
}
