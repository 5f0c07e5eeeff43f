import CheckedNumbers
import CSQLite
import Glibc
import Trace

/// Reads one trace, row by row straight into its arrays. Whatever a file claims, memory grows only with rows that were read, and no more
/// rows and text are read than a file of its size can hold.
struct TraceStoreReader {
  private let database: SQLiteDatabase
  private let path: String
  private var tables: Set<String> = []
  private var rowsLeft: Int
  private var textBytesLeft: Int
  private var names = NameIDMap()

  init(_ path: String) throws(TraceStoreError) {
    let size = try Self.checkHeader(path)
    self.path = path
    database = try SQLiteDatabase(path, path: path, flags: SQLITE_OPEN_READONLY)
    // A row takes at least two bytes in a page's index of cells, its length, its id, its header's length and a type.
    rowsLeft = size / 6
    // Texts are not compressed; UTF-16 (which other programs may choose) grows by half.
    textBytesLeft = size / 2 * 3
    // About a step a cell, and a cell takes a byte.
    database.limitSteps(thousands: 10_000 + size / 100)
    sqlite3_limit(database.handle, SQLITE_LIMIT_LENGTH, Int32(clamping: max(1 << 20, textBytesLeft)))
    // SQLite's advice for files from elsewhere (https://www.sqlite.org/security.html).
    try database.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -4096")
    // Neither views nor virtual tables: their text is a program.
    let list = try SQLiteStatement("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0", in: database)
    try Self.eachRow(list, database, table: nil) { row throws(CellError) in
      if let name = try row.text() { tables.insert(name) }
    }
    if !TraceSchema.all.contains(where: { tables.contains($0.name) }) && !tables.contains(TraceSchema.metadata.name) {
      throw TraceStoreError(
        path: path, reason: "a SQLite database without any table of a trace; write one with headroom or `nsys export --type sqlite`")
    }
  }

