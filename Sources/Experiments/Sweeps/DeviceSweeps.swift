import CheckedNumbers
import DeviceModel
import Diagnosis
import Execution
public import GPUModel
import Glibc
import HostModel
import ModelGraph
import Planning
import Synchronization
import Threads
import TimeBase

/// What a suite's models are.
public struct SuiteModel: Sendable, Hashable {
  /// Layers of the heads.
  public var layers = 20
  /// Width of the heads.
  public var hidden = 1024
  /// Rows of the largest batch.
  public var largestRows = 1024
  /// What times are planned for beforehand; nil: nothing is.
  public var gpu: GPU?

  /// The case study's heads.
  public init() {}
}

/// Sweeps of whole batches on a device in this process: no server, no requests, nothing in between.
struct DeviceSweeps {
  let device: any Device
  let model: SuiteModel
  let seconds: Double
  let progress: @Sendable (String) -> Void

  private var isGPU: Bool { device.description.deviceClass != .processor }
  private func plan(_ head: BuiltInHead) -> Plan? {
    guard isGPU, let gpu = model.gpu, let graph = try? head.graph() else { return nil }
    let kernels = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    return try? PlanBuilder(model: kernels, type: .fp16, maxRows: model.largestRows).plan(graph)
  }

  /// A batch as planned: kernels and the gaps between them, nothing of copies.
  private func predicted(_ plan: Plan?, rows: Int, graph: Bool = false) -> Double? {
    plan.flatMap { try? $0.at(rows: rows) }.map { $0.elapsedNanoseconds(graph ? .graph : .eager, host: .h200Native) / 1e6 }
  }

  private func report(_ name: String) -> (Double) -> Void {
    { share in progress("\(name): \(Int(saturating: share * 100)) %") }
  }

  private func load(_ graph: Graph, rows: Int? = nil, graphs: Bool = false) throws(ExperimentError) -> BatchLoop {
    try BatchLoop(BatchLoop.load(graph, on: device, largestRows: rows ?? model.largestRows, graphs: graphs))
  }

  private func load(_ head: BuiltInHead, rows: Int? = nil, graphs: Bool = false) throws(ExperimentError) -> BatchLoop {
    let graph: Graph
    do throws(GraphError) { graph = try head.graph() } catch { throw ExperimentError("\(head.name): \(error)") }
    return try load(graph, rows: rows, graphs: graphs)
  }

  private var linear: BuiltInHead { .linear(layers: model.layers, hidden: model.hidden) }

  private static func batches(_ loop: BatchLoop, rows: Int, count: Int = 3) -> () throws(ExperimentError) -> [Double] {
    { () throws(ExperimentError) in
      var times: [Double] = []
      for _ in 0..<count { times.append(try loop.batch(rows: rows)) }
      return times
    }
  }

  /// 1 to the largest, powers of two and one more than each from 16 on: edges of tiles and waves lie behind round numbers.
  static func batchSizes(largest: Int) -> [Int] {
    var sizes: Set<Int> = [max(1, largest)]
    var size = 1
    while size <= largest {
      sizes.insert(size)
      if size >= 16, size + 1 <= largest { sizes.insert(size + 1) }
      size *= 2
    }
    return sizes.sorted()
  }

  func batch() throws(ExperimentError) -> SuiteResult {
    let loop = try load(linear)
    defer { loop.close() }
    let plan = plan(linear)
    var sweep = Sweep()
    for rows in Self.batchSizes(largest: model.largestRows) {
      sweep.settings.append(
        .init(
          point: SweepPoint(
            rows == 1 ? "1 row" : "\(rows) rows", "LinearHead, batches back to back", rows: rows,
            predictedMilliseconds: predicted(plan, rows: rows)),
          run: Self.batches(loop, rows: rows)))
    }
    let points = try sweep.measure(seconds: seconds, progress: report("batch"))
    return result(
      "batch", "What does a batch cost by its rows: where is a row cheapest, and where are edges?", points, SweepVerdicts.batch(points),
      change: "max_batch_size and preferred sizes at the cheapest rows below an edge")
  }

  func graphs() throws(ExperimentError) -> SuiteResult {
    guard isGPU else { throw ExperimentError("suite graphs: CUDA graphs are a GPU's; there is none on a processor") }
    let (off, on) = (try load(linear), try load(linear, graphs: true))
    defer {
      off.close()
      on.close()
    }
    let plan = plan(linear)
    var sweep = Sweep()
    let sizes = Set([1, 8, 64, 256].map { min($0, model.largestRows) }).sorted()
    for rows in sizes {
      for (name, loop, isGraph) in [("no graph", off, false), ("graph", on, true)] {
        sweep.settings.append(
          .init(
            point: SweepPoint(
              "\(rows) \(rows == 1 ? "row" : "rows"), \(name)", "LinearHead, batches back to back", rows: rows,
              predictedMilliseconds: predicted(plan, rows: rows, graph: isGraph)),
            run: Self.batches(loop, rows: rows)))
      }
    }
    let points = try sweep.measure(seconds: seconds, progress: report("graphs"))
    let pairs = stride(from: 0, to: points.count - 1, by: 2).map { (off: points[$0], on: points[$0 + 1]) }
    return result(
      "graphs", "Do launches limit: what does one CUDA graph per batch save?", points,
      SweepVerdicts.graphs(pairs) + ["persistent kernels are not among what is compared: the device has none"],
      change: "optimization { cuda { graphs: true } } in config.pbtxt where launches limit")
  }

