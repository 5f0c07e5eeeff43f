import CheckedNumbers

/// A change to a recorded program that a replay can apply.
public enum ReplayEdit: Sendable, Hashable {
  /// Each run of launches that nothing interrupts becomes one graph launch.
  case cudaGraphs
  /// Scalars read back one by one (`.item()`, `bool(tensor)`) stay on the device: their copies and the waits for them go.
  case withoutScalarReads
  /// Synchronize calls that waited return at once.
  case withoutSynchronization
  /// Copies from and to pageable memory run at the rate of pinned ones, bytes per second, and do not block their thread.
  case pinnedCopies(bytesPerSecond: Double)
  /// What the device takes between two queued kernels falls to what it takes inside a graph.
  case shorterDispatch
  /// Element-wise, normalization and layout kernels vanish: the most that fusing them can bring.
  case withoutElementwiseKernels
  /// Products run at a clock so many times as high: what waits for memory keeps its time.
  case largerClock(ratio: Double)
  /// Runs that took over twice their kernel's fast mode take that.
  case fastMode
}

extension ReplayGraph {
  /// A scalar: nobody reads a batch's results in so few bytes.
  static let largestScalarBytes: Int64 = 64
  /// Launch of a graph: 5.9 us for 20 nodes, C++ loop on an H200; a node more costs less than 0.1.
  static let graphLaunchNanoseconds: Int64 = 5_900
  static let graphNodeNanoseconds: Int64 = 60
  /// From the graph launch's start to the first node's: launch call and latency (period of a 20-node launch 12.1 us, nodes 0.6 each).
  static let graphLatencyNanoseconds: Int64 = 9_000

  /// The graph with a change made, and how often it applied; nil where there is nothing to change.
  public func edited(_ edit: ReplayEdit) -> (graph: ReplayGraph, places: Int)? {
    var copy = self
    let places: Int
    switch edit {
    case .cudaGraphs: places = copy.captureGraphs()
    case .withoutScalarReads: places = copy.removeScalarReads()
    case .withoutSynchronization:
      var count = 0
      for index in copy.calls.indices where copy.calls[index].kind == .synchronize && copy.calls[index].wait != .none {
        copy.calls[index].wait = .none
        copy.calls[index].duration = min(copy.calls[index].duration, 1_000)
        count += 1
      }
      places = count
    case .pinnedCopies(let rate): places = copy.pinCopies(rate)
    case .shorterDispatch:
      var count = 0
      for index in copy.work.indices where copy.work[index].isKernel && copy.work[index].afterStream > Self.graphGap {
        guard copy.work[index].afterStream <= IdleTime.longestDispatch else { continue }
        copy.work[index].afterStream = Self.graphGap
        count += 1
      }
      places = count
    case .largerClock(let ratio): places = copy.raiseClock(ratio)
    case .fastMode: places = copy.restoreFastMode()
    case .withoutElementwiseKernels:
      var count = 0
      for index in copy.work.indices where copy.work[index].isKernel && copy.work[index].role.isElementwise {
        copy.work[index].duration = 0
        count += 1
      }
      places = count
    }
    return places > 0 ? (copy, places) : nil
  }

  /// Shortens products by the clocks' ratio.
  private mutating func raiseClock(_ ratio: Double) -> Int {
    guard ratio > 1, ratio.isFinite else { return 0 }
    var count = 0
    for index in work.indices
    where work[index].isKernel && (work[index].role.isProduct || work[index].role == .attention) {
      work[index].duration = Int64(saturating: Double(work[index].duration) / ratio)
      count += 1
    }
    return count
  }

  /// Gives slow runs of a kernel the duration that a tenth of its runs stay below.
  private mutating func restoreFastMode() -> Int {
    var durations: [Int32: [Int64]] = [:]
    for item in work where item.isKernel { durations[item.description, default: []].append(item.duration) }
    let fast = durations.mapValues { values in
      let sorted = values.sorted()
      return sorted[sorted.count / 10]
    }
    var count = 0
    for index in work.indices where work[index].isKernel {
      guard let usual = fast[work[index].description], work[index].duration > 2 * usual else { continue }
      work[index].duration = usual
      count += 1
    }
    return count
  }

