import CheckedNumbers
import JSONReading
import Trace

/// Puts a trace together from events, one at a time.
struct KinetoBuilder {
  var trace = Trace()
  private var names = SpanInterner()
  private var shapes = SpanInterner()
  var threads = ThreadNumbers()
  /// Streams by track instead of by process, which is not known before the end.
  private(set) var provisionalStreams: [StreamDescription] = []
  private var streamPositions: [StreamDescription: Int32] = [:]
  private var lastStream: (description: StreamDescription, id: StreamID)?
  /// By name: what was last launched under it.
  private var kernelsByName: [NameID: (description: KernelDescription, id: KernelID)] = [:]
  private var shortNames: [NameID: NameID] = [:]
  private var copyKinds: [NameID: (direction: Int32, source: Int32, destination: Int32)] = [:]
  private var memsetKinds: [NameID: Int32] = [:]
  /// Which recording of a merged file an event belongs to.
  private(set) var tracks = RecordingTracks()
  /// Processes that made API calls, and the recordings they belong to; -1 where the file does not say.
  private(set) var recordingsOfProcesses: [Int64: Int32] = [:]
  private var lastCaller: Int64?
  /// Processes whose recordings stand in the file; 1 for what PyTorch itself writes.
  private(set) var processes = 0
  /// Devices by the track their work is drawn on, where events carry no category.
  private var deviceTracks = DeviceTracks()
  /// Join keys that stand beside the usual one.
  private var links = OtherLinks()
  /// Multiprocessors that a kernel's "blocks per SM" implies, by device, with how often.
  private var impliedSMs: [Int64: [Int64: Int]] = [:]

  /// Events that were passed over, by what they lacked.
  private(set) var withoutTime = 0
  private(set) var withBadDuration = 0
  private(set) var gpuAnnotations = 0
  private(set) var flows = 0
  private(set) var instants = 0
  private(set) var otherCategories: [String: Int] = [:]
  private(set) var events = 0
  /// Whether every time was a whole microsecond.
  private(set) var isWholeMicroseconds = true

  mutating func add(_ event: KinetoEvent, _ cursor: JSONCursor) {
    events += 1
    switch event.phase {
    case UInt8(ascii: "X"): complete(event, cursor)
    case UInt8(ascii: "B"): begin(event, cursor)
    case UInt8(ascii: "E"): end(event, cursor)
    case UInt8(ascii: "M"): metadata(event, cursor)
    case UInt8(ascii: "C"): counter(event, cursor)
    case UInt8(ascii: "i"), UInt8(ascii: "I"): instants += 1
    default:
      flows += 1
      if let link = links.row(ofFlow: event) { setCorrelation(link.correlation, of: link.row) }
    }
  }

  // MARK: - Spans in two events

  /// A row whose end has not come yet.
  private struct Open {
    var table: Table
    var row: Int
  }

  /// Tables that an event of a category may land in.
  enum Table { case kernels, copies, memsets, synchronizations, apiCalls, operators, ranges, overheads, none }

  /// Begun and not ended, by thread: ends close the last that began ("Trace Event Format", duration events).
  private var open: [Int64: [Open]] = [:]
  /// Ends that nothing began, and begins that nothing ended.
  private(set) var unpaired = 0
  /// No more are kept open on a thread: deeper is no program's call stack but a file's mistake.
  private static let deepest = 4096

  private mutating func begin(_ event: KinetoEvent, _ cursor: JSONCursor) {
    let track = thread(event, cursor)
    guard open[track]?.count ?? 0 < Self.deepest else {
      unpaired += 1
      return
    }
    var event = event
    (event.hasDuration, event.duration) = (true, 0)
    let before = counts
    complete(event, cursor)
    let after = counts
    let grown = after.indices.first { after[$0].count > before[$0].count }
    open[track, default: []].append(grown.map { Open(table: after[$0].table, row: after[$0].count - 1) } ?? Open(table: .none, row: 0))
  }

