import CheckedNumbers
public import Trace

/// All files of an OS-call capture as one trace, with an account of what is not in it.
public struct OSCallCapture: Sendable {
  /// Calls of one function that are counted somewhere else than in the trace's rows.
  public struct NamedTally: Sendable, Hashable {
    /// Function.
    public var name: String
    /// Calls.
    public var calls: Int64
    /// Their durations, nanoseconds.
    public var nanoseconds: Int64
  }

  /// A program that ran and was not seen.
  public struct Unseen: Sendable, Hashable {
    /// Its process.
    public var process: Int64
    /// The path it was started by.
    public var path: String
  }

  /// The calls.
  public private(set) var trace = Trace()
  /// Process images that were recorded.
  public private(set) var images = 0
  /// Processes of those.
  public private(set) var processes = 0
  /// Threads that made a call.
  public private(set) var threads = 0
  /// Calls below the threshold, longest total first.
  public private(set) var below: [NamedTally] = []
  /// Calls that found no room, longest total first.
  public private(set) var dropped: [NamedTally] = []
  /// Calls that had not ended when the recording did: in the trace they end with it and have no return value.
  public private(set) var cut: [NamedTally] = []
  /// Programs that were started and left no file.
  public private(set) var unseen: [Unseen] = []
  /// What could not be read.
  public private(set) var damage: [String] = []

  /// Puts files together.
  ///
  /// - Parameters:
  ///   - files: what could be read.
  ///   - end: when the recording ended, CLOCK_MONOTONIC nanoseconds.
  ///   - running: processes that were there until then.
  ///   - thresholdNanoseconds: shorter calls were counted alone.
  ///   - command: what was run, and its process: unseen where it left no file.
  public init(
    _ files: [OSCallFile], end: Int64, running: Set<Int64>, thresholdNanoseconds: Int64,
    command: (arguments: [String], process: Int64)? = nil
  ) {
    let files = files.sorted { ($0.process, $0.started) < ($1.process, $1.started) }
    images = files.count
    processes = Set(files.map(\.process)).count
    var tallies = (below: [String: OSCallFile.Tally](), dropped: [String: OSCallFile.Tally](), cut: [String: OSCallFile.Tally]())
    var rows = Rows(capacity: files.reduce(0) { $0 + $1.calls.start.count + $1.open.count })
    for (index, file) in files.enumerated() {
      let names = file.functions.map { trace.names.intern($0) }
      rows.append(file, names: names)
      for (function, name) in file.functions.enumerated() {
        if file.below[function].calls > 0 {
          tallies.below[name, default: .init()] = tallies.below[name, default: .init()] + file.below[function]
        }
        if file.dropped[function].calls > 0 {
          tallies.dropped[name, default: .init()] = tallies.dropped[name, default: .init()] + file.dropped[function]
        }
      }
      // An image ends by itself, with the next image of its process, with the recording, or nobody knows: then with its last call.
      let next = index + 1 < files.count && files[index + 1].process == file.process ? files[index + 1].started : nil
      let lastCall = zip(file.calls.start, file.calls.duration).reduce(file.started) { max($0, $1.0 + $1.1) }
      let last = min(end, file.ended ?? next ?? (running.contains(file.process) ? end : lastCall))
      for call in file.open {
        let row = Rows.Row(
          start: call.start, end: max(call.start, last), thread: GlobalID.thread(process: file.process, thread: call.thread),
          name: names[call.function], returned: Trace.unknown)
        rows.append(row)
        let tally = OSCallFile.Tally(calls: 1, nanoseconds: row.end - row.start)
        let name = file.functions[call.function]
        tallies.cut[name, default: .init()] = tallies.cut[name, default: .init()] + tally
      }
      damage += file.damage.map { "process \(file.process): \($0)" }
    }
    trace.osCalls = rows.sorted()
    (below, dropped, cut) = (Self.list(tallies.below), Self.list(tallies.dropped), Self.list(tallies.cut))
    describe(files)
    findUnseen(files)
    trace.run["kind"] = "measured"
    trace.run["capture"] = "os-calls"
    trace.run["thresholdNanoseconds"] = String(thresholdNanoseconds)
    trace.run["endNanoseconds"] = String(end)
    if let command {
      trace.run["command"] = command.arguments.joined(separator: " ")
      if !files.contains(where: { $0.process == command.process }) {
        unseen.append(Unseen(process: command.process, path: command.arguments.first ?? ""))
      }
    }
    if let first = files.min(by: { $0.started < $1.started }) {
      trace.run["startNanoseconds"] = String(first.started)
      trace.run["startUTCNanoseconds"] = String(first.startedRealtime)
    }
    remark(thresholdNanoseconds)
  }

