public import Trace

/// A trace and what must be known of how it was read.
public struct ImportedTrace: Sendable {
  /// What happened.
  public var trace: Trace
  /// The kind of file.
  public var format: TraceFileFormat
  /// The path as it was given; "-" for standard input.
  public var path: String
  /// Who wrote the file, with its version; nil where it does not say.
  public var writer: String?
  /// What was passed over, missing or assumed, in a fixed order.
  public var notes: [ImportNote]

  /// A trace as it was read.
  public init(trace: Trace, format: TraceFileFormat, path: String, writer: String? = nil, notes: [ImportNote] = []) {
    self.trace = trace
    self.format = format
    self.path = path
    self.writer = writer
    self.notes = notes
  }
}