  /// What is left when a call goes: its host time before it, too, as that was spent on making it.
  private mutating func remove(_ index: Int) {
    calls[index].isRemoved = true
    for item in Int(calls[index].first)..<Int(calls[index].first) + Int(calls[index].count) { work[item].isRemoved = true }
  }

  private mutating func removeScalarReads() -> Int {
    var count = 0
    // By thread: the copy of a scalar and the synchronization after it.
    var pending: [Int32: Bool] = [:]
    for index in calls.indices {
      let call = calls[index]
      if call.kind == .copy, call.direction == 2, call.bytes > 0, call.bytes <= Self.largestScalarBytes {
        remove(index)
        pending[call.thread] = true
        count += 1
      } else if call.kind == .synchronize, pending[call.thread] == true {
        calls[index].isRemoved = true
        pending[call.thread] = false
      } else if call.kind != .other {
        pending[call.thread] = false
      }
    }
    return count
  }

  private mutating func pinCopies(_ rate: Double) -> Int {
    guard rate > 0 else { return 0 }
    var count = 0
    for index in calls.indices where calls[index].kind == .copy && calls[index].isPageable && calls[index].bytes > 0 {
      let call = calls[index]
      let recorded = call.count > 0 ? work[Int(call.first)].duration : 0
      let duration = Int64(saturating: (Double(call.bytes) / rate * 1e9).rounded(.up)).addingSaturated(1_500)
      for item in Int(call.first)..<Int(call.first) + Int(call.count) where duration < work[item].duration {
        work[item].duration = duration
        count += 1
      }
      // To the device the call returns at once; from the device somebody needs the bytes, and the wait stays.
      // A call that lasted about as long as its copy waited for most of it.
      if call.direction == 1, call.wait == .own || call.duration > recorded / 2 {
        calls[index].wait = .none
        calls[index].duration = min(call.duration, 5_000)
      }
    }
    return count
  }

  /// Merges each thread's runs of launches, three or more, into graph launches.
  private mutating func captureGraphs() -> Int {
    var runs: [Int32: [Int]] = [:]
    var graphs = 0
    func isCapturable(_ call: Call) -> Bool {
      switch call.kind {
      case .launch: true
      case .fill, .copy: call.wait == .none && call.direction != 1 && call.direction != 2
      case .memoryManagement, .moduleLoad, .synchronize, .graphLaunch: false
      case .other: true
      }
    }
    var newWork: [[Int]] = []
    var owners: [Int] = []
    func close(_ thread: Int32) {
      guard let run = runs[thread] else { return }
      runs[thread] = []
      let launches = run.filter { calls[$0].kind == .launch || calls[$0].count > 0 }
      guard launches.count >= 3, let first = launches.first else { return }
      owners.append(first)
      newWork.append(launches)
      graphs += 1
    }
    for index in calls.indices {
      let call = calls[index]
      if isCapturable(call) { runs[call.thread, default: []].append(index) } else { close(call.thread) }
    }
    for thread in runs.keys.sorted() { close(thread) }
    // The work array is laid out by call: a graph's work is rebuilt at its end.
    for (owner, launches) in zip(owners, newWork) {
      let items = launches.flatMap { Array(Int(calls[$0].first)..<Int(calls[$0].first) + Int(calls[$0].count)) }
      let from = work.count
      for (place, item) in items.enumerated() {
        var node = work[item]
        work[item].isRemoved = true
        node.isGraphNode = true
        node.dependency = -1
        node.afterCall = place == 0 ? Self.graphLatencyNanoseconds : 0
        node.afterStream = place == 0 ? Self.queuedGap : Self.graphGap
        work.append(node)
      }
      for launch in launches.dropFirst() {
        calls[launch].isRemoved = true
        calls[launch].count = 0
      }
      // Queries between the launches go with them.
      var index = owner + 1
      let last = launches.last ?? owner
      while index < last {
        if calls[index].thread == calls[owner].thread, calls[index].kind == .other { calls[index].isRemoved = true }
        index += 1
      }
      calls[owner].kind = .graphLaunch
      calls[owner].duration = Self.graphLaunchNanoseconds + Int64(items.count).multipliedSaturated(by: Self.graphNodeNanoseconds)
      calls[owner].first = Int32(clamping: from)
      calls[owner].count = Int32(clamping: items.count)
    }
    return graphs
  }
}
