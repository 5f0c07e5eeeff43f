import Trace

/// Traces that headroom wrote.
public struct HeadroomImporter: TraceImporter {
  /// The importer.
  public init() {}

  /// Ours.
  public var format: TraceFileFormat { .headroom }

  /// A SQLite database that says that headroom wrote it.
  public func recognizes(_ source: TraceSource) -> Bool {
    guard source.contentHead.starts(with: "SQLite format 3\0".utf8), let file = try? source.regularFile(),
      var reader = try? TraceStoreReader(file, path: source.path, policy: .lenient)
    else { return false }
    var isOurs = false
    try? reader.scan(TraceSchema.metadata) { row throws(CellError) in
      let key = try row.text()
      let value = try row.text()
      if key == "EXPORT_PRODUCT_NAME", value == "headroom" { isOurs = true }
    }
    return isOurs
  }

  /// See `TraceImporter`. Strict: a file of ours that is damaged is an error.
  public func read(_ source: TraceSource, _ options: ImportOptions) throws(TraceImportError) -> ImportedTrace {
    do throws(TraceStoreError) {
      var reader = try TraceStoreReader(try file(source), path: source.path)
      let trace = try reader.read()
      return ImportedTrace(
        trace: trace, format: .headroom, path: source.path, writer: "headroom", notes: TraceChecks.describe(trace))
    } catch {
      throw TraceImportError(error, remedy: "Copy it again, or run what wrote it again")
    }
  }

  private func file(_ source: TraceSource) throws(TraceStoreError) -> String {
    do throws(TraceImportError) { return try source.regularFile() } catch { throw TraceStoreError(path: source.path, reason: error.reason) }
  }
}
