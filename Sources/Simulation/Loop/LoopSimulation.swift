import CheckedNumbers
import DeviceModel
import HostModel
import Planning
import TimeBase

/// Runs loops in virtual time: one host thread, whose calls' times are the profile's, and the GPU as a machine.
public enum LoopSimulation {
  /// Runs a loop.
  ///
  /// - Parameters:
  ///   - steps: steps that count.
  ///   - warmUp: steps before them.
  ///   - bytesPerNanosecond: the device memory's bandwidth.
  public static func run(_ loop: DeviceLoop, steps: Int, warmUp: Int = 3, bytesPerNanosecond: Double) -> DeviceLoopResult {
    var runner = Runner(loop, bytesPerNanosecond: bytesPerNanosecond)
    for _ in 0..<max(0, warmUp) { runner.step() }
    runner.beginWindow()
    for _ in 0..<max(1, steps) { runner.step() }
    return runner.result(steps: max(1, steps))
  }

  private struct Runner {
    let loop: DeviceLoop
    let profile: HostProfile
    var machine: GPUMachine
    /// The host thread's time, nanoseconds.
    var now = 0.0
    var nextStart = 0.0
    var tables: [Int32?]
    var launches: [[Launch]] = []
    var markers: Int32 = 0
    var windowStart = 0.0
    var uploaded = 0.0
    var downloaded = 0.0

    init(_ loop: DeviceLoop, bytesPerNanosecond: Double) {
      self.loop = loop
      profile = loop.host
      let isGraph = loop.work.contains { if case .graph = $0 { true } else { false } }
      let gap: HostCost = !isGraph ? .kernelGap : loop.usesDependentLaunch ? .dependentKernelGap : .graphKernelGap
      machine = GPUMachine(streams: loop.streams, dispatchGapNanoseconds: loop.host[gap].value * 1e3)
      tables = []
      for work in loop.work {
        switch work {
        case .kernels(let list, _, _), .graph(let list, _):
          tables.append(list.isEmpty ? nil : machine.register(list.map { KernelTiming($0, bytesPerNanosecond: bytesPerNanosecond) }))
          launches.append(list)
        default:
          tables.append(nil)
          launches.append([])
        }
      }
    }

    func nanoseconds(_ cost: HostCost) -> Double { profile[cost].value * 1e3 }
    func instant(_ value: Double) -> Instant { Instant(nanoseconds: Int64(saturating: value.rounded())) }

    mutating func step() {
      if let period = loop.period {
        now = max(now, nextStart)
        nextStart = max(nextStart, now - Double(period.nanoseconds)) + Double(period.nanoseconds)
      }
      let profiled = loop.isProfiled ? nanoseconds(.profilerPerLaunch) : 0
      let operation = nanoseconds(.operation)
      let launch = nanoseconds(.launch) + profiled
      for (index, work) in loop.work.enumerated() {
        switch work {
        case .host(let microseconds): now += microseconds * 1e3
        case .kernels(let list, let perOperator, let stream):
          guard let table = tables[index] else { continue }
          let each = operation / Double(max(1, perOperator)) + launch
          // The first launch arrives after its operator, its call and the way to the device; the others follow at the thread's pace.
          machine.launch(
            table, tag: Int32(truncatingIfNeeded: index), stream: stream,
            ready: instant(now + operation + launch + nanoseconds(.launchLatency)),
            spacing: TimeSpan(nanoseconds: Int64(saturating: each.rounded())))
          now += Double(list.count) * each
        case .graph(_, let stream):
          guard let table = tables[index] else { continue }
          now += nanoseconds(.graphLaunch) + (loop.isProfiled ? nanoseconds(.profilerPerGraphLaunch) : 0)
          machine.launch(
            table, tag: Int32(truncatingIfNeeded: index), stream: stream, ready: instant(now + nanoseconds(.graphLatency)), spacing: .zero)
        case .upload(let bytes, let isPinned, let stream):
          now += operation + launch
          copy(bytes, isUpload: true, isPinned: isPinned, stream)
          if !isPinned { wait([stream], wakeUp: .spinWakeUp) }
        case .download(let bytes, let stream):
          now += operation + launch
          copy(bytes, isUpload: false, isPinned: false, stream)
          wait([stream], wakeUp: .spinWakeUp)
        case .synchronize: wait(Array(0..<loop.streams), wakeUp: .spinWakeUp)
        }
      }
    }

    private mutating func copy(_ bytes: Double, isUpload: Bool, isPinned: Bool, _ stream: Int) {
      let microseconds = profile.copyMicroseconds(CopyKind(isUpload: isUpload, isPinned: isPinned), bytes: bytes)
      machine.copy(
        tag: -1, isUpload: isUpload, lasting: TimeSpan(nanoseconds: Int64(saturating: (microseconds * 1e3).rounded())), stream: stream,
        ready: instant(now))
      if isUpload { uploaded += bytes } else { downloaded += bytes }
    }

    /// The thread waits until everything on these streams is done, and for its own waking up.
    private mutating func wait(_ streams: [Int], wakeUp: HostCost) {
      var open: Set<Int32> = []
      for stream in streams {
        markers = markers &+ 1
        machine.mark(markers, stream: stream, ready: instant(now))
        open.insert(markers)
      }
      var latest = now
      while !open.isEmpty {
        machine.advance(to: Instant(nanoseconds: .max / 4))
        if machine.reached.isEmpty { break }
        for reached in machine.reached {
          open.remove(reached.tag)
          machine.forget(reached.tag)
          latest = max(latest, Double(reached.time))
        }
        machine.reached.removeAll(keepingCapacity: true)
      }
      now = latest + nanoseconds(wakeUp)
    }

    mutating func beginWindow() {
      windowStart = loop.period == nil ? now : max(now, nextStart)
      uploaded = 0
      downloaded = 0
    }

    mutating func result(steps: Int) -> DeviceLoopResult {
      let end = loop.period == nil ? now : max(now, nextStart)
      // What nobody waits for is worked off too.
      wait(Array(0..<loop.streams), wakeUp: .spinWakeUp)
      let (from, to) = (Int64(saturating: windowStart), Int64(saturating: end))
      let kernels = machine.kernels.filter { $0.start >= from && $0.start < to }.map {
        let isGraph = if case .graph = loop.work[Int($0.burst)] { true } else { false }
        return DeviceLoopResult.Kernel(
          start: $0.start, end: $0.end, launch: launches[Int($0.burst)][Int($0.kernel)], followsInGraph: isGraph && $0.kernel > 0)
      }.sorted { $0.start < $1.start }
      return DeviceLoopResult(
        steps: steps, span: TimeSpan(nanoseconds: max(1, to - from)), kernels: kernels,
        copies: machine.copies.filter { $0.start >= from && $0.start < to }.map { ($0.start, $0.end) }, uploadedBytes: uploaded,
        downloadedBytes: downloaded)
    }
  }
}