  func instances() throws(ExperimentError) -> SuiteResult {
    let model = try BatchLoop.load(
      try graph(linear), on: device, largestRows: self.model.largestRows)
    let rows = min(32, self.model.largestRows)
    var points: [(count: Int, point: SweepPoint)] = []
    let counts = [1, 2, 4, 8]
    var random = SplitMix64(seed: 1)
    let passes = 2
    var byCount: [Int: SweepPoint] = [:]
    for pass in 0..<passes {
      for place in Sweep.order(counts.count, &random) {
        let count = counts[place]
        progress("instances: \(count), pass \(pass + 1) of \(passes)")
        var loops: [BatchLoop] = []
        for _ in 0..<count { loops.append(try BatchLoop(model)) }
        defer { for loop in loops { loop.close() } }
        let outcome = try Self.together(loops, rows: rows, seconds: seconds / Double(counts.count * passes))
        let name = count == 1 ? "1 instance" : "\(count) instances"
        var point = byCount[count] ?? SweepPoint(name, "LinearHead, \(rows) rows, each instance on its own thread", rows: rows)
        point.milliseconds += outcome.milliseconds
        point.rowsPerSecond = (point.rowsPerSecond ?? 0) + outcome.rowsPerSecond / Double(passes)
        byCount[count] = point
      }
    }
    for count in counts { if let point = byCount[count] { points.append((count, point)) } }
    return result(
      "instances", "Do more instances fill gaps, or only share the device?", points.map(\.point), SweepVerdicts.instances(points),
      change: "instance_group count at the smallest number that passes as much")
  }

  private func graph(_ head: BuiltInHead) throws(ExperimentError) -> Graph {
    do throws(GraphError) { return try head.graph() } catch { throw ExperimentError("\(head.name): \(error)") }
  }

  func sequence() throws(ExperimentError) -> SuiteResult {
    let rows = max(1, min(8, model.largestRows))
    var sweep = Sweep()
    var loops: [BatchLoop] = []
    defer { for loop in loops { loop.close() } }
    let lengths = [1, 2, 8, 32, 128].filter { $0 == 1 || $0 * rows <= max(model.largestRows, 8) }
    let linearHead = BuiltInHead.linear(layers: max(1, model.layers - 1), hidden: model.hidden)
    let distinct = try load(linearHead, rows: rows * (lengths.last ?? 1))
    loops.append(distinct)
    for length in lengths {
      let head = BuiltInHead.seqlen(layers: max(2, model.layers), hidden: model.hidden, sequence: length)
      let graph = try graph(head)
      let once: Graph
      do throws(GraphError) { once = try SinkBroadcast.apply(graph) } catch { throw ExperimentError("\(head.name): \(error)") }
      let (copied, lean) = (try load(graph, rows: rows), try load(once, rows: rows))
      loops += [copied, lean]
      let plan = plan(head)
      sweep.settings += [
        .init(
          point: SweepPoint(
            "S = \(length), copies", "SeqLenHead, \(rows) rows", rows: rows, predictedMilliseconds: predicted(plan, rows: rows)),
          run: Self.batches(copied, rows: rows)),
        .init(
          point: SweepPoint("S = \(length), distinct", "LinearHead, \(rows * length) rows: the same products on distinct rows", rows: rows),
          run: Self.batches(distinct, rows: rows * length)),
        .init(
          point: SweepPoint("S = \(length), computed once", "SeqLenHead after sink-broadcast, \(rows) rows", rows: rows),
          run: Self.batches(lean, rows: rows)),
      ]
    }
    let points = try sweep.measure(seconds: seconds, progress: report("seq"))
    let byLength = lengths.indices.map { index in
      (length: lengths[index], copies: points[3 * index], distinct: SweepPoint?.some(points[3 * index + 1]), once: points[3 * index + 2])
    }
    return result(
      "seq", "How much of a sequence head's time goes into copies of one token?", points, SweepVerdicts.sequence(byLength),
      change: "the model: one token through the layers, expanded where it is read")
  }

