import CheckedNumbers
import FileAccess
import Trace

/// Writes one trace as trace events, one a line.
struct ChromeTraceWriter {
  let trace: Trace
  let tracks: ChromeTracks
  private let file: FileWriter
  var out: JSONBuffer
  private var isFirst = true
  /// Every text in quotes, by `NameID`.
  private let names: [[UInt8]]
  private let noName = Array("\"?\"".utf8)
  /// By process: calls whose launch has begun and not yet arrived on the device.
  private var launched: [Int64: CorrelationSet] = [:]
  private let hasOneProcess: Bool

  init(_ trace: Trace, _ path: String) throws(FileError) {
    self.trace = trace
    file = try FileWriter(path)
    out = JSONBuffer(file)
    tracks = ChromeTracks(trace)
    names = trace.names.texts.map(JSONBuffer.quoted)
    let processes = Set(trace.streams.map(\.process) + tracks.threads.map { GlobalID.process(ofThread: $0.id) })
    hasOneProcess = processes.count <= 1
  }

  mutating func write() throws(FileError) {
    out.raw("{\"displayTimeUnit\":\"ns\",\"otherData\":{")
    writeRun()
    out.raw("},\"schemaVersion\":1,\"deviceProperties\":[")
    writeDevices()
    out.raw("],\"traceEvents\":[")
    writeMetadata()
    try writeAPICalls()
    try writeOSCalls()
    try writeRanges()
    try writeKernels()
    try writeCopies()
    try writeMemsets()
    try writeBatches()
    try writeRequests()
    try writeCounters()
    out.raw("\n]}\n")
    try out.flush()
    try file.finish()
  }

  // MARK: Pieces

  func name(_ id: NameID) -> [UInt8] { names.indices.contains(Int(id.rawValue)) ? names[Int(id.rawValue)] : noName }

  /// `{"ph":"X","cat":"kernel","name":...,"pid":1,"tid":2,"ts":3`; the caller goes on with a comma or closes.
  @inline(__always)
  mutating func begin(_ phase: StaticString, _ category: StaticString, _ name: [UInt8], _ track: [UInt8], _ time: Int64) {
    out.raw(isFirst ? "\n{\"ph\":\"" : ",\n{\"ph\":\"")
    isFirst = false
    out.raw(phase)
    out.raw("\",\"cat\":\"")
    out.raw(category)
    out.raw("\",\"name\":")
    out.raw(name)
    out.raw(",")
    out.raw(track)
    out.raw(",\"ts\":")
    out.microseconds(time)
  }

  /// `,"dur":1,"args":{`. A span whose end is unknown or before its start is drawn as a point.
  @inline(__always) mutating func duration(from start: Int64, to end: Int64) {
    out.raw(",\"dur\":")
    let (length, overflow) = end.subtractingReportingOverflow(start)
    out.microseconds(end == Trace.unknown || overflow ? 0 : max(0, length))
    out.raw(",\"args\":{")
  }

  @inline(__always) mutating func member(_ name: StaticString, _ value: Int64) {
    out.raw(name)
    out.number(Trace.known(value))
  }

  @inline(__always) mutating func member(_ name: StaticString, _ value: Int32) {
    out.raw(name)
    out.number(Trace.known(value).map(Int64.init))
  }

  mutating func metadata(_ kind: StaticString, pid: Int64, tid: Int64, _ name: String) {
    out.raw(isFirst ? "\n{\"ph\":\"M\",\"name\":\"" : ",\n{\"ph\":\"M\",\"name\":\"")
    isFirst = false
    out.raw(kind)
    out.raw("\",\"pid\":")
    out.number(pid)
    out.raw(",\"tid\":")
    out.number(tid)
    out.raw(",\"args\":{\"name\":")
    out.raw(JSONBuffer.quoted(name))
    out.raw("}}")
  }

  /// One end of the arrow from a call to the work it launched. Numbers repeat across processes, so with several the process is named too.
  private mutating func flow(_ phase: StaticString, process: Int64, correlation: Int64, _ track: [UInt8], _ time: Int64) {
    begin(phase, "ac2g", Array("\"ac2g\"".utf8), track, time)
    out.raw(hasOneProcess ? ",\"id\":" : ",\"id\":\"")
    if !hasOneProcess {
      out.number(GlobalID.processNumber(process))
      out.raw(".")
    }
    out.number(correlation)
    out.raw(hasOneProcess ? "}" : "\"}")
  }