  /// Takes note of files that could not be read at all.
  public mutating func add(damage further: [String]) {
    damage += further
    for text in further { trace.diagnostics.append(DiagnosticEvent(severity: 2, text: trace.names.intern(text))) }
  }

  /// Calls in all, by what became of them.
  public var recordedCalls: Int { trace.osCalls.count }
  /// See `below`.
  public var belowCalls: Int64 { below.reduce(0) { $0 &+ $1.calls } }
  /// See `dropped`.
  public var droppedCalls: Int64 { dropped.reduce(0) { $0 &+ $1.calls } }
  /// See `cut`.
  public var cutCalls: Int64 { cut.reduce(0) { $0 &+ $1.calls } }

  /// What no interposer sees, in words for people.
  public static let blindSpots = [
    "static binaries, and system calls made without libc's functions (Go, `syscall` instructions); of libc's syscall(), futex and io_uring_enter are seen",
    "what libc does inside itself: the reads of a buffered file are seen as fread or fgets, a name look-up not at all",
    "locks and semaphores that were free: they are taken without a note",
  ]

  private mutating func describe(_ files: [OSCallFile]) {
    // exec: a process, and its thread, is what it ran last.
    var programs: [Int64: NameID] = [:]
    var threadNames: [Int64: NameID] = [:]
    for file in files {
      programs[GlobalID.process(file.process)] = trace.names.intern(file.program)
      for (number, name) in file.threadNames.sorted(by: { $0.key < $1.key }) {
        threadNames[GlobalID.thread(process: file.process, thread: number)] = trace.names.intern(name)
      }
    }
    trace.processes = programs.sorted { $0.key < $1.key }.map { ProcessDescription(process: $0.key, name: $0.value) }
    trace.threads = threadNames.sorted { $0.key < $1.key }.map { ThreadDescription(thread: $0.key, name: $0.value) }
    threads = threadNames.count
  }

  private mutating func findUnseen(_ files: [OSCallFile]) {
    let lastStarts = Dictionary(files.map { ($0.process, $0.started) }, uniquingKeysWith: max)
    for file in files {
      for note in file.notes where !note.failed {
        // A program that was seen left a file of its process that began after the one that started it, or is a child's first.
        let wasSeen = lastStarts[note.process].map { note.process != file.process || $0 > file.started } ?? false
        if !wasSeen { unseen.append(Unseen(process: note.process, path: note.path)) }
      }
      if file.lostNotes > 0 {
        damage.append("process \(file.process): \(file.lostNotes) programs it started were not noted, for want of room")
      }
    }
  }

  private mutating func remark(_ threshold: Int64) {
    func add(_ severity: Int32, _ text: String) {
      trace.diagnostics.append(DiagnosticEvent(severity: severity, text: trace.names.intern(text)))
    }
    if belowCalls > 0 { add(1, "\(belowCalls) calls were shorter than \(threshold) ns: counted, not written down") }
    if cutCalls > 0 { add(1, "\(cutCalls) calls had not ended when the recording did: they end with it and return NULL") }
    if droppedCalls > 0 {
      add(2, "\(droppedCalls) calls found no room and were dropped; raise --os-limit-megabytes or --os-threshold-microseconds")
    }
    for program in unseen { add(2, "process \(program.process) ran \(program.path), which was not seen") }
    for text in damage { add(2, text) }
    for text in Self.blindSpots { add(1, "not seen: \(text)") }
  }

  private static func list(_ tallies: [String: OSCallFile.Tally]) -> [NamedTally] {
    tallies.map { NamedTally(name: $0.key, calls: $0.value.calls, nanoseconds: $0.value.nanoseconds) }
      .sorted { ($0.nanoseconds, $1.name) > ($1.nanoseconds, $0.name) }
  }
}

/// Calls on their way into a table, to be sorted by their start.
private struct Rows {
  struct Row {
    var start: Int64
    var end: Int64
    var thread: Int64
    var name: NameID
    var returned: Int64
  }

  private var rows: [Row] = []

  init(capacity: Int) { rows.reserveCapacity(capacity) }

  mutating func append(_ row: Row) { rows.append(row) }

  mutating func append(_ file: OSCallFile, names: [NameID]) {
    let calls = file.calls
    for index in calls.start.indices {
      rows.append(
        Row(
          start: calls.start[index], end: calls.start[index] + calls.duration[index],
          thread: GlobalID.thread(process: file.process, thread: Int64(calls.thread[index])), name: names[Int(calls.function[index])],
          returned: calls.returned[index]))
    }
  }

  func sorted() -> OSCallTable {
    var table = OSCallTable()
    table.reserveCapacity(rows.count)
    for row in rows.sorted(by: { ($0.start, $0.end) < ($1.start, $1.end) }) {
      table.append(OSCall(start: row.start, end: row.end, thread: row.thread, name: row.name, returnValue: row.returned))
    }
    return table
  }
}
