import Trace

/// Which track an event is drawn on. Host threads keep their own numbers. A device is a process whose number is its ordinal, its streams
/// are threads, as Kineto has it; where such a number is taken, the next that is free.
struct ChromeTracks {
  struct Track {
    var pid: Int64
    var tid: Int64
    /// `"pid":1,"tid":2`.
    var fields: [UInt8]

    init(pid: Int64, tid: Int64) {
      self.pid = pid
      self.tid = tid
      fields = Array("\"pid\":\(pid),\"tid\":\(tid)".utf8)
    }
  }

  private struct Device: Hashable {
    var process: Int64
    var ordinal: Int64
  }
  private struct Place: Hashable {
    var pid: Int64
    var tid: Int64
  }

  /// By `StreamID`.
  private(set) var streams: [Track] = []
  /// Global ids of host threads, in the order they are met.
  private(set) var threads: [(id: Int64, track: Track)] = []
  /// The process that holds batches, requests and counters.
  private(set) var serving: Int64 = 0
  /// Devices as processes: number, a stream of it.
  private(set) var devices: [(pid: Int64, stream: StreamDescription)] = []
  private var threadPositions: [Int64: Int] = [:]

  init(_ trace: Trace) {
    collectThreads(trace.apiCalls.thread)
    collectThreads(trace.osCalls.thread)
    collectThreads(trace.ranges.thread)
    var taken = Set(threads.map(\.track.pid))
    var devicePIDs: [Device: Int64] = [:]
    var places: Set<Place> = []
    var spare: Int64 = 1 << 24
    for stream in trace.streams {
      let device = Device(process: stream.process, ordinal: stream.device)
      let pid: Int64
      if let known = devicePIDs[device] {
        pid = known
      } else {
        pid = Self.free(Trace.known(stream.device) ?? 0, &spare) { taken.insert($0).inserted }
        devicePIDs[device] = pid
        devices.append((pid, stream))
      }
      let tid = Self.free(Trace.known(stream.stream) ?? 0, &spare) { places.insert(Place(pid: pid, tid: $0)).inserted }
      streams.append(Track(pid: pid, tid: tid))
    }
    serving = Self.free(1 << 24, &spare) { taken.insert($0).inserted }
  }

  /// The track of a host thread of the trace.
  func thread(_ id: Int64) -> Track { threadPositions[id].map { threads[$0].track } ?? Track(pid: 0, tid: 0) }

  private mutating func collectThreads(_ column: [Int64]) {
    var last: Int64?
    for id in column where id != last {
      last = id
      if threadPositions[id] != nil { continue }
      threadPositions[id] = threads.count
      threads.append((id, Track(pid: GlobalID.processNumber(id), tid: GlobalID.threadNumber(id))))
    }
  }

  /// `wanted`, or the next spare number that `take` takes. Spare numbers lie above all process and thread numbers, which have 24 bits.
  private static func free(_ wanted: Int64, _ spare: inout Int64, _ take: (Int64) -> Bool) -> Int64 {
    if take(wanted) { return wanted }
    while true {
      spare &+= 1
      if take(spare) { return spare }
    }
  }
}
