/// One kind of file that traces are read from. Registered in `TraceImporters`.
public protocol TraceImporter: Sendable {
  /// What it reads.
  var format: TraceFileFormat { get }

  /// Whether a file is of that kind, by its content. May look into it, changes nothing.
  func recognizes(_ source: TraceSource) -> Bool

  /// Reads it. What cannot be used is passed over and noted; an error means that nothing could be used.
  func read(_ source: TraceSource, _ options: ImportOptions) throws(TraceImportError) -> ImportedTrace
}

/// What a caller asks of an importer.
public struct ImportOptions: Sendable {
  /// Called now and then with the bytes read so far, and all of them where that is known.
  public var progress: (@Sendable (_ bytes: Int, _ of: Int?) -> Void)?

  /// Options.
  public init(progress: (@Sendable (_ bytes: Int, _ of: Int?) -> Void)? = nil) { self.progress = progress }
}