  private mutating func end(_ event: KinetoEvent, _ cursor: JSONCursor) {
    guard let time = event.time else {
      withoutTime += 1
      return
    }
    let track = thread(event, cursor)
    guard let last = open[track]?.popLast() else {
      unpaired += 1
      return
    }
    if isWholeMicroseconds, time % 1000 != 0 { isWholeMicroseconds = false }
    func later(_ start: Int64) -> Int64 {
      time >= start && time.subtractingSaturated(start) <= ImportLimits.longestNanoseconds ? time : start
    }
    switch last.table {
    case .kernels: trace.kernels.end[last.row] = later(trace.kernels.start[last.row])
    case .copies: trace.copies.end[last.row] = later(trace.copies.start[last.row])
    case .memsets: trace.memsets.end[last.row] = later(trace.memsets.start[last.row])
    case .synchronizations: trace.synchronizations.end[last.row] = later(trace.synchronizations.start[last.row])
    case .apiCalls: trace.apiCalls.end[last.row] = later(trace.apiCalls.start[last.row])
    case .operators: trace.operators.end[last.row] = later(trace.operators.start[last.row])
    case .ranges: trace.ranges.end[last.row] = later(trace.ranges.start[last.row])
    case .overheads: trace.overheads.end[last.row] = later(trace.overheads.start[last.row])
    case .none: break
    }
  }

  private var counts: [(table: Table, count: Int)] {
    [
      (.kernels, trace.kernels.count), (.copies, trace.copies.count), (.memsets, trace.memsets.count),
      (.synchronizations, trace.synchronizations.count), (.apiCalls, trace.apiCalls.count), (.operators, trace.operators.count),
      (.ranges, trace.ranges.count), (.overheads, trace.overheads.count),
    ]
  }

  private mutating func complete(_ written: KinetoEvent, _ cursor: JSONCursor) {
    let event = written.category == .none ? recategorized(written, cursor) : written
    if event.category == .flow || event.category == .instant { return }
    guard let start = event.time else {
      withoutTime += 1
      return
    }
    guard let duration = event.hasDuration ? event.duration : 0, duration >= 0, duration <= ImportLimits.longestNanoseconds,
      case let (end, overflow) = start.addingReportingOverflow(duration), !overflow
    else {
      withBadDuration += 1
      return
    }
    if isWholeMicroseconds, start % 1000 != 0 || duration % 1000 != 0 { isWholeMicroseconds = false }
    let name = event.name.map { names.id(of: $0, in: cursor, names: &trace.names) } ?? .unknown
    switch event.category {
    case .kernel:
      trace.kernels.append(
        KernelEvent(
          start: start, end: end, description: kernel(event, name), stream: stream(event, cursor),
          correlation: event.correlation ?? Trace.unknown,
          graphNode: known(event.graphNode)))
      links.note(.kernels, trace.kernels.count - 1, event)
    case .copy:
      let kind = copyKind(event, name, cursor)
      trace.copies.append(
        CopyEvent(
          start: start, end: end, stream: stream(event, cursor), correlation: event.correlation ?? Trace.unknown,
          bytes: event.bytes ?? Trace.unknown, direction: kind.direction, sourceKind: kind.source, destinationKind: kind.destination,
          graphNode: known(event.graphNode)))
      links.note(.copies, trace.copies.count - 1, event)
    case .memset:
      trace.memsets.append(
        MemsetEvent(
          start: start, end: end, stream: stream(event, cursor), correlation: event.correlation ?? Trace.unknown,
          bytes: event.bytes ?? Trace.unknown, value: Trace.unknown, memoryKind: memsetKind(name), graphNode: known(event.graphNode)))
      links.note(.memsets, trace.memsets.count - 1, event)
    case .synchronization:
      let kind = event.kind.map { cursor.string($0) } ?? trace.names[name] ?? ""
      trace.synchronizations.append(
        SynchronizationEvent(
          start: start, end: end, stream: stream(event, cursor), correlation: event.correlation ?? Trace.unknown,
          type: KernelNames.synchronization(kind), event: event.waitedEvent ?? 0,
          recordCorrelation: event.waitedCorrelation ?? Trace.unknown))
    case .runtime, .driver:
      let thread = thread(event, cursor)
      let caller = GlobalID.process(ofThread: thread)
      if caller != lastCaller {
        lastCaller = caller
        if recordingsOfProcesses[caller] ?? -1 < 0 { recordingsOfProcesses[caller] = tracks.recording(event, cursor) }
      }
      trace.apiCalls.append(
        APICall(
          start: start, end: end, thread: thread, correlation: event.correlation ?? Trace.unknown, name: name,
          eventClass: event.category == .driver ? 1 : 0))
      links.note(.apiCalls, trace.apiCalls.count - 1, event)
    case .operation, .pythonFunction:
      links.forget()
      func text(_ span: KinetoEvent.Span?) -> NameID { span.map { shapes.id(of: $0, in: cursor, names: &trace.names) } ?? .unknown }
      trace.operators.append(
        OperatorEvent(
          start: start, end: end, thread: thread(event, cursor), name: name,
          kind: event.category == .operation ? .operator : .pythonFunction, externalID: event.externalID ?? Trace.unknown,
          inputShapes: text(event.inputShapes), inputTypes: text(event.inputTypes)))
    case .annotation: trace.ranges.append(RangeEvent(start: start, end: end, thread: thread(event, cursor), text: name))
    case .gpuAnnotation:
      gpuAnnotations += 1
      trace.ranges.append(RangeEvent(start: start, end: end, text: name, type: 1000))
    case .overhead:
      trace.overheads.append(
        OverheadEvent(
          start: start, end: end, correlation: event.correlation ?? Trace.unknown, name: name,
          isProfilers: Self.profilersOverheads.contains(trace.names[name] ?? "")))
    case .trace:
      if trace.captureStart == Trace.unknown || start < trace.captureStart { trace.captureStart = start }
      if trace.captureEnd == Trace.unknown || end > trace.captureEnd { trace.captureEnd = end }
    case .none, .other:
      let category = event.categoryText.map { cursor.string($0) } ?? ""
      if otherCategories.count < 64 || otherCategories[category] != nil { otherCategories[category, default: 0] += 1 }
      trace.ranges.append(RangeEvent(start: start, end: end, thread: thread(event, cursor), text: name))
    case .flow, .instant: break
    }
  }

