import CheckedNumbers
import Trace

/// One file's blocks into a trace's rows.
struct CUDACaptureReader {
  /// A device as CUPTI describes it.
  struct Device {
    var ordinal: Int64
    var description: GPUDescription
    var uuid: (Int64, Int64)

    /// "GPU-8-4-4-4-12" in hexadecimal digits, as NVML writes it.
    var uuidText: String {
      var digits = ""
      for word in [uuid.0, uuid.1] {
        withUnsafeBytes(of: word.littleEndian) { bytes in
          for byte in bytes {
            let text = String(byte, radix: 16)
            digits += text.utf8.count == 1 ? "0" + text : text
          }
        }
      }
      var (rest, parts) = (Substring(digits), [String]())
      for length in [8, 4, 4, 4, 12] {
        parts.append(String(rest.prefix(length)))
        rest = rest.dropFirst(length)
      }
      return "GPU-" + parts.joined(separator: "-")
    }
  }

  private let process: Int64
  private let demangle: (String) -> String?
  private var names: [UInt64: NameID] = [:]
  private var kernels: [UInt64: KernelID] = [:]
  private var streams: [UInt64: StreamID] = [:]
  /// The device of each context.
  private var contexts: [Int64: Int64] = [:]
  private(set) var devices: [Device] = []

  init(_ file: CUDACaptureFile, demangle: @escaping (String) -> String?) {
    process = file.process
    self.demangle = demangle
  }

  /// What the C side calls `cudacapture_tag`.
  private enum Tag: UInt8 {
    case name = 1
    case kernelType, stream, device, call, kernel, copy, fill, synchronization, overhead, event, graph, range
  }

  /// Reads a block whose checksum is right. A sentence where something in it makes no sense; rows before that are kept.
  mutating func read(_ bytes: UnsafeRawBufferPointer, into trace: inout Trace) -> String? {
    var block = CUDACaptureBlock(bytes)
    while !block.isAtEnd {
      let number = block.tag()
      guard let tag = Tag(rawValue: number) else { return "no record begins with \(number)" }
      switch tag {
      case .name:
        let id = block.number()
        let text = block.text()
        if !block.isBad { names[id] = trace.names.intern(text) }
      case .kernelType: readKernelType(&block, &trace)
      case .stream:
        let id = block.number()
        let description = StreamDescription(
          process: GlobalID.process(process), device: block.int64(), context: block.int64(), stream: block.int64())
        if block.isBad { break }
        streams[id] = trace.intern(description)
        contexts[description.context] = description.device
      case .device: readDevice(&block, &trace)
      case .call: readCall(&block, &trace)
      case .kernel: readKernel(&block, &trace)
      case .copy, .fill: readMemory(&block, &trace, isCopy: tag == .copy)
      case .synchronization: readSynchronization(&block, &trace)
      case .overhead: readOverhead(&block, &trace)
      case .range: readRange(&block, &trace)
      case .event:
        let (stream, correlation, event) = (streams[block.number()], block.correlation(), block.int64())
        guard let stream, !block.isBad else { return "an event without a stream" }
        trace.eventRecords.append(EventRecord(stream: stream, event: event, correlation: Int64(correlation)))
      case .graph:
        let (stream, times, correlation, graph) = (streams[block.number()], block.times(), block.correlation(), block.int64())
        guard let stream, !block.isBad else { return "a graph without a stream" }
        trace.graphExecutions.append(
          GraphExecution(
            start: Int64(clamping: times.start), end: Int64(clamping: times.end), stream: stream, correlation: Int64(correlation),
            executable: graph))
      }
    }
    return block.isBad ? "a record that is cut off, or whose stream, name or kernel was never said" : nil
  }

  private mutating func readKernelType(_ block: inout CUDACaptureBlock, _ trace: inout Trace) {
    let (id, name) = (block.number(), names[block.number()])
    let numbers = (0..<14).map { _ in block.int32() }
    if block.isBad { return }
    let symbol = name.flatMap { trace.names[$0] }
    let demangled = symbol.flatMap { demangle($0) }
    let full = demangled ?? symbol
    let demangledName = full.map { trace.names.intern($0) } ?? .unknown
    var description = KernelDescription(
      demangledName: demangledName, shortName: full.map { trace.names.intern(KernelNames.short($0)) } ?? .unknown,
      mangledName: demangled == nil ? .unknown : name ?? .unknown, grid: (numbers[0], numbers[1], numbers[2]),
      block: (numbers[3], numbers[4], numbers[5]), registersPerThread: numbers[6], staticSharedMemoryBytes: numbers[7],
      dynamicSharedMemoryBytes: numbers[8], localMemoryBytesPerThread: numbers[9],
      // CUPTI counts from regular = 0, Nsight's tables from unknown = 0.
      launchType: numbers[10] &+ 1)
    (description.clusterX, description.clusterY, description.clusterZ) = (numbers[11], numbers[12], numbers[13])
    kernels[id] = trace.intern(description)
  }

