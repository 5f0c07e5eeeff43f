import CheckedNumbers
import DequeModule
public import TimeBase

/// A GPU as a pure machine: launches and time in, completions out.
///
/// Streams run their work in order. A kernel starts when its launch has arrived, its stream's predecessor has ended (plus the dispatch gap)
/// and some block slots are free. Kernels of several streams share the slots as the hardware's block scheduler does: the one that
/// started first keeps what it needs, later ones get what is left over (not fair shares); together they cannot pass the memory's
/// bandwidth. Each direction of copies has one engine, first come first served.
public struct GPUMachine: Sendable {
  /// One kernel that ran.
  @frozen public struct KernelRun: Sendable {
    /// Which burst.
    public var burst: Int32
    /// Its position in the burst.
    public var kernel: Int32
    /// Start, nanoseconds.
    public var start: Int64
    /// End, nanoseconds.
    public var end: Int64
    /// Stream.
    public var stream: Int32
  }

  /// One copy that ran.
  @frozen public struct CopyRun: Sendable {
    /// The caller's number.
    public var tag: Int32
    /// To the device, or from it.
    public var isUpload: Bool
    /// Start, nanoseconds.
    public var start: Int64
    /// End, nanoseconds.
    public var end: Int64
    /// Stream.
    public var stream: Int32
  }

  /// Something a host may wait for.
  @frozen public struct Reached: Sendable {
    /// The caller's number.
    public var tag: Int32
    /// When, nanoseconds.
    public var time: Int64
  }

  enum Item: Sendable {
    /// Kernels launched one after the other: the k-th launch arrives at `ready + k * spacing`.
    case burst(tag: Int32, timings: Int32, ready: Int64, spacing: Int64, after: Int32)
    case copy(tag: Int32, isUpload: Bool, nanoseconds: Int64, ready: Int64)
    case marker(tag: Int32, ready: Int64)
  }

  struct Stream: Sendable {
    var items: Deque<Item> = []
    var nextKernel = 0
    /// End of its last work.
    var freeAt: Int64 = .min
    var lastWasKernel = false
    var running = false
  }

  struct Active: Sendable {
    var stream: Int
    var tag: Int32
    var kernel: Int
    var timing: KernelTiming
    var start: Int64
    /// Work left at full speed, nanoseconds.
    var left: Double
  }

  /// Kernel tables by number: what `burst` refers to.
  private var tables: [[KernelTiming]] = []
  private var streams: [Stream]
  private var active: [Active] = []
  /// Of each active kernel; refreshed by `nextChange`, used by `step`.
  private var rates: [Double] = []
  private var copying: [(stream: Int, tag: Int32, isUpload: Bool, start: Int64, end: Int64)] = []
  private var now: Int64 = 0
  private var pendingItems = 0
  /// Nothing changes before this.
  private var quietUntil: Int64 = .min
  /// Markers that later bursts may wait for (`after`), reached ones.
  private var reachedMarkers: Set<Int32> = []
  private let dispatchGap: Int64

  /// Kernels that ended, in order of their ends; to be taken and cleared by the caller.
  public var kernels: [KernelRun] = []
  /// Copies that ended.
  public var copies: [CopyRun] = []
  /// Markers reached, in order.
  public var reached: [Reached] = []
  /// Time with at least one kernel, nanoseconds, over all so far.
  public private(set) var gpuBusyNanoseconds: Int64 = 0
  private var busyUntil: Int64 = .min

  /// An idle device.
  ///
  /// - Parameter dispatchGapNanoseconds: between the end of a kernel and the start of the next on its stream when that was queued in time; 1 us was measured
  ///     for short kernels launched one by one.
  public init(streams: Int, dispatchGapNanoseconds: Double = 1000) {
    self.streams = [Stream](repeating: Stream(), count: max(1, streams))
    self.dispatchGap = Int64(saturating: dispatchGapNanoseconds.rounded())
  }

  /// A batch's kernels; the number is what `launch` takes.
  public mutating func register(_ kernels: [KernelTiming]) -> Int32 {
    tables.append(kernels)
    return Int32(truncatingIfNeeded: tables.count - 1)
  }

  /// Queues kernels on a stream.
  ///
  /// - Parameters:
  ///   - ready: when the first launch reaches the device; the k-th follows `k * spacing` later.
  ///   - after: a marker of another stream that must have been reached (cudaStreamWaitEvent); negative for none.
  public mutating func launch(_ table: Int32, tag: Int32, stream: Int, ready: Instant, spacing: TimeSpan, after: Int32 = -1) {
    guard tables.indices.contains(Int(table)), !tables[Int(table)].isEmpty else { return }
    streams[stream].items.append(
      .burst(tag: tag, timings: table, ready: ready.nanoseconds, spacing: spacing.nanoseconds, after: after))
    pendingItems += 1
    quietUntil = .min
  }