  func residency() throws(ExperimentError) -> SuiteResult {
    let rows = min(32, model.largestRows)
    let (own, other) = (try load(linear, rows: rows), try load(linear, rows: rows))
    // One layer: its time is its copies.
    let copying = try load(.linear(layers: 1, hidden: model.hidden), rows: model.largestRows)
    defer { for loop in [own, other, copying] { loop.close() } }
    var sweep = Sweep()
    let what = "LinearHead, \(rows) \(rows == 1 ? "row" : "rows")"
    sweep.settings.append(.init(point: SweepPoint("back to back", what, rows: rows), run: Self.batches(own, rows: rows)))
    for idle in [100, 1000, 10_000] {
      let name = idle < 1000 ? "0.1 ms idle" : "\(idle / 1000) ms idle"
      sweep.settings.append(
        .init(point: SweepPoint(name, what, rows: rows)) { () throws(ExperimentError) in
          var times: [Double] = []
          for _ in 0..<3 {
            MonotonicClock.sleep(until: MonotonicClock.now + .microseconds(Int64(idle)))
            times.append(try own.batch(rows: rows))
          }
          return times
        })
    }
    sweep.settings.append(
      .init(point: SweepPoint("another model in between", what, rows: rows)) { () throws(ExperimentError) in
        var times: [Double] = []
        for _ in 0..<3 {
          _ = try other.batch(rows: rows)
          times.append(try own.batch(rows: rows))
        }
        return times
      })
    let largest = model.largestRows
    sweep.settings.append(
      .init(point: SweepPoint("another model's copies meanwhile", what, rows: rows)) { () throws(ExperimentError) in
        try Self.beside(copying, rows: largest) { () throws(ExperimentError) in try Self.batches(own, rows: rows)() }
      })
    let points = try sweep.measure(seconds: seconds, progress: report("residency"))
    return result(
      "residency", "Does a batch cost more when the device was idle, or did something else?", points,
      SweepVerdicts.residency(points[0], idle: Array(points[1...3]), disturbed: Array(points[4...])),
      change: "models that share a device: fewer of them, or batches of one kind in a row")
  }

  /// Instances at a time, each on a thread of its own, back to back.
  private static func together(_ loops: [BatchLoop], rows: Int, seconds: Double) throws(ExperimentError) -> (
    milliseconds: [Double], rowsPerSecond: Double
  ) {
    let state = Mutex<(times: [Double], failure: ExperimentError?, running: Int)>(([], nil, loops.count))
    let done = Monitor()
    for loop in loops { _ = try loop.batch(rows: rows) }
    let start = MonotonicClock.now
    let end = start + TimeSpan(clampingSeconds: max(0.02, seconds))
    for loop in loops {
      let hasStarted = DetachedThread.start(named: "instance") {
        var times: [Double] = []
        var failure: ExperimentError?
        do throws(ExperimentError) {
          repeat { times.append(try loop.batch(rows: rows)) } while MonotonicClock.now < end && times.count < 1_000_000
        } catch { failure = error }
        done.lock()
        state.withLock { state in
          state.times += times
          state.failure = state.failure ?? failure
          state.running -= 1
        }
        done.unlock()
        done.broadcast()
      }
      if !hasStarted { state.withLock { $0.running -= 1 } }
    }
    done.lock()
    while state.withLock({ $0.running }) > 0 { done.wait() }
    done.unlock()
    let length = (MonotonicClock.now - start).seconds
    let (times, failure) = state.withLock { ($0.times, $0.failure) }
    if let failure { throw failure }
    return (times, Double(times.count * rows) / max(1e-9, length))
  }

  /// `work` while another model's batches run on a thread of their own.
  private static func beside(
    _ loop: BatchLoop, rows: Int, _ work: () throws(ExperimentError) -> [Double]
  ) throws(ExperimentError) -> [Double] {
    let flags = BesideFlags()
    let hasStarted = DetachedThread.start(named: "copies") {
      while !flags.isEnding { if (try? loop.batch(rows: rows)) == nil { break } }
      flags.end()
    }
    defer { if hasStarted { flags.stop() } }
    return try work()
  }

  private func result(
    _ name: String, _ question: String, _ points: [SweepPoint], _ verdict: [Sentence], change: String
  ) -> SuiteResult {
    var verdict = verdict
    if let line = SweepVerdicts.prediction(points) { verdict.append(line) }
    var result = SuiteResult(name: name, question: question, rows: points.map { SuiteResult.Row($0) }, verdict: verdict, change: change)
    result.device = device.description.hardware
    return result
  }
}

/// Tells a thread to end, and waits until it has.
private final class BesideFlags: Sendable {
  private let state = Mutex((isEnding: false, hasEnded: false))
  private let changed = Monitor()

  var isEnding: Bool { state.withLock { $0.isEnding } }

  func end() {
    changed.lock()
    state.withLock { $0.hasEnded = true }
    changed.unlock()
    changed.broadcast()
  }

  func stop() {
    state.withLock { $0.isEnding = true }
    changed.lock()
    while !state.withLock({ $0.hasEnded }) { changed.wait() }
    changed.unlock()
  }
}