  private mutating func finishFlow(_ stream: StreamID, _ correlation: Int64, _ time: Int64) {
    let process = trace[stream].process
    if correlation != Trace.unknown, launched[process]?.remove(correlation) == true {
      flow("f\",\"bp\":\"e", process: process, correlation: correlation, tracks.streams[Int(stream.rawValue)].fields, time)
    }
  }

  // MARK: Parts

  private mutating func writeRun() {
    for (index, (key, value)) in trace.run.sorted(by: { $0.key < $1.key }).enumerated() {
      if index > 0 { out.raw(",") }
      out.raw(JSONBuffer.quoted(key))
      out.raw(":")
      out.raw(JSONBuffer.quoted(value))
    }
    if trace.diagnostics.isEmpty { return }
    out.raw(trace.run.isEmpty ? "\"diagnostics\":[" : ",\"diagnostics\":[")
    for (index, id) in trace.diagnostics.text.enumerated() {
      if index > 0 { out.raw(",") }
      out.raw(name(id))
    }
    out.raw("]")
  }

  /// The devices as Kineto describes them, so that readers of its traces know SMs and limits. The id is the CUDA ordinal.
  private mutating func writeDevices() {
    for (index, gpu) in trace.gpus.filter({ $0.cudaDevice != Trace.unknown }).enumerated() {
      if index > 0 { out.raw(",") }
      out.raw("{\"id\":")
      out.number(gpu.cudaDevice)
      out.raw(",\"name\":")
      out.raw(JSONBuffer.quoted(gpu.name))
      let threads = gpu.maxWarpsPerSM > 0 && gpu.maxWarpsPerSM < 1 << 20 ? gpu.maxWarpsPerSM * 32 : Trace.unknown
      let members: [(StaticString, Int64)] = [
        (",\"numSms\":", gpu.smCount), (",\"computeMajor\":", gpu.computeMajor), (",\"computeMinor\":", gpu.computeMinor),
        (",\"totalGlobalMem\":", gpu.totalMemoryBytes), (",\"regsPerMultiprocessor\":", gpu.maxRegistersPerSM),
        (",\"sharedMemPerMultiprocessor\":", gpu.maxSharedMemoryBytesPerSM), (",\"maxThreadsPerMultiprocessor\":", threads),
        (",\"warpSize\":", threads == Trace.unknown ? Trace.unknown : 32),
      ]
      for (name, value) in members where value != Trace.unknown { member(name, value) }
      out.raw("}")
    }
  }

  private mutating func writeMetadata() {
    var seen: Set<Int64> = []
    // Files from elsewhere may name one twice; the last name is the thread's own.
    let programs = Dictionary(trace.processes.map { ($0.process, $0.name) }, uniquingKeysWith: { $1 })
    let threadNames = Dictionary(trace.threads.map { ($0.thread, $0.name) }, uniquingKeysWith: { $1 })
    for (id, track) in tracks.threads {
      if seen.insert(track.pid).inserted {
        let program = programs[GlobalID.process(ofThread: id)].flatMap { trace.names[$0] }.map { " " + $0 } ?? ""
        metadata("process_name", pid: track.pid, tid: 0, id == Trace.unknown ? "unknown process" : "process \(track.pid)\(program)")
      }
      let name = threadNames[id].flatMap { trace.names[$0] }.map { " " + $0 } ?? ""
      metadata("thread_name", pid: track.pid, tid: track.tid, id == Trace.unknown ? "unknown thread" : "thread \(track.tid)\(name)")
    }
    for (pid, stream) in tracks.devices {
      let ordinal = Trace.known(stream.device).map { "GPU \($0)" } ?? "GPU"
      metadata("process_name", pid: pid, tid: 0, trace.gpu(of: stream).map { "\(ordinal): \($0.name)" } ?? ordinal)
    }
    for (track, stream) in zip(tracks.streams, trace.streams) {
      metadata("thread_name", pid: track.pid, tid: track.tid, Trace.known(stream.stream).map { "stream \($0)" } ?? "unknown stream")
    }
    if !trace.batches.isEmpty || !trace.requests.isEmpty || !trace.clientRequests.isEmpty || !trace.counters.isEmpty {
      metadata("process_name", pid: tracks.serving, tid: 0, "serving")
    }
  }