  /// Queues a copy on a stream.
  public mutating func copy(tag: Int32, isUpload: Bool, lasting: TimeSpan, stream: Int, ready: Instant) {
    streams[stream].items.append(
      .copy(tag: tag, isUpload: isUpload, nanoseconds: max(1, lasting.nanoseconds), ready: ready.nanoseconds))
    pendingItems += 1
    quietUntil = .min
  }

  /// Queues an event (cudaEventRecord): it is reached when everything before it on the stream is done.
  public mutating func mark(_ tag: Int32, stream: Int, ready: Instant) {
    streams[stream].items.append(.marker(tag: tag, ready: ready.nanoseconds))
    pendingItems += 1
    quietUntil = .min
  }

  /// Whether anything is queued or running.
  public var isIdle: Bool { pendingItems == 0 && active.isEmpty && copying.isEmpty }
  /// Streams it has.
  public var streamCount: Int { streams.count }

  /// Lets time pass until `horizon`, or until a marker is reached: hosts act on those, and what they queue may matter to what follows.
  ///
  /// Call it before queueing anything at a later time. With one stream nothing can overtake anything, so that everything queued is worked
  /// off at once, past the horizon too; a marker's time then lies ahead.
  public mutating func advance(to horizon: Instant) {
    if pendingItems == 0 && active.isEmpty && copying.isEmpty { return }
    if streams.count == 1 { return runAlone() }
    let end = horizon.nanoseconds
    while end >= quietUntil {
      passMarkers()
      if !reached.isEmpty { return }
      startReady()
      guard let next = nextChange() else { return quietUntil = .max }
      if next > end { return quietUntil = next }
      step(to: next)
    }
  }

  // MARK: - One stream alone

  private mutating func runAlone() {
    var free = streams[0].freeAt
    var lastWasKernel = streams[0].lastWasKernel
    while let item = streams[0].items.popFirst() {
      pendingItems -= 1
      switch item {
      case .marker(let tag, let ready): reached.append(Reached(tag: tag, time: max(free, ready)))
      case .copy(let tag, let isUpload, let nanoseconds, let ready):
        let start = max(ready, free)
        free = start + nanoseconds
        lastWasKernel = false
        copies.append(CopyRun(tag: tag, isUpload: isUpload, start: start, end: free, stream: 0))
      case .burst(let tag, let table, let ready, let spacing, _):
        tables[Int(table)].withUnsafeBufferPointer { timings in
          var arrived = ready
          for kernel in 0..<timings.count {
            let start = max(arrived, lastWasKernel ? free + dispatchGap : free)
            free = start + Int64(saturating: timings[kernel].nanoseconds.rounded())
            kernels.append(KernelRun(burst: tag, kernel: Int32(truncatingIfNeeded: kernel), start: start, end: free, stream: 0))
            gpuBusyNanoseconds += free - start
            lastWasKernel = true
            arrived += spacing
          }
        }
      }
    }
    streams[0].freeAt = free
    streams[0].lastWasKernel = lastWasKernel
  }

  private mutating func finishKernels(_ stream: Int, upTo kernel: Int, table: Int32) {
    if kernel >= tables[Int(table)].count {
      streams[stream].items.removeFirst()
      streams[stream].nextKernel = 0
      pendingItems -= 1
    } else {
      streams[stream].nextKernel = kernel
    }
  }

  // MARK: - Several streams

  /// Markers at the heads of streams whose work before them is done.
  private mutating func passMarkers() {
    for index in streams.indices where !streams[index].running {
      while case .marker(let tag, let ready)? = streams[index].items.first, max(streams[index].freeAt, ready) <= now {
        streams[index].items.removeFirst()
        pendingItems -= 1
        reached.append(Reached(tag: tag, time: max(streams[index].freeAt, ready)))
        reachedMarkers.insert(tag)
      }
    }
  }

  /// Forgets a marker no burst will wait for any more.
  public mutating func forget(_ tag: Int32) { reachedMarkers.remove(tag) }

  /// When the head of a stream could start, as far as the stream itself is concerned; nil when it has to wait for another one.
  private func readiness(_ stream: Int) -> Int64? {
    guard !streams[stream].running, let item = streams[stream].items.first else { return nil }
    let free = streams[stream].freeAt
    switch item {
    case .burst(_, _, let ready, let spacing, let after):
      if after >= 0, !reachedMarkers.contains(after) { return nil }
      let arrived = ready + Int64(streams[stream].nextKernel) * spacing
      return max(arrived, streams[stream].lastWasKernel ? free + dispatchGap : free)
    case .copy(_, _, _, let ready): return max(ready, free)
    case .marker(_, let ready): return max(free, ready)
    }
  }

