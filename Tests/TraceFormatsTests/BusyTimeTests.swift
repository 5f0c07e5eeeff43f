import CheckedNumbers
import FileAccess
import Glibc
import JSONText
import Testing
import Trace

@testable import TraceFormats

/// Busy time of every trace at hand against a union that shares nothing with the importers: SQL's windows for exports, a plain reading of
/// the JSON tree for traces of PyTorch.
@Suite struct BusyTimeTests {
  /// Union and span of intervals, nanoseconds.
  struct Busy: Equatable, CustomStringConvertible {
    var busy: Int64
    var span: Int64
    var description: String { "\(busy) of \(span) ns" }

    init(busy: Int64, span: Int64) { (self.busy, self.span) = (busy, span) }

    init(_ intervals: [(Int64, Int64)]) {
      let sorted = intervals.sorted { $0.0 < $1.0 }
      var (busy, reached) = (Int64(0), Int64.min)
      for (start, end) in sorted where end > reached {
        busy += end - max(start, reached)
        reached = end
      }
      let last = sorted.map(\.1).max() ?? 0
      self.init(busy: busy, span: last - (sorted.first?.0 ?? 0))
    }
  }

  /// Of a trace as it was imported, by device.
  static func imported(_ trace: Trace) -> [Int64: Busy] {
    var intervals: [Int64: [(Int64, Int64)]] = [:]
    for row in trace.kernels { intervals[trace[row.stream].device, default: []].append((row.start, row.end)) }
    for row in trace.copies { intervals[trace[row.stream].device, default: []].append((row.start, row.end)) }
    for row in trace.memsets { intervals[trace[row.stream].device, default: []].append((row.start, row.end)) }
    return intervals.mapValues { Busy($0) }
  }

  /// Of an export, in SQL.
  static func queried(_ path: String) throws -> [Int64: Busy] {
    let tables = try sql(path, "SELECT name FROM sqlite_master WHERE type = 'table'").compactMap { $0.first ?? nil }
    let parts = ["KERNEL", "MEMCPY", "MEMSET"].map { "CUPTI_ACTIVITY_KIND_\($0)" }.filter(tables.contains)
      .map { "SELECT deviceId AS d, start AS s, \"end\" AS e FROM \($0)" }
    if parts.isEmpty { return [:] }
    let rows = try sql(
      path,
      """
      WITH w AS (\(parts.joined(separator: " UNION ALL "))),
        m AS (SELECT d, s, e, max(e) OVER (PARTITION BY d ORDER BY s, e ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS p FROM w)
      SELECT d, sum(CASE WHEN p IS NULL OR s >= p THEN e - s WHEN e > p THEN e - p ELSE 0 END), max(e) - min(s) FROM m GROUP BY d
      """)
    var result: [Int64: Busy] = [:]
    for row in rows {
      let numbers = row.map { Int64($0 ?? "") ?? -1 }
      result[numbers[0]] = Busy(busy: numbers[1], span: numbers[2])
    }
    return result
  }

  /// Of a document of trace events, from its tree.
  static func plain(_ path: String) throws -> [Int64: Busy] {
    let source = try TraceSource(path)
    let stream = try source.content()
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while case let count = try stream.read(into: &buffer), count > 0 { bytes += buffer[..<count] }
    let document = try JSONValue.parse(bytes)
    var intervals: [Int64: [(Int64, Int64)]] = [:]
    for event in document.arrayValue ?? document["traceEvents"]?.arrayValue ?? [] {
      let work = ["kernel", "gpu_memcpy", "gpu_memset", "Kernel", "Memcpy", "Memset"]
      guard work.contains(event["cat"]?.stringValue ?? "") else { continue }
      let start = Int64(saturating: ((event["ts"]?.doubleValue ?? 0) * 1000).rounded())
      let end = start + Int64(saturating: ((event["dur"]?.doubleValue ?? 0) * 1000).rounded())
      let device = event["args"]?["device"]?.integerValue ?? event["pid"]?.integerValue ?? -1
      intervals[device, default: []].append((start, end))
    }
    return intervals.mapValues { Busy($0) }
  }

