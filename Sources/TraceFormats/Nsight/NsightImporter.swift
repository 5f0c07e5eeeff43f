import CheckedNumbers
import Trace

/// SQLite exports of Nsight Systems, schema 2.9.1 and later. Every table and every column is optional in them.
public struct NsightImporter: TraceImporter {
  /// The importer.
  public init() {}

  /// Nsight's.
  public var format: TraceFileFormat { .nsight }

  /// A SQLite database that is not ours, or the zeros that an interrupted `nsys export` leaves in place of the header.
  public func recognizes(_ source: TraceSource) -> Bool {
    source.contentHead.starts(with: "SQLite format 3\0".utf8) || SQLiteHeader.isZeroed(source.contentHead)
  }

  /// See `TraceImporter`.
  public func read(_ source: TraceSource, _ options: ImportOptions) throws(TraceImportError) -> ImportedTrace {
    do throws(TraceStoreError) {
      var reader = NsightReader(try TraceStoreReader(try file(source), path: source.path, policy: .lenient), path: source.path)
      return try reader.read(options)
    } catch {
      throw TraceImportError(error)
    }
  }

  private func file(_ source: TraceSource) throws(TraceStoreError) -> String {
    do throws(TraceImportError) { return try source.regularFile() } catch { throw TraceStoreError(path: source.path, reason: error.reason) }
  }
}

/// What the first bytes of a database say.
enum SQLiteHeader {
  /// Whether there are only zeros where the header should be (GindaChen/nsys-ai#126).
  static func isZeroed(_ head: [UInt8]) -> Bool { head.count >= 512 && head.prefix(100).allSatisfy { $0 == 0 } }
}

/// Reads one export: the tables that a trace of ours has too, then what only Nsight writes.
struct NsightReader {
  private var reader: TraceStoreReader
  private let path: String
  private var notes: [ImportNote] = []
  private var metadata: [String: String] = [:]

  init(_ reader: TraceStoreReader, path: String) {
    self.reader = reader
    self.path = path
  }

  mutating func read(_ options: ImportOptions) throws(TraceStoreError) -> ImportedTrace {
    try readMetadata()
    var trace = try reader.read()
    try readDevices(&trace)
    try readCounters(&trace)
    try readSchedule(&trace)
    trace.run["source"] = TraceFileFormat.nsight.rawValue
    let version = metadata["EXPORT_SCHEMA_VERSION"].flatMap { SchemaVersion($0) }
    if let version { trace.run["schemaVersion"] = version.description }
    SynchronizationTypes.normalize(&trace, version: version).map { notes.append($0) }
    var damaged: [ImportNote] = []
    for damage in reader.damages {
      damaged.append(
        damage.cells > 0
          ? ImportNote(
            .warning, .unreadable,
            "\(damage.table): \(damage.cells) cells are not what they should be and count as unknown; the first: \(damage.first)")
          : ImportNote(
            .warning, .incomplete, "\(damage.table.isEmpty ? "" : "\(damage.table): ")\(damage.first); what could be read before it was"))
    }
    notes = damaged + notes + TraceChecks.clean(&trace) + TraceChecks.describe(trace) + captureNotes(trace)
    let product = metadata["EXPORT_PRODUCT_NAME"] ?? "Nsight Systems"
    let writer = [product, metadata["EXPORT_PRODUCT_VERSION"], version.map { "(schema \($0))" }].compactMap { $0 }
    return ImportedTrace(trace: trace, format: .nsight, path: path, writer: writer.joined(separator: " "), notes: notes)
  }

  private mutating func readMetadata() throws(TraceStoreError) {
    var found: [String: String] = [:]
    for layout in NsightSchema.metadata {
      try reader.scan(layout) { row throws(CellError) in
        let key = try row.text()
        let value = try row.text()
        if let key, let value { found[key] = value }
      }
    }
    metadata = found
  }

  /// Redacted exports lack the table of GPUs; the one of CUDA devices may still say how many multiprocessors there are.
  private mutating func readDevices(_ trace: inout Trace) throws(TraceStoreError) {
    var known = Set(trace.gpus.map(\.id))
    var added: [GPUDescription] = []
    try reader.scan(NsightSchema.cudaDevices) { row throws(CellError) in
      let (id, cuda, _, count) = (try row.int64(), try row.int64(), try row.int64(), try row.int64())
      if id != Trace.unknown, known.insert(id).inserted {
        added.append(GPUDescription(id: id, cudaDevice: cuda, name: "", smCount: count))
      }
    }
    trace.gpus += added
  }

  private mutating func readCounters(_ trace: inout Trace) throws(TraceStoreError) {
    struct Key: Hashable {
      var type: Int64
      var metric: Int64
    }
    var ids: [Key: NameID] = [:]
    var byMetric: [Int64: NameID] = [:]
    try reader.scan(NsightSchema.gpuMetricNames) { row throws(CellError) in
      let (type, metric) = (try row.int64(), try row.int64())
      guard let name = try row.text() else { return }
      let id = trace.names.intern(name)
      ids[Key(type: type, metric: metric)] = id
      byMetric[metric] = id
    }
    // Ordinals, where the machine's description gives them.
    let ordinals = Dictionary(trace.gpus.map { ($0.id, $0.cudaDevice) }, uniquingKeysWith: { first, _ in first })
    var counters = trace.counters
    try reader.scan(NsightSchema.gpuMetrics) { row throws(CellError) in
      let (time, type, metric) = (try row.int64(), try row.int64(), try row.int64())
      let gpu = type == Trace.unknown ? Trace.unknown : type & 0xFF
      let ordinal = ordinals[gpu] ?? Trace.unknown
      counters.append(
        CounterSample(
          time: time, counter: ids[Key(type: type, metric: metric)] ?? byMetric[metric] ?? .unknown,
          device: ordinal == Trace.unknown ? gpu : ordinal, value: try row.double()))
    }
    trace.counters = counters
  }

  /// When the threads that call CUDA ran on no processor.
  private mutating func readSchedule(_ trace: inout Trace) throws(TraceStoreError) {
    var schedule = ThreadSchedule(of: Set(trace.apiCalls.thread))
    try reader.scan(NsightSchema.schedule) { row throws(CellError) in
      schedule.add(time: try row.int64(), isScheduledIn: try row.int64(), thread: try row.int64())
    }
    trace.offCPU = schedule.table()
  }

  /// What the profiler warned of: overflowed buffers and lost events are worth a line each.
  private func captureNotes(_ trace: Trace) -> [ImportNote] {
    var notes: [ImportNote] = []
    var seen: Set<NameID> = []
    for event in trace.diagnostics where event.severity >= 2 && seen.insert(event.text).inserted && notes.count < 20 {
      notes.append(ImportNote(.information, .capture, "the profiler says: \(trace.names[event.text] ?? "")"))
    }
    return notes
  }
}