  /// Share of the slots nobody holds.
  private var freeSlots: Double {
    var free = 1.0
    for kernel in active { free -= min(free, need(kernel)) }
    return free
  }

  private func need(_ kernel: Active) -> Double {
    kernel.left > kernel.timing.nanoseconds * (1 - kernel.timing.bodyShare) ? kernel.timing.need : kernel.timing.tailNeed
  }

  /// Smallest share of the slots worth starting in: one block on one of some hundred SMs.
  private static let smallestShare = 1.0 / 256

  private mutating func startReady() {
    while true {
      var best: (stream: Int, time: Int64)?
      for index in streams.indices {
        guard let time = readiness(index), time <= now, time < best?.time ?? .max else { continue }
        if canStart(index) { best = (index, time) }
      }
      guard let best else { return }
      start(best.stream)
    }
  }

  private func canStart(_ stream: Int) -> Bool {
    switch streams[stream].items.first {
    case .burst: return active.isEmpty || freeSlots > Self.smallestShare
    case .copy(_, let isUpload, _, _): return !copying.contains { $0.isUpload == isUpload }
    case .marker, nil: return false
    }
  }

  private mutating func start(_ stream: Int) {
    switch streams[stream].items.first {
    case .burst(let tag, let table, _, _, _):
      let kernel = streams[stream].nextKernel
      let timing = tables[Int(table)][kernel]
      active.append(Active(stream: stream, tag: tag, kernel: kernel, timing: timing, start: now, left: timing.nanoseconds))
      streams[stream].running = true
    case .copy(let tag, let isUpload, let nanoseconds, _):
      copying.append((stream, tag, isUpload, now, now + nanoseconds))
      streams[stream].running = true
    case .marker, nil: break
    }
  }

  /// How fast each active kernel runs, 0...1: slots in order of start, then all together within the bandwidth.
  private mutating func refreshRates() {
    var free = 1.0
    var bandwidth = 0.0
    rates.removeAll(keepingCapacity: true)
    for kernel in active {
      let need = need(kernel)
      let granted = min(need, free)
      free -= granted
      let rate = need > 0 ? granted / need : 1
      rates.append(rate)
      bandwidth += rate * kernel.timing.bandwidth
    }
    if bandwidth > 1 { for index in rates.indices { rates[index] /= bandwidth } }
  }

  /// The next instant at which something ends, changes its need, or may start.
  private mutating func nextChange() -> Int64? {
    var next: Int64?
    let now = now
    func consider(_ time: Int64) { next = min(next ?? .max, max(time, now)) }
    refreshRates()
    for index in active.indices where rates[index] > 0 {
      let (kernel, rate) = (active[index], rates[index])
      let tail = kernel.timing.nanoseconds * (1 - kernel.timing.bodyShare)
      let untilChange = kernel.left > tail && tail > 0 ? kernel.left - tail : kernel.left
      consider(now + max(1, Int64(saturating: (untilChange / rate).rounded(.up))))
    }
    for copy in copying { consider(copy.end) }
    for index in streams.indices {
      guard let time = readiness(index) else { continue }
      if time > now { consider(time) }
    }
    return next
  }

  private mutating func step(to time: Int64) {
    let passed = Double(time - now)
    if !active.isEmpty {
      gpuBusyNanoseconds += time - max(now, min(busyUntil, time))
      busyUntil = max(busyUntil, time)
    }
    for index in active.indices { active[index].left -= passed * rates[index] }
    now = time
    var index = 0
    while index < active.count {
      guard active[index].left <= 0.5 else {
        index += 1
        continue
      }
      let kernel = active.remove(at: index)
      kernels.append(
        KernelRun(
          burst: kernel.tag, kernel: Int32(truncatingIfNeeded: kernel.kernel), start: kernel.start, end: time,
          stream: Int32(truncatingIfNeeded: kernel.stream)))
      streams[kernel.stream].running = false
      streams[kernel.stream].freeAt = time
      streams[kernel.stream].lastWasKernel = true
      if case .burst(_, let table, _, _, _)? = streams[kernel.stream].items.first {
        finishKernels(kernel.stream, upTo: kernel.kernel + 1, table: table)
      }
    }
    index = 0
    while index < copying.count {
      guard copying[index].end <= time else {
        index += 1
        continue
      }
      let copy = copying.remove(at: index)
      copies.append(
        CopyRun(tag: copy.tag, isUpload: copy.isUpload, start: copy.start, end: copy.end, stream: Int32(truncatingIfNeeded: copy.stream)))
      streams[copy.stream].running = false
      streams[copy.stream].freeAt = time
      streams[copy.stream].lastWasKernel = false
      streams[copy.stream].items.removeFirst()
      pendingItems -= 1
    }
  }
}
