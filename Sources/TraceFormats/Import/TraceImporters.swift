import FileAccess

/// Every kind of trace that is read, tried in order. A new kind is added here and nowhere else.
public enum TraceImporters {
  /// The kinds. One that is recognized by less stands behind one that is recognized by more.
  public static let all: [any TraceImporter] = [HeadroomImporter(), NsightImporter(), NsightReportImporter(), KinetoImporter()]

  /// Reads the trace at `path`, of whatever kind its content says it is; "-" is standard input.
  public static func read(_ path: String, _ options: ImportOptions = ImportOptions()) throws(TraceImportError) -> ImportedTrace {
    let source = try TraceSource(path)
    return try read(source, options)
  }

  /// Reads a trace from an open source.
  public static func read(_ source: TraceSource, _ options: ImportOptions = ImportOptions()) throws(TraceImportError) -> ImportedTrace {
    for importer in all where importer.recognizes(source) { return try importer.read(source, options) }
    if let known = KnownFile(source.contentHead) {
      let name = source.path == "-" ? "FILE" : source.path
      throw TraceImportError(
        path: source.path, reason: known.title, remedy: known.remedy.replacing("FILE", with: name))
    }
    throw TraceImportError(
      path: source.path, reason: "\(source.looksLike), not a trace",
      remedy:
        "Read are Nsight Systems exports (nsys export --type sqlite), PyTorch traces (.json, .json.gz) and headroom's own .sqlite files")
  }

  /// What a file is, by its content; nil where no importer knows it.
  public static func format(of path: String) throws(TraceImportError) -> TraceFileFormat? {
    let source = try TraceSource(path)
    return all.first { $0.recognizes(source) }?.format
  }

  /// Files that a path stands for: itself, or, of a folder, what an importer knows in it (one file per rank, as PyTorch writes them), by name.
  public static func files(at path: String) throws(TraceImportError) -> [String] {
    guard path != "-", Files.kind(of: path) == .folder else { return [path] }
    var found: [String] = []
    do throws(FileError) {
      for name in try Files.entries(of: path) where Files.isRegular("\(path)/\(name)") {
        if (try? format(of: "\(path)/\(name)")) ?? nil != nil { found.append("\(path)/\(name)") }
      }
    } catch { throw TraceImportError(path: path, reason: error.description) }
    if found.isEmpty { throw TraceImportError(path: path, reason: "a folder without a trace in it") }
    return found
  }
}