  static func files(_ folders: [String], _ suffix: String) -> [String] {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(4)
    let root = "/" + parts.joined(separator: "/") + "/shared/"
    return folders.flatMap { folder in
      ((try? Files.entries(of: root + folder)) ?? []).filter { $0.hasSuffix(suffix) }.map { "\(root)\(folder)/\($0)" }
    }
  }

  static let exports = files(["traces/nsys"], ".sqlite")
  static let documents = files(["traces/kineto", "gpu/traces"], ".json.gz")

  @Test(.enabled(if: !exports.isEmpty), arguments: exports) func busyTimeOfExportsIsThatOfSQL(path: String) throws {
    let folder = try TemporaryFolder()
    try Files.write(folder(), try Files.read(path))
    #expect(Self.imported(try TraceImporters.read(path).trace) == (try Self.queried(folder())))
  }

  /// Doubles hold microseconds since 1970 to a quarter of one: within a microsecond per event at most, and mostly exact.
  @Test(.enabled(if: !documents.isEmpty), arguments: documents) func busyTimeOfDocumentsIsThatOfAPlainReading(path: String) throws {
    let trace = try TraceImporters.read(path).trace
    let (imported, plain) = (Self.imported(trace), try Self.plain(path))
    #expect(imported.keys.sorted() == plain.keys.sorted())
    for (device, busy) in imported {
      let other = try #require(plain[device])
      #expect(abs(busy.busy - other.busy) <= other.busy / 2000 + 2 && abs(busy.span - other.span) <= 1000, "\(busy), not \(other)")
    }
  }

  /// What other tools and the files' own descriptions say of them.
  @Test(
    .enabled(if: !exports.isEmpty && !documents.isEmpty),
    arguments: [
      ("a100-cloverleaf-3.13.2.sqlite", 1312, 0.887), ("h100-2gpu-transfer-3.25.0.sqlite", 3442, 0.993),
      ("h100-bert-small.json.gz", 60, 0.0792),
      ("h100-unlinked-launches.json.gz", 1465, 0.919), ("mi300-graph-launch.json.gz", 425, 0.998),
      ("resnet50-top-level-list.json.gz", 9538, 0.503),
      ("a100-alexnet.json.gz", 79, 0.005), ("rtx3090-api-only-3.23.3.sqlite", 0, 0), ("no-gpu-events.json.gz", 0, 0),
      ("nvtx-only.sqlite", 0, 0),
    ])
  func whatIsKnownOfTheFilesIsFound(name: String, kernels: Int, share: Double) throws {
    let path = try #require((Self.exports + Self.documents).first { $0.hasSuffix("/\(name)") })
    let trace = try TraceImporters.read(path).trace
    #expect(trace.kernels.count == kernels)
    let busy = Self.imported(trace).values.max { $0.span < $1.span }
    #expect(abs((busy.map { Double($0.busy) / Double($0.span) } ?? 0) - share) < 0.0006)
  }

  @Test(.enabled(if: !exports.isEmpty)) func kernelsWithoutALaunchAreCountedAsTheFilesDescribe() throws {
    func note(_ name: String) throws -> String? {
      let path = try #require((Self.exports + Self.documents).first { $0.hasSuffix("/\(name)") })
      return try TraceImporters.read(path).notes.first { $0.kind == .unlinkedDeviceWork }?.text
    }
    #expect(try note("h100-2gpu-transfer-3.25.0.sqlite")?.hasPrefix("1810 of 3442 kernels and ") == true)
    #expect(try note("h100-unlinked-launches.json.gz")?.contains("have no API call in the file") == true)
    #expect(try note("a100-cloverleaf-3.13.2.sqlite") == nil)
  }
}
