import CheckedNumbers
public import Trace

/// All files of a CUDA capture in one trace, with an account of what is not in it.
///
/// Whatever the files' bytes claim, nothing traps and memory grows with what is there alone. A process that was killed leaves what it had
/// flushed; a block that is damaged is left out and said.
public struct CUDACapture: Sendable {
  /// Device work whose times cannot be, by how: kept out of the trace and counted.
  public struct BadTimes: Sendable, Hashable {
    /// Start 0: CUPTI had no time stamp.
    public var withoutStart = 0
    /// Ends before it starts.
    public var reversed = 0
    /// Starts before the call that launched it.
    public var beforeLaunch = 0
    /// Break their stream's order, as one that runs across whole others: see `StreamOrder`.
    public var acrossOthers = 0
    /// More than a second before or after the recording: another clock.
    public var outside = 0

    /// None.
    public init() {}

    /// All.
    public var count: Int { withoutStart + reversed + beforeLaunch + acrossOthers + outside }
  }

  /// Calls, kernels, copies, fills, synchronizations.
  public private(set) var trace: Trace
  /// The heads of the files.
  public private(set) var files: [CUDACaptureFile] = []
  /// See `BadTimes`.
  public private(set) var badTimes = BadTimes()
  /// What could not be read.
  public private(set) var damage: [String] = []
  /// CUDA's numbers of GPUs by their UUIDs, as NVML writes those; the first process's where processes count differently.
  public private(set) var ordinals: [String: Int64] = [:]
  /// When the recording ended, nanoseconds.
  private let end: Int64
  /// GPUs by what is known of them, and their own numbers.
  private var gpus: [GPUDescription: Int64] = [:]

  /// An empty capture, whose rows are added to a trace that holds the same run's OS calls, or to an empty one.
  ///
  /// - Parameter end: when the recording ended, CLOCK_MONOTONIC nanoseconds.
  public init(addingTo trace: Trace = Trace(), end: Int64) {
    self.trace = trace
    self.end = end
  }

  /// Takes note of a file that could not be read.
  public mutating func add(damage text: String) { damage.append(text) }

  /// Reads one process image's file. `demangle` gives a C++ symbol's name, nil where it is none.
  ///
  /// - Throws: `CUDACaptureFileError` where not even the head can be read.
  public mutating func add(_ bytes: UnsafeRawBufferPointer, demangle: @escaping (String) -> String? = { _ in nil })
    throws(CUDACaptureFileError)
  {
    let file = try CUDACaptureFile(bytes)
    files.append(file)
    var reader = CUDACaptureReader(file, demangle: demangle)
    var at = CUDACaptureFile.headerBytes
    let words = OSCallBytes(bytes)
    while at < bytes.count {
      let size = Int(words.uint32(at + 4))
      guard bytes.count - at >= 16, words.uint32(at) == 0x4255_4343, size <= bytes.count - at - 16 else {
        // Only what is written last can be cut off: the process was killed, or the disk was full.
        damage.append("process \(file.process): \(bytes.count - at) bytes behind the last whole block, at byte \(at)")
        break
      }
      let payload = UnsafeRawBufferPointer(rebasing: bytes[(at + 16)..<(at + 16 + size)])
      if CUDACaptureBlock.checksum(records: words.uint32(at + 8), payload) != words.uint32(at + 12) {
        damage.append(
          "process \(file.process): the block at byte \(at) was not written whole; the \(words.uint32(at + 8)) records that it says it had are lost"
        )
      } else if let problem = reader.read(payload, into: &trace) {
        damage.append("process \(file.process): the block at byte \(at): \(problem)")
      }
      at += 16 + size
    }
    add(reader.devices, process: file.process)
  }

  /// Puts rows in order, takes those out whose times cannot be, and says what is missing. Once, when all files are read.
  public mutating func finish() {
    sort()
    removeBadTimes()
    describe()
  }

  private mutating func add(_ devices: [CUDACaptureReader.Device], process: Int64) {
    for device in devices {
      if ordinals[device.uuidText] == nil { ordinals[device.uuidText] = device.ordinal }
      // Two GPUs may differ in nothing but their UUID; it tells them apart here, and the trace has no column for it.
      var key = device.description
      (key.id, key.cudaDevice) = (device.uuid.0, device.uuid.1)
      let id = gpus[key] ?? Int64(gpus.count)
      if gpus.updateValue(id, forKey: key) == nil {
        var gpu = device.description
        (gpu.id, gpu.cudaDevice) = (id, device.ordinal)
        trace.gpus.append(gpu)
      }
      let mapping = CUDADeviceMapping(gpu: id, cudaDevice: device.ordinal, process: process)
      if !trace.cudaDevices.contains(mapping) { trace.cudaDevices.append(mapping) }
    }
  }