  /// An event without a category as one with: device work by its track, calls of the driver by name and correlation.
  private func recategorized(_ event: KinetoEvent, _ cursor: JSONCursor) -> KinetoEvent {
    guard let span = event.name else { return event }
    var event = event
    if let device = deviceTracks.device(of: event) {
      event.category = DeviceTracks.category(ofWork: cursor.string(span))
      if event.device == nil { event.device = device }
      if let details = event.launchDetails { DeviceTracks.read(details: cursor.string(details), into: &event) }
    } else if event.correlation != nil {
      let name = cursor.string(span)
      if name.hasPrefix("cu") || name.hasPrefix("hip") { event.category = .runtime }
    }
    return event
  }

  /// CUPTI_ACTIVITY_OVERHEAD kinds as Kineto writes them that would not be there without a profiler.
  private static let profilersOverheads: Set<String> = [
    "Activity Buffer Request", "Buffer Flush", "Instrumentation", "Resource", "UVM Activity Init",
  ]

  /// CUPTI writes 0 where there is no graph.
  private func known(_ node: Int64?) -> Int64 { node == nil || node == 0 ? Trace.unknown : node ?? Trace.unknown }

  private mutating func setCorrelation(_ correlation: Int64, of row: OtherLinks.Row) {
    switch row.table {
    case .kernels: trace.kernels.correlation[row.row] = correlation
    case .copies: trace.copies.correlation[row.row] = correlation
    case .memsets: trace.memsets.correlation[row.row] = correlation
    case .apiCalls: trace.apiCalls.correlation[row.row] = correlation
    case .synchronizations, .operators, .ranges, .overheads, .none: break
    }
  }

  // MARK: - Parts of events

  private mutating func kernel(_ event: KinetoEvent, _ name: NameID) -> KernelID {
    func small(_ value: Int64?) -> Int32 { value.flatMap { Int32(exactly: $0) } ?? Trace.unknown32 }
    let unknown = (Trace.unknown32, Trace.unknown32, Trace.unknown32)
    // Kineto gives a block's shared memory as one figure, static and dynamic together.
    var description = KernelDescription(
      demangledName: name, shortName: name, grid: event.grid ?? unknown, block: event.block ?? unknown,
      registersPerThread: small(event.registers), staticSharedMemoryBytes: event.sharedMemory == nil ? Trace.unknown32 : 0,
      dynamicSharedMemoryBytes: small(event.sharedMemory), localMemoryBytesPerThread: Trace.unknown32)
    if let short = shortNames[name] {
      description.shortName = short
    } else {
      let short = trace.names.intern(KernelNames.short(trace.names[name] ?? ""))
      shortNames[name] = name == .unknown ? .unknown : short
      description.shortName = name == .unknown ? .unknown : short
    }
    if let last = kernelsByName[name], last.description == description { return last.id }
    let id = trace.intern(description)
    kernelsByName[name] = (description, id)
    if let perSM = event.blocksPerSM, perSM > 0, let blocks = description.blockCount {
      let count = Int64(saturating: (Double(blocks) / perSM).rounded())
      if count > 0 { impliedSMs[event.device ?? 0, default: [:]][count, default: 0] += 1 }
    }
    return id
  }

