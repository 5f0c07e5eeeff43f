import CheckedNumbers
import Glibc

/// Nsight Systems' own reports (`.nsys-rep`, before 2021.4 `.qdrep`) and unfinished captures (`.qdstrm`). Their form is not published: they
/// are exported with `nsys`, by us where it is installed, else by the user with the line that the error gives.
public struct NsightReportImporter: TraceImporter {
  /// The importer.
  public init() {}

  /// A report.
  public var format: TraceFileFormat { .nsightReport }

  /// By its content where that tells; these formats carry no magic of their own in all versions, so binary content with one of their
  /// names counts too.
  public func recognizes(_ source: TraceSource) -> Bool {
    let names = [".nsys-rep", ".qdrep", ".qdstrm"]
    let head = source.contentHead
    if source.isCompressed || head.starts(with: "SQLite format 3\0".utf8) { return false }
    let isText = head.prefix(256).allSatisfy { $0 >= 0x20 || ($0 >= 9 && $0 <= 13) }
    if isText { return false }
    let marks = ["QuadD", "NVIDIA Nsight Systems", "nsys-rep", "quadd"]
    let beginning = head.prefix(4096)
    return names.contains { source.path.hasSuffix($0) } || marks.contains { beginning.firstRange(of: Array($0.utf8)) != nil }
  }

  /// The lines that make a readable file of a report.
  public static func exportCommand(_ path: String) -> [String] {
    let quoted =
      path.allSatisfy { $0.isLetter || $0.isNumber || "/._-+=".contains($0) }
      ? path : "'\(path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''"))'"
    let stem = path.split(separator: ".", omittingEmptySubsequences: false).dropLast().joined(separator: ".")
    let output = (stem.isEmpty ? path : stem) + ".sqlite"
    let quotedOutput =
      quoted.hasPrefix("'") ? "'\(output.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''"))'" : output
    if path.hasSuffix(".qdstrm") {
      let report = (stem.isEmpty ? path : stem) + ".nsys-rep"
      return ["QdstrmImporter --input-file \(quoted)", "nsys export --type sqlite --output \(quotedOutput) \(report)"]
    }
    return ["nsys export --type sqlite --output \(quotedOutput) \(quoted)"]
  }

  /// Exports the report with `nsys` and reads that; without `nsys`, the error says the line to run.
  public func read(_ source: TraceSource, _ options: ImportOptions) throws(TraceImportError) -> ImportedTrace {
    let lines = Self.exportCommand(source.path).joined(separator: "; ")
    let refusal = TraceImportError(
      path: source.path, reason: "an Nsight Systems report, which only nsys reads", remedy: "Export it and explain the result: \(lines)")
    guard source.path != "-", !source.path.hasSuffix(".qdstrm"), let program = Self.nsys() else { throw refusal }
    var template = Array(((getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp") + "/headroom-export-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw refusal }
    let folder = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    let output = folder + "/export.sqlite"
    defer {
      unlink(output)
      rmdir(folder)
    }
    let status = Self.run([program, "export", "--type", "sqlite", "--force-overwrite", "true", "--output", output, source.path])
    guard status == 0 else {
      throw TraceImportError(
        path: source.path, reason: "`\(program) export` ended with status \(status)", remedy: "Run it by hand: \(lines)")
    }
    var imported = try NsightImporter().read(try TraceSource(output), options)
    imported.path = source.path
    return imported
  }

  /// `nsys` on the search path.
  private static func nsys() -> String? {
    guard let path = getenv("PATH") else { return nil }
    for folder in String(cString: path).split(separator: ":") where access("\(folder)/nsys", X_OK) == 0 { return "\(folder)/nsys" }
    return nil
  }

  /// Runs a program to its end, its output dropped. The exit status; -1 where it could not be started or was killed.
  private static func run(_ arguments: [String]) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for pointer in argv { free(pointer) } }
    var child: pid_t = 0
    guard posix_spawn(&child, arguments[0], &actions, nil, &argv, environ) == 0 else { return -1 }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 { if errno != EINTR { return -1 } }
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
  }
}