  /// What SQLite would not say, or not clearly. Returns the size.
  private static func checkHeader(_ path: String) throws(TraceStoreError) -> Int {
    func failure(_ reason: String) -> TraceStoreError { TraceStoreError(path: path, reason: reason) }
    var status = stat()
    if stat(path, &status) != 0 { throw failure("cannot open: \(String(cString: strerror(errno)))") }
    if status.st_mode & S_IFMT != S_IFREG { throw failure("cannot open: not a regular file") }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw failure("cannot open: \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var header = [UInt8](repeating: 0, count: 100)
    let got = pread(descriptor, &header, header.count, 0)
    if got < 0 { throw failure("cannot read: \(String(cString: strerror(errno)))") }
    if got < header.count { throw failure("not a trace: shorter than the header of a SQLite database") }
    if header.allSatisfy({ $0 == 0 }) {
      throw failure("the header is zeros, as an interrupted `nsys export` leaves it; export again")
    }
    if !header.starts(with: "SQLite format 3\0".utf8) { throw failure("not a trace: not a SQLite database") }
    // https://www.sqlite.org/fileformat2.html: page size at 16 (1 means 65536), pages at 28. SQLite reads what is missing of the last
    // page as zeros.
    let size = Int(status.st_size)
    let stored = Int(header[16]) << 8 | Int(header[17])
    let pageSize = stored == 1 ? 65536 : stored
    if pageSize < 512 || pageSize & (pageSize - 1) != 0 { throw failure("damaged: a page size of \(pageSize) bytes") }
    let pages = header[28..<32].reduce(0) { $0 << 8 | Int($1) }
    if size % pageSize != 0 || size / pageSize < pages {
      throw failure("cut short: \(size) bytes where \(max(pages, size / pageSize + 1)) pages of \(pageSize) bytes should be; copy it again")
    }
    return size
  }

  mutating func read() throws(TraceStoreError) -> Trace {
    var trace = Trace()
    try readNames(&trace)
    try readTarget(&trace)
    try readDeviceWork(&trace)
    try readHostWork(&trace)
    try readServing(&trace)
    return trace
  }

  private mutating func readNames(_ trace: inout Trace) throws(TraceStoreError) {
    names.isPresent = tables.contains(TraceSchema.names.name)
    var texts = NameTable()
    var ids = names
    try scan(TraceSchema.names) { row throws(CellError) in
      let id = try row.int64()
      if let text = try row.text() { ids.add(id, texts.intern(text)) } else { ids.add(id, .unknown) }
    }
    names = ids
    trace.names = texts
    var run: [String: String] = [:]
    try scan(TraceSchema.run) { row throws(CellError) in
      let key = try row.text()
      let value = try row.text()
      if let key, let value { run[key] = value }
    }
    trace.run = run
  }

  private mutating func readTarget(_ trace: inout Trace) throws(TraceStoreError) {
    var gpus: [GPUDescription] = []
    try scan(TraceSchema.gpus) { row throws(CellError) in
      var gpu = GPUDescription(id: try row.int64(), name: try row.text() ?? "")
      gpu.l2CacheBytes = try row.int64()
      gpu.totalMemoryBytes = try row.int64()
      gpu.memoryBandwidth = try row.int64()
      gpu.clockRate = try row.int64()
      gpu.smCount = try row.int64()
      gpu.cudaDevice = try row.int64()
      gpu.maxSharedMemoryBytesPerSM = try row.int64()
      gpu.maxRegistersPerSM = try row.int64()
      gpu.maxWarpsPerSM = try row.int64()
      gpu.maxBlocksPerSM = try row.int64()
      gpu.computeMajor = try row.int64()
      gpu.computeMinor = try row.int64()
      gpus.append(gpu)
    }
    trace.gpus = gpus
    var devices: [CUDADeviceMapping] = []
    try scan(TraceSchema.cudaDevices) { row throws(CellError) in
      devices.append(CUDADeviceMapping(gpu: try row.int64(), cudaDevice: try row.int64(), process: try row.int64()))
    }
    trace.cudaDevices = devices
    let ids = names
    var threads: [ThreadDescription] = []
    try scan(TraceSchema.threads) { row throws(CellError) in
      let name = try row.name(ids)
      threads.append(ThreadDescription(thread: try row.int64(), name: name))
    }
    trace.threads = threads
    var texts = trace.names
    trace.names = NameTable()
    var processes: [ProcessDescription] = []
    try scan(TraceSchema.processes) { row throws(CellError) in
      let process = try row.int64()
      // The number is the middle of the global id.
      _ = try row.int64()
      processes.append(ProcessDescription(process: process, name: try row.text().map { texts.intern($0) } ?? .unknown))
    }
    trace.processes = processes
    trace.names = texts
    try scan(TraceSchema.kernelDescriptions) { row throws(CellError) in _ = trace.intern(try row.kernel(ids)) }
    try scan(TraceSchema.streams) { row throws(CellError) in _ = trace.intern(try row.stream()) }
  }

  private mutating func readDeviceWork(_ trace: inout Trace) throws(TraceStoreError) {
    let ids = names
    // Rows of one stream mostly follow each other.
    var last: (description: StreamDescription, id: StreamID)?
    func streamID(_ description: StreamDescription, _ trace: inout Trace) -> StreamID {
      if let last, last.description == description { return last.id }
      let id = trace.intern(description)
      last = (description, id)
      return id
    }
    var kernels = KernelTable()
    try scan(TraceSchema.kernels) { row throws(CellError) in
      let (start, end) = (try row.int64(), try row.int64())
      let stream = streamID(try row.stream(), &trace)
      let correlation = try row.int64()
      let description = trace.intern(try row.kernel(ids))
      kernels.append(
        KernelEvent(
          start: start, end: end, description: description, stream: stream, correlation: correlation, graphNode: try row.int64()))
    }
    trace.kernels = kernels
    var copies = CopyTable()
    try scan(TraceSchema.copies) { row throws(CellError) in
      copies.append(
        CopyEvent(
          start: try row.int64(), end: try row.int64(), stream: streamID(try row.stream(), &trace), correlation: try row.int64(),
          bytes: try row.int64(), direction: try row.int32(), sourceKind: try row.int32(), destinationKind: try row.int32(),
          graphNode: try row.int64()))
    }
    trace.copies = copies
    var memsets = MemsetTable()
    try scan(TraceSchema.memsets) { row throws(CellError) in
      memsets.append(
        MemsetEvent(
          start: try row.int64(), end: try row.int64(), stream: streamID(try row.stream(), &trace), correlation: try row.int64(),
          bytes: try row.int64(), value: try row.int64(), memoryKind: try row.int32(), graphNode: try row.int64()))
    }
    trace.memsets = memsets
    var synchronizations = SynchronizationTable()
    try scan(TraceSchema.synchronizations) { row throws(CellError) in
      synchronizations.append(
        SynchronizationEvent(
          start: try row.int64(), end: try row.int64(), stream: streamID(try row.stream(), &trace), correlation: try row.int64(),
          type: try row.int32(), event: try row.int64()))
    }
    trace.synchronizations = synchronizations
  }

  private mutating func readHostWork(_ trace: inout Trace) throws(TraceStoreError) {
    let ids = names
    var apiCalls = APICallTable()
    try scan(TraceSchema.apiCalls) { row throws(CellError) in
      apiCalls.append(
        APICall(
          start: try row.int64(), end: try row.int64(), thread: try row.int64(), correlation: try row.int64(), name: try row.name(ids),
          eventClass: try row.int32(), returnValue: try row.int32()))
    }
    trace.apiCalls = apiCalls
    var osCalls = OSCallTable()
    try scan(TraceSchema.osCalls) { row throws(CellError) in
      osCalls.append(
        OSCall(
          start: try row.int64(), end: try row.int64(), thread: try row.int64(), name: try row.name(ids), eventClass: try row.int32(),
          returnValue: try row.int64()))
    }
    trace.osCalls = osCalls
    var texts = trace.names
    trace.names = NameTable()
    var ranges = RangeTable()
    try scan(TraceSchema.ranges) { row throws(CellError) in
      var range = RangeEvent(
        start: try row.int64(), end: try row.int64(), thread: try row.int64(), text: try row.name(ids), type: try row.int32(),
        domain: try row.int64(), category: try row.int64())
      if let text = try row.text() { range.text = texts.intern(text) }
      ranges.append(range)
    }
    trace.ranges = ranges
    var diagnostics = DiagnosticTable()
    try scan(TraceSchema.diagnostics) { row throws(CellError) in
      let (time, severity) = (try row.int64(), try row.int32())
      diagnostics.append(DiagnosticEvent(time: time, severity: severity, text: try row.text().map { texts.intern($0) } ?? .unknown))
    }
    trace.diagnostics = diagnostics
    trace.names = texts
  }

  private mutating func readServing(_ trace: inout Trace) throws(TraceStoreError) {
    let ids = names
    var texts = trace.names
    trace.names = NameTable()
    var batches = BatchTable()
    try scan(TraceSchema.batches) { row throws(CellError) in
      batches.append(
        BatchEvent(
          id: try row.int64(), model: try row.name(ids), instance: try row.int32(), rows: try row.int32(), requests: try row.int32(),
          reason: try row.text().map { texts.intern($0) } ?? .unknown, formed: try row.int64(), gatherStart: try row.int64(),
          computeStart: try row.int64(), computeEnd: try row.int64(), outputEnd: try row.int64()))
    }
    trace.batches = batches
    trace.names = texts
    var requests = RequestTable()
    try scan(TraceSchema.requests) { row throws(CellError) in
      requests.append(
        RequestEvent(
          id: try row.int64(), batch: try row.int64(), model: try row.name(ids), rows: try row.int32(), bytesIn: try row.int64(),
          bytesOut: try row.int64(), received: try row.int64(), parsed: try row.int64(), enqueued: try row.int64(),
          responseStart: try row.int64(), responseEnd: try row.int64(), status: RequestStatus(rawValue: try row.int32())))
    }
    trace.requests = requests
    var clients = ClientRequestTable()
    try scan(TraceSchema.clientRequests) { row throws(CellError) in
      clients.append(
        ClientRequestEvent(
          id: try row.int64(), intended: try row.int64(), sent: try row.int64(), firstByte: try row.int64(), done: try row.int64(),
          status: RequestStatus(rawValue: try row.int32())))
    }
    trace.clientRequests = clients
    var launches = LaunchTable()
    try scan(TraceSchema.launches) { row throws(CellError) in
      launches.append(LaunchEvent(correlation: try row.int64(), batch: try row.int64(), step: try row.int32()))
    }
    trace.launches = launches
    var counters = CounterTable()
    try scan(TraceSchema.counters) { row throws(CellError) in
      counters.append(
        CounterSample(time: try row.int64(), counter: try row.name(ids), device: try row.int64(), value: try row.double()))
    }
    trace.counters = counters
  }

  /// Calls `body` for each row of a table, if there is such a table.
  @inline(__always)
  private mutating func scan(
    _ layout: TableLayout, _ body: (inout RowReader) throws(CellError) -> Void
  ) throws(TraceStoreError) {
    if !tables.contains(layout.name) { return }
    let table = TableLayout.quoted(layout.name)
    var present: Set<String> = []
    // Generated columns, whose text is a program, are not listed.
    let list = try SQLiteStatement("SELECT name FROM pragma_table_info('\(layout.name)')", in: database, table: layout.name)
    try Self.eachRow(list, database, table: layout) { row throws(CellError) in
      if let name = try row.text() { present.insert(name) }
    }
    let columns = (layout.columns + layout.alsoRead).map { present.contains($0.name) ? TableLayout.quoted($0.name) : "NULL" }
    let statement = try SQLiteStatement(
      "SELECT \(columns.joined(separator: ", ")) FROM \(table) NOT INDEXED", in: database, table: layout.name)
    let used = try Self.eachRow(
      statement, database, table: layout, rowLimit: rowsLeft, textLimit: textBytesLeft, body)
    rowsLeft -= used.rows
    textBytesLeft -= used.textBytes
  }

  @inline(__always) @discardableResult
  private static func eachRow(
    _ statement: borrowing SQLiteStatement, _ database: SQLiteDatabase, table: TableLayout?, rowLimit: Int = 1 << 20,
    textLimit: Int = 1 << 30, _ body: (inout RowReader) throws(CellError) -> Void
  ) throws(TraceStoreError) -> (rows: Int, textBytes: Int) {
    let pointer = statement.pointer
    var row = RowReader(pointer)
    var count = 0
    while true {
      let code = sqlite3_step(pointer)
      if code == SQLITE_DONE { return (count, row.textBytes) }
      if code != SQLITE_ROW { throw database.failure(code, table: table?.name, row: count + 1) }
      count += 1
      if count > rowLimit || row.textBytes > textLimit {
        throw TraceStoreError(
          path: database.path, table: table?.name, row: count, reason: "damaged: more rows or text than a file of its size can hold")
      }
      row.rewind()
      do throws(CellError) { try body(&row) } catch {
        let columns = table.map { $0.columns + $0.alsoRead } ?? []
        let column = columns.indices.contains(error.column) ? columns[error.column].name : nil
        throw TraceStoreError(path: database.path, table: table?.name, column: column, row: count, reason: error.reason)
      }
    }
  }
}