  private mutating func copyKind(_ event: KinetoEvent, _ name: NameID, _ cursor: JSONCursor) -> (
    direction: Int32, source: Int32, destination: Int32
  ) {
    if let known = copyKinds[name], known.direction != 0 { return known }
    let kind = KernelNames.copy(trace.names[name] ?? "", kind: event.kind.map { cursor.string($0) })
    copyKinds[name] = kind
    return kind
  }

  private mutating func memsetKind(_ name: NameID) -> Int32 {
    if let known = memsetKinds[name] { return known }
    let kind = KernelNames.memset(trace.names[name] ?? "")
    memsetKinds[name] = kind
    return kind
  }

  private mutating func stream(_ event: KinetoEvent, _ cursor: JSONCursor) -> StreamID {
    var device = event.device ?? Trace.unknown
    if device == Trace.unknown, case .number(let number) = event.process { device = number }
    func number(_ identity: KinetoEvent.Identity) -> Int64? {
      switch identity {
      case .none: nil
      case .number(let value): value
      // "stream 7", as traces of 2020 name the tracks.
      case .text(let span): Int64(cursor.string(span).split(separator: " ").last ?? "")
      }
    }
    let description = StreamDescription(
      process: tracks.track(event, cursor), device: device, context: event.context ?? Trace.unknown,
      stream: number(event.stream) ?? number(event.thread) ?? Trace.unknown)
    if let lastStream, lastStream.description == description { return lastStream.id }
    var position = streamPositions[description]
    if position == nil {
      position = Int32(clamping: provisionalStreams.count)
      provisionalStreams.append(description)
      streamPositions[description] = position
    }
    let id = StreamID(rawValue: position ?? 0)
    lastStream = (description, id)
    return id
  }

  private mutating func thread(_ event: KinetoEvent, _ cursor: JSONCursor) -> Int64 {
    threads.number(event.process, event.thread, cursor)
  }

  private mutating func metadata(_ event: KinetoEvent, _ cursor: JSONCursor) {
    guard let what = event.name, let label = event.label else { return }
    if case .none = event.process { return }
    let isProcess = cursor.matches(what, "process_name")
    if isProcess || cursor.matches(what, "thread_name") { deviceTracks.note(event, cursor.string(label), isProcess: isProcess) }
    if isProcess {
      let process = GlobalID.process(ofThread: thread(event, cursor))
      trace.processes.append(ProcessDescription(process: process, name: names.id(of: label, in: cursor, names: &trace.names)))
    } else if cursor.matches(what, "thread_name") {
      trace.threads.append(ThreadDescription(thread: thread(event, cursor), name: names.id(of: label, in: cursor, names: &trace.names)))
    }
  }

  /// A sample of a counter: one value for each member of its arguments.
  private mutating func counter(_ event: KinetoEvent, _ cursor: JSONCursor) {
    guard let time = event.time, let name = event.name, event.arguments > 0 else { return }
    var inside = JSONCursor(cursor.text, position: event.arguments)
    guard inside.consume(UInt8(ascii: "{")) else { return }
    let title = cursor.string(name)
    var device = Trace.unknown
    if case .number(let number) = event.process, number >= 0, number < 1024 { device = number }
    while true {
      inside.skipSpace()
      guard let key = try? inside.string() else { return }
      inside.skipSpace()
      guard inside.consume(UInt8(ascii: ":")) else { return }
      inside.skipSpace()
      guard let value = try? inside.double() else { return }
      let member = cursor.string(key)
      let counter = trace.names.intern(member == title || member.isEmpty ? title : "\(title): \(member)")
      trace.counters.append(CounterSample(time: time, counter: counter, device: device, value: value))
      inside.skipSpace()
      guard inside.consume(UInt8(ascii: ",")) else { return }
    }
  }

  // MARK: - The end

  /// The trace, complete: device work belongs to the process that made the calls, where there is one.
  mutating func finish() -> Trace {
    unpaired += open.values.reduce(0) { $0 + $1.count }
    open = [:]
    for (row, operation) in links.rowsByOperator() { setCorrelation(operation, of: row) }
    processes = settleProcesses()
    for (device, counts) in impliedSMs.sorted(by: { $0.key < $1.key }) {
      guard let best = counts.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })?.key else { continue }
      if let index = trace.gpus.firstIndex(where: { $0.cudaDevice == device }) {
        if trace.gpus[index].smCount == Trace.unknown { trace.gpus[index].smCount = best }
      } else {
        trace.gpus.append(GPUDescription(id: device, cudaDevice: device, name: "", smCount: best))
      }
    }
    return trace
  }
}