  private mutating func writeAPICalls() throws(FileError) {
    var awaited = correlationsOnDevice()
    let calls = trace.apiCalls
    var (lastThread, track) = (Int64?.none, [UInt8]())
    for index in calls.indices where calls.start[index] != Trace.unknown {
      let (thread, correlation) = (calls.thread[index], calls.correlation[index])
      if thread != lastThread { (lastThread, track) = (thread, tracks.thread(thread).fields) }
      let start = calls.start[index]
      begin("X", calls.eventClass[index] == 1 ? "cuda_driver" : "cuda_runtime", name(calls.name[index]), track, start)
      duration(from: start, to: calls.end[index])
      member("\"correlation\":", correlation)
      if calls.returnValue[index] != 0 { member(",\"return value\":", calls.returnValue[index]) }
      out.raw("}}")
      let process = GlobalID.process(ofThread: thread)
      if correlation != Trace.unknown, awaited[process]?.remove(correlation) == true {
        launched[process]?.insert(correlation)
        flow("s", process: process, correlation: correlation, track, start)
      }
      try out.flushIfFull()
    }
  }

  /// Launches that device work answers, by process; prepares `launched`, still empty, to hold as many.
  private mutating func correlationsOnDevice() -> [Int64: CorrelationSet] {
    struct Range {
      var lowest = Int64.max
      var highest = Int64.min
      var count = 0

      mutating func include(_ id: Int64) {
        (lowest, highest, count) = (min(lowest, id), max(highest, id), count + 1)
      }
    }
    let columns = [
      (trace.kernels.stream, trace.kernels.correlation), (trace.copies.stream, trace.copies.correlation),
      (trace.memsets.stream, trace.memsets.correlation),
    ]
    let processes = trace.streams.map(\.process)
    var ranges: [Int64: Range] = [:]
    for (streams, correlations) in columns {
      for (stream, correlation) in zip(streams, correlations) where correlation != Trace.unknown {
        ranges[processes[Int(stream.rawValue)], default: Range()].include(correlation)
      }
    }
    var awaited = ranges.mapValues { CorrelationSet(lowest: $0.lowest, highest: $0.highest, count: $0.count) }
    launched = awaited
    for (streams, correlations) in columns {
      for (stream, correlation) in zip(streams, correlations) where correlation != Trace.unknown {
        awaited[processes[Int(stream.rawValue)]]?.insert(correlation)
      }
    }
    return awaited
  }

  private mutating func writeOSCalls() throws(FileError) {
    let calls = trace.osCalls
    var (lastThread, track) = (Int64?.none, [UInt8]())
    for index in calls.indices where calls.start[index] != Trace.unknown {
      if calls.thread[index] != lastThread { (lastThread, track) = (calls.thread[index], tracks.thread(calls.thread[index]).fields) }
      begin("X", "os_runtime", name(calls.name[index]), track, calls.start[index])
      duration(from: calls.start[index], to: calls.end[index])
      member("\"return value\":", calls.returnValue[index])
      out.raw("}}")
      try out.flushIfFull()
    }
  }

  /// Push/pop ranges nest within their thread; start/end ranges need not and are async; marks are points. Domain bookkeeping is left out.
  private mutating func writeRanges() throws(FileError) {
    for (index, range) in trace.ranges.enumerated() where range.start != Trace.unknown && range.type != 75 && range.type != 76 {
      let (text, track) = (name(range.text), tracks.thread(range.thread).fields)
      if range.end == Trace.unknown {
        begin("i", "user_annotation", text, track, range.start)
        out.raw(",\"s\":\"t\"}")
      } else if range.type == 60 {
        for (phase, time) in [("b" as StaticString, range.start), ("e", max(range.start, range.end))] {
          begin(phase, "user_annotation", text, track, time)
          out.raw(",\"id\":")
          out.number(Int64(index))
          out.raw("}")
        }
      } else {
        begin("X", "user_annotation", text, track, range.start)
        duration(from: range.start, to: range.end)
        out.raw("}}")
      }
      try out.flushIfFull()
    }
  }

