/// Something a reader of a trace must know of how it was read: what was passed over, what was missing, what was assumed.
public struct ImportNote: Sendable, Hashable, CustomStringConvertible {
  /// How much it matters.
  public enum Severity: String, Sendable, Hashable {
    /// Worth knowing.
    case information
    /// Something in the file could not be used.
    case warning
  }

  /// See `Severity`.
  public var severity: Severity
  /// What a program can tell notes of one kind apart by; the text may hold figures.
  public var kind: Kind
  /// A sentence: what, how many, where the first one is, what follows from it.
  public var text: String

  /// What notes are about.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// Device work without the API call that launched it: it counts as busy.
    case unlinkedDeviceWork = "unlinked-device-work"
    /// Rows or events that could not be read were passed over.
    case unreadable
    /// Rows or events whose times cannot be were passed over.
    case impossibleTimes = "impossible-times"
    /// The file ends early or is damaged; the rest was read.
    case incomplete
    /// Numbers were read as an older or newer version means them.
    case version
    /// Facts of the device are missing.
    case missingDeviceFacts = "missing-device-facts"
    /// Times are of a coarser grain than nanoseconds.
    case resolution
    /// Events of kinds that are not work were passed over.
    case notWork = "not-work"
    /// Whole CUDA graphs were recorded without their nodes.
    case graphsWithoutNodes = "graphs-without-nodes"
    /// Recordings of several processes stand in one file.
    case merged
    /// What the profiler said about its own capture.
    case capture
  }

  /// A note.
  public init(_ severity: Severity, _ kind: Kind, _ text: String) {
    self.severity = severity
    self.kind = kind
    self.text = text
  }

  /// The text.
  public var description: String { text }
}