  private mutating func readDevice(_ block: inout CUDACaptureBlock, _ trace: inout Trace) {
    let (ordinal, name) = (block.int64(), names[block.number()])
    let numbers = (0..<12).map { _ in block.int64() }
    let uuid = (Int64(bitPattern: block.number()), Int64(bitPattern: block.number()))
    if block.isBad { return }
    func known(_ value: Int64, times factor: Int64 = 1) -> Int64 { value > 0 ? value.multipliedSaturated(by: factor) : Trace.unknown }
    var description = GPUDescription(
      id: 0, name: name.flatMap { trace.names[$0] } ?? "GPU", smCount: known(numbers[5]),
      // Kilobytes per second, kilohertz.
      memoryBandwidth: known(numbers[0], times: 1000), clockRate: known(numbers[4], times: 1000), totalMemoryBytes: known(numbers[1]),
      l2CacheBytes: known(numbers[2]), computeMajor: known(numbers[10]), computeMinor: numbers[11], maxWarpsPerSM: known(numbers[6]),
      maxBlocksPerSM: known(numbers[7]), maxRegistersPerSM: known(numbers[9]), maxSharedMemoryBytesPerSM: known(numbers[8]))
    description.threadsPerWarp = known(numbers[3])
    devices.append(Device(ordinal: ordinal, description: description, uuid: uuid))
  }

  private mutating func readCall(_ block: inout CUDACaptureBlock, _ trace: inout Trace) {
    let (domain, name, times) = (block.int32(), names[block.number()], block.times())
    let (correlation, thread, result) = (block.correlation(), block.thread(), block.int32())
    if block.isBad { return }
    // A call without a time joins its kernel with nothing: it stays out.
    guard times.start > 0, times.end >= times.start else { return }
    trace.apiCalls.append(
      APICall(
        start: Int64(clamping: times.start), end: Int64(clamping: times.end),
        thread: GlobalID.thread(process: process, thread: Int64(thread)), correlation: Int64(correlation), name: name ?? .unknown,
        eventClass: domain, returnValue: result))
  }

  private mutating func readKernel(_ block: inout CUDACaptureBlock, _ trace: inout Trace) {
    let (kernel, stream, times) = (kernels[block.number()], streams[block.number()], block.times())
    let (correlation, node) = (block.correlation(), block.int64())
    guard let kernel, let stream, !block.isBad else { return block.spoil() }
    trace.kernels.append(
      KernelEvent(
        start: Int64(clamping: times.start), end: Int64(clamping: times.end), description: kernel, stream: stream,
        correlation: Int64(correlation), graphNode: node == 0 ? Trace.unknown : node))
  }

  private mutating func readMemory(_ block: inout CUDACaptureBlock, _ trace: inout Trace, isCopy: Bool) {
    let (stream, times) = (streams[block.number()], block.times())
    let (correlation, number, bytes) = (block.correlation(), block.int64(), block.int64())
    let node = number == 0 ? Trace.unknown : number
    let (first, second) = (block.number(), block.int32())
    let third = isCopy ? block.int32() : 0
    guard let stream, !block.isBad else { return block.spoil() }
    let (start, end) = (Int64(clamping: times.start), Int64(clamping: times.end))
    // CUPTI counts kinds of memory from unknown = 0, Nsight's tables from pageable = 0.
    func kind(_ value: Int32) -> Int32 { value > 0 ? value - 1 : Trace.unknown32 }
    if isCopy {
      trace.copies.append(
        CopyEvent(
          start: start, end: end, stream: stream, correlation: Int64(correlation), bytes: bytes,
          direction: Int32(truncatingIfNeeded: first),
          sourceKind: kind(second), destinationKind: kind(third), graphNode: node))
    } else {
      trace.memsets.append(
        MemsetEvent(
          start: start, end: end, stream: stream, correlation: Int64(correlation), bytes: bytes, value: Int64(clamping: first),
          memoryKind: kind(second), graphNode: node))
    }
  }

  private mutating func readSynchronization(_ block: inout CUDACaptureBlock, _ trace: inout Trace) {
    let (context, number, times) = (block.int64(), block.int64(), block.times())
    let (correlation, type, event) = (block.correlation(), block.int32(), block.int64())
    if block.isBad { return }
    guard times.start > 0, times.end >= times.start else { return }
    // All ones: of the whole context, no stream in particular.
    let stream = StreamDescription(
      process: GlobalID.process(process), device: contexts[context] ?? 0, context: context,
      stream: number == 0xFFFF_FFFF ? Trace.unknown : number)
    trace.synchronizations.append(
      SynchronizationEvent(
        start: Int64(clamping: times.start), end: Int64(clamping: times.end), stream: trace.intern(stream), correlation: Int64(correlation),
        type: type, event: event == 0xFFFF_FFFF ? 0 : event))
  }

  private mutating func readRange(_ block: inout CUDACaptureBlock, _ trace: inout Trace) {
    let (type, domain, name, times, thread) = (block.int32(), block.int64(), names[block.number()], block.times(), block.int64())
    if block.isBad { return }
    guard times.start > 0, times.end >= times.start else { return }
    trace.ranges.append(
      RangeEvent(
        // A mark has no end.
        start: Int64(clamping: times.start), end: type == 34 ? Trace.unknown : Int64(clamping: times.end),
        thread: GlobalID.thread(process: process, thread: thread), text: name ?? .unknown, type: type, domain: domain))
  }

  private mutating func readOverhead(_ block: inout CUDACaptureBlock, _ trace: inout Trace) {
    let (kind, times, correlation, thread) = (block.int64(), block.times(), block.correlation(), block.int64())
    if block.isBad { return }
    guard times.start > 0, times.end >= times.start else { return }
    var row = OverheadEvent(
      start: Int64(clamping: times.start), end: Int64(clamping: times.end),
      thread: thread == 0 ? Trace.unknown : GlobalID.thread(process: process, thread: thread),
      correlation: correlation == 0 ? Trace.unknown : Int64(correlation), name: .unknown)
    OverheadKinds.complete(&row, type: kind, &trace.names)
    if row.name == .unknown { row.name = trace.names.intern("overhead \(kind)") }
    trace.overheads.append(row)
  }
}