  /// `"device":0,"context":1,"stream":7,"correlation":`, by stream.
  private func streamArguments() -> [[UInt8]] {
    func text(_ value: Int64) -> String { Trace.known(value).map(String.init) ?? "null" }
    return trace.streams.map {
      Array("\"device\":\(text($0.device)),\"context\":\(text($0.context)),\"stream\":\(text($0.stream)),\"correlation\":".utf8)
    }
  }

  private mutating func writeKernels() throws(FileError) {
    func text(_ value: Int32) -> String { Trace.known(value).map(String.init) ?? "null" }
    let titles = trace.kernelDescriptions.map { name($0.demangledName == .unknown ? $0.shortName : $0.demangledName) }
    let geometry = trace.kernelDescriptions.map { kernel in
      let shared = [kernel.staticSharedMemoryBytes, kernel.dynamicSharedMemoryBytes].compactMap(Trace.known).reduce(Int64(0)) {
        $0 + Int64($1)
      }
      return Array(
        """
        ,"registers per thread":\(text(kernel.registersPerThread)),"shared memory":\(shared),\
        "grid":[\(text(kernel.gridX)),\(text(kernel.gridY)),\(text(kernel.gridZ))],\
        "block":[\(text(kernel.blockX)),\(text(kernel.blockY)),\(text(kernel.blockZ))]
        """.utf8)
    }
    let arguments = streamArguments()
    let kernels = trace.kernels
    for index in kernels.indices where kernels.start[index] != Trace.unknown {
      let (start, stream) = (kernels.start[index], Int(kernels.stream[index].rawValue))
      let description = Int(kernels.description[index].rawValue)
      begin("X", "kernel", titles[description], tracks.streams[stream].fields, start)
      duration(from: start, to: kernels.end[index])
      out.raw(arguments[stream])
      out.number(Trace.known(kernels.correlation[index]))
      out.raw(geometry[description])
      if kernels.graphNode[index] != Trace.unknown { member(",\"graph node id\":", kernels.graphNode[index]) }
      out.raw("}}")
      finishFlow(kernels.stream[index], kernels.correlation[index], start)
      try out.flushIfFull()
    }
  }

  private mutating func writeCopies() throws(FileError) {
    let directions = ["?", "HtoD", "DtoH", "HtoA", "AtoH", "AtoA", "AtoD", "DtoA", "DtoD", "HtoH", "PtoP", "HtoD", "DtoH", "DtoD"]
    let arguments = streamArguments()
    for copy in trace.copies where copy.start != Trace.unknown {
      let stream = Int(copy.stream.rawValue)
      let direction = directions.indices.contains(Int(copy.direction)) ? directions[Int(copy.direction)] : "?"
      let title = "\"Memcpy \(direction) (\(Self.kind(copy.sourceKind)) -> \(Self.kind(copy.destinationKind)))\""
      begin("X", "gpu_memcpy", Array(title.utf8), tracks.streams[stream].fields, copy.start)
      duration(from: copy.start, to: copy.end)
      out.raw(arguments[stream])
      out.number(Trace.known(copy.correlation))
      member(",\"bytes\":", copy.bytes)
      out.raw("}}")
      finishFlow(copy.stream, copy.correlation, copy.start)
      try out.flushIfFull()
    }
  }

  private mutating func writeMemsets() throws(FileError) {
    let arguments = streamArguments()
    for memset in trace.memsets where memset.start != Trace.unknown {
      let stream = Int(memset.stream.rawValue)
      begin("X", "gpu_memset", Array("\"Memset (\(Self.kind(memset.memoryKind)))\"".utf8), tracks.streams[stream].fields, memset.start)
      duration(from: memset.start, to: memset.end)
      out.raw(arguments[stream])
      out.number(Trace.known(memset.correlation))
      member(",\"bytes\":", memset.bytes)
      out.raw("}}")
      finishFlow(memset.stream, memset.correlation, memset.start)
      try out.flushIfFull()
    }
  }

  private static func kind(_ value: Int32) -> String {
    let names = ["Pageable", "Pinned", "Device", "Array", "Managed", "Device Static", "Managed Static"]
    return names.indices.contains(Int(value)) ? names[Int(value)] : "Unknown"
  }
}
