import CheckedNumbers
public import Trace

/// Something that occupied a device: a kernel, a copy or a fill.
public struct DeviceEvent: Sendable, Hashable {
  /// Which table it is a row of.
  public enum Kind: UInt8, Sendable, Hashable {
    case kernel, copy, fill
    /// A whole graph recorded as one event: its nodes are hidden.
    case graph
  }

  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds; at or after `start`.
  public var end: Int64
  /// Row of its table.
  public var row: Int32
  /// Which table.
  public var kind: Kind

  /// An event.
  public init(start: Int64, end: Int64, row: Int32, kind: Kind) {
    self.start = start
    self.end = end
    self.row = row
    self.kind = kind
  }
}

/// What ran on one device, in order of starting. Work without a launch row counts: it occupied the device all the same.
public struct DeviceActivity: Sendable {
  /// Times beyond this are no times of a trace (73 years in nanoseconds): such rows are counted and left out.
  static let largestTime: Int64 = 1 << 61

  /// The device's ordinal as its processes count it; `Trace.unknown` where not recorded.
  public var ordinal: Int64
  /// The device, where the trace describes it.
  public var gpu: GPUDescription?
  /// Events in order of start.
  public var events: [DeviceEvent]
  /// From the first event's start to the last one's end, or the window asked for; nanoseconds.
  public var span: Range<Int64>
  /// Rows whose end lies before their start, or whose times no clock shows.
  public var discarded: Int
  /// Streams with work, by position in `Trace.streams`.
  public var streams: Set<Int32>

  /// Length of the span, nanoseconds; at least 1.
  public var wall: Int64 { max(1, span.upperBound - span.lowerBound) }

  /// As printed: "GPU 0, NVIDIA H200".
  public var name: String {
    let number = ordinal == Trace.unknown ? "" : " \(ordinal)"
    let model = gpu?.name ?? ""
    return "GPU" + number + (model.isEmpty ? "" : ", " + model)
  }

  /// Every device of a trace that did something, by ordinal. Devices are told apart by the GPU behind a process's ordinal where the trace
  /// says it, else by the ordinal.
  ///
  /// - Parameters:
  ///   - window: events are cut to it (nanoseconds); nil for all.
  ///   - process: global id of the only process whose work counts; nil for all.
  public static func all(of trace: Trace, window: Range<Int64>? = nil, process: Int64? = nil) -> [DeviceActivity] {
    // One pass per table; a stream's device is looked up once.
    var keys: [Int64: Int] = [:]
    var devices: [DeviceActivity] = []
    let deviceOfStream: [Int] = trace.streams.map { stream in
      if let process, stream.process != process { return -1 }
      let gpu = trace.gpu(of: stream)
      // Ordinals are not GPU ids: two number spaces.
      let key = gpu.map { $0.id &* 2 } ?? (stream.device &* 2 &+ 1)
      if let known = keys[key] { return known }
      keys[key] = devices.count
      devices.append(
        DeviceActivity(ordinal: gpu?.cudaDevice ?? stream.device, gpu: gpu, events: [], span: 0..<0, discarded: 0, streams: []))
      if let last = devices.indices.last, devices[last].ordinal == Trace.unknown { devices[last].ordinal = stream.device }
      return devices.count - 1
    }
    func add(_ kind: DeviceEvent.Kind, _ start: [Int64], _ end: [Int64], _ stream: [StreamID]) {
      for row in 0..<min(start.count, Int(Int32.max)) {
        let position = Int(stream[row].rawValue)
        guard deviceOfStream.indices.contains(position) else { continue }
        let device = deviceOfStream[position]
        if device < 0 { continue }
        var (from, to) = (start[row], end[row])
        guard to >= from, from > -Self.largestTime, to < Self.largestTime else {
          devices[device].discarded += 1
          continue
        }
        if let window {
          from = max(from, window.lowerBound)
          to = min(to, window.upperBound)
          guard to > from else { continue }
        }
        devices[device].events.append(DeviceEvent(start: from, end: to, row: Int32(clamping: row), kind: kind))
        devices[device].streams.insert(stream[row].rawValue)
      }
    }
    add(.kernel, trace.kernels.start, trace.kernels.end, trace.kernels.stream)
    add(.copy, trace.copies.start, trace.copies.end, trace.copies.stream)
    add(.fill, trace.memsets.start, trace.memsets.end, trace.memsets.stream)
    for index in devices.indices { devices[index].sortEvents(window) }
    return devices.filter { !$0.events.isEmpty }.sorted { $0.ordinal < $1.ordinal }
  }

  private mutating func sortEvents(_ window: Range<Int64>?) {
    events.sort { ($0.start, $0.end, $0.kind.rawValue, $0.row) < ($1.start, $1.end, $1.kind.rawValue, $1.row) }
    guard let first = events.first else { return }
    let last = events.reduce(first.end) { max($0, $1.end) }
    span = window ?? first.start..<max(last, first.start + 1)
  }
}

/// Busy time of a device as unions of intervals, nanoseconds: overlapping work counts once.
public struct BusyTime: Sendable, Hashable {
  /// At least one kernel ran.
  public var kernel: Int64 = 0
  /// A copy or a fill ran, kernels or not.
  public var copy: Int64 = 0
  /// Anything ran.
  public var device: Int64 = 0
  /// Kernels' durations summed: above `kernel` where they overlap.
  public var kernelSum: Int64 = 0
  /// Kernels that began while no kernel ran.
  public var kernelStartsFromIdle = 0
  /// Of these, the gaps before them: what lies between them and the kernel before, at most `shortGap` each, summed.
  public var shortGapSum: Int64 = 0
  /// Kernels.
  public var kernels = 0
  /// Copies and fills.
  public var copies = 0
  /// Two kernels ran at once somewhere.
  public var kernelsOverlap: Bool { kernelSum > kernel }
  /// A copy or fill ran, and no kernel.
  public var nonOverlappedMemcpy: Int64 { device - kernel }

  /// Unions of a device's events. `shortGap`, nanoseconds, is what a gap before a kernel counts at most in `shortGapSum`.
  public init(of activity: DeviceActivity, shortGap: Int64 = 0) {
    var kernelEnd = Int64.min
    var copyEnd = Int64.min
    var deviceEnd = Int64.min
    func extend(_ end: inout Int64, _ event: DeviceEvent) -> Int64 {
      let from = max(event.start, end)
      if event.end <= from { return 0 }
      end = event.end
      return event.end - from
    }
    for event in activity.events {
      device += extend(&deviceEnd, event)
      if event.kind == .kernel || event.kind == .graph {
        kernels += 1
        kernelSum = kernelSum.addingSaturated(event.end - event.start)
        if event.start > kernelEnd {
          kernelStartsFromIdle += 1
          shortGapSum += kernelEnd == .min ? shortGap : min(shortGap, event.start - kernelEnd)
        }
        kernel += extend(&kernelEnd, event)
      } else {
        copies += 1
        copy += extend(&copyEnd, event)
      }
    }
  }
}