  private mutating func sort() {
    func sorted<Table: TraceTable>(_ table: Table, _ starts: [Int64]) -> Table {
      if zip(starts, starts.dropFirst()).allSatisfy({ $0 <= $1 }) { return table }
      var result = Table()
      result.reserveCapacity(table.count)
      for row in starts.indices.sorted(by: { (starts[$0], $0) < (starts[$1], $1) }) { result.append(table[row]) }
      return result
    }
    trace.apiCalls = sorted(trace.apiCalls, trace.apiCalls.start)
    trace.kernels = sorted(trace.kernels, trace.kernels.start)
    trace.copies = sorted(trace.copies, trace.copies.start)
    trace.memsets = sorted(trace.memsets, trace.memsets.start)
    trace.graphExecutions = sorted(trace.graphExecutions, trace.graphExecutions.start)
    trace.synchronizations = sorted(trace.synchronizations, trace.synchronizations.start)
    trace.overheads = sorted(trace.overheads, trace.overheads.start)
    trace.ranges = sorted(trace.ranges, trace.ranges.start)
  }

  private mutating func removeBadTimes() {
    let second: Int64 = 1_000_000_000
    let first = (files.compactMap(\.armed).min() ?? 0).subtractingSaturated(second)
    let last = end.addingSaturated(second)
    let calls = CorrelationIndex(trace)
    let (starts, processes) = (trace.apiCalls.start, trace.streams.map(\.process))
    var bad = BadTimes()
    func check<Table: TraceTable>(
      _ table: inout Table, _ start: [Int64], _ end: [Int64], _ stream: [StreamID], _ correlation: [Int64], across: Set<Int> = []
    ) {
      var kept = Table()
      var isWhole = true
      for row in start.indices {
        let launch = calls.apiCall(process: processes[Int(stream[row].rawValue)], correlation: correlation[row]).map { starts[$0] }
        var isBad = true
        if start[row] == 0 {
          bad.withoutStart += 1
        } else if end[row] < start[row] {
          bad.reversed += 1
        } else if let launch, launch > 0, start[row] < launch {
          bad.beforeLaunch += 1
        } else if across.contains(row) {
          bad.acrossOthers += 1
        } else if start[row] < first || end[row] > last {
          bad.outside += 1
        } else {
          isBad = false
        }
        if isBad, isWhole {
          isWhole = false
          for earlier in 0..<row { kept.append(table[earlier]) }
        } else if !isBad, !isWhole {
          kept.append(table[row])
        }
      }
      if !isWhole { table = kept }
    }
    check(
      &trace.kernels, trace.kernels.start, trace.kernels.end, trace.kernels.stream, trace.kernels.correlation,
      across: StreamOrder.rowsAcrossOthers(trace.kernels))
    check(&trace.copies, trace.copies.start, trace.copies.end, trace.copies.stream, trace.copies.correlation)
    check(&trace.memsets, trace.memsets.start, trace.memsets.end, trace.memsets.stream, trace.memsets.correlation)
    check(
      &trace.graphExecutions, trace.graphExecutions.start, trace.graphExecutions.end, trace.graphExecutions.stream,
      trace.graphExecutions.correlation)
    badTimes = bad
  }

  private mutating func describe() {
    trace.run["kind"] = "measured"
    trace.run["capture"] = trace.run["capture"].map { $0.contains("cuda") ? $0 : $0 + ", cuda" } ?? "cuda"
    trace.run["cudaRecords"] = String(files.reduce(Int64(0)) { $0.addingSaturated($1.records) })
    trace.run["cudaDroppedRecords"] = String(droppedRecords)
    trace.run["cudaBadTimes"] = String(badTimes.count)
    // Of the library's own thread: what it adds to each of the program's calls is not known from within.
    trace.run["cudaWriterNanoseconds"] = String(files.reduce(Int64(0)) { $0.addingSaturated($1.threadNanoseconds) })
    if let armed = files.compactMap(\.armed).min() {
      trace.captureStart = armed
      trace.captureEnd = end
    }
    if let file = files.first { trace.clockOrigin = file.loadedRealtime.subtractingSaturated(file.loaded) }
    let known = Set(trace.processes.map(\.process))
    for file in files where !known.contains(GlobalID.process(file.process)) {
      let description = ProcessDescription(process: GlobalID.process(file.process), name: trace.names.intern(file.program))
      if !trace.processes.contains(description) { trace.processes.append(description) }
    }
    for remark in remarks {
      trace.diagnostics.append(DiagnosticEvent(severity: remark.isWarning ? 2 : 1, text: trace.names.intern(remark.text)))
    }
  }

  /// Records that were made and are not in the files, by count; `CUDACaptureFile` says why.
  public var droppedRecords: Int64 {
    files.reduce(Int64(0)) { $0.addingSaturated($1.droppedByCUPTI).addingSaturated($1.droppedForRoom) }
  }
}
