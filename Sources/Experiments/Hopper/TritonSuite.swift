import CheckedNumbers
import GPUModel
import HostModel
public import JSONText
import ModelGraph
import Planning
import Reporting
import Scheduling
import Simulation
import TimeBase
import Trace
import Workload

/// A real Triton on an H200 (the case study's batching and users, heads as unfused PyTorch graphs behind the Python back end), predicted
/// from model, configuration and a host profile that was fitted on the linear head alone.
public struct TritonSuite: Sendable {
  /// A run, measured or not.
  public struct Run: Sendable {
    /// "linear python".
    public var name: String
    var head: BuiltInHead
    var users: Int
    var rows: Int
    var instances: Int
    var isFastClient: Bool
    /// Whether it was used to choose a parameter.
    public var isInput: Bool
    /// What was read: requests/s, requests per batch, period per batch and compute_infer in us, GPM graphics and SM in %; nil where it was not
    /// run.
    public var measured: [String: Double]?
  }

  /// A run and what came of it.
  public struct Entry: Sendable {
    /// The run.
    public var run: Run
    /// By the names of `figures`.
    public var predicted: [String: Double]
    /// What counters would show.
    public var counters: LoopCounters
    /// Mean client-side latency, ms.
    public var meanMilliseconds: Double
  }

  /// What is compared.
  public static let figures = ["requests/s", "requests/batch", "period us", "compute_infer us", "1001 %", "1002 %"]

  /// What counters show: no input of any run, as the loop's costs were chosen by rates and times alone.
  private static let counterFigures: Set<String> = ["1001 %", "1002 %"]

  /// Whether a figure lies within 10 % of its reading; nil where there is none, or where it was an input.
  static func isHit(_ figure: String, _ entry: Entry) -> Bool? {
    guard let measured = entry.run.measured?[figure], let predicted = entry.predicted[figure] else { return nil }
    guard !entry.run.isInput || counterFigures.contains(figure) else { return nil }
    return abs(predicted / measured - 1) <= 0.1
  }

  /// Figures that lie within 10 % of the reading, of those that were no input and are claimed for linear and seqlen.
  public var score: (hits: Int, claims: Int) {
    let judged = entries.flatMap { entry in Self.figures.compactMap { Self.isHit($0, entry) } }
    return (judged.count { $0 }, judged.count)
  }

  /// In the order of `runs`.
  public var entries: [Entry] = []

  static func reading(_ values: Double...) -> [String: Double] { Dictionary(uniqueKeysWithValues: zip(figures, values)) }

  static let runs: [Run] = [
    Run(
      name: "linear python", head: .linear(), users: 1000, rows: 50, instances: 1, isFastClient: false, isInput: true,
      measured: reading(3316, 5.0, 1506, 877, 9.17, 4.21)),
    Run(
      name: "linear 3,000 u", head: .linear(), users: 3000, rows: 50, instances: 1, isFastClient: true, isInput: true,
      measured: reading(3617, 5.0, 1382, 894, 9.85, 4.56)),
    Run(
      name: "linear 1-row", head: .linear(), users: 1000, rows: 1, instances: 1, isFastClient: true, isInput: true,
      measured: reading(3448, 35.9, 10_405, 2160, 1.31, 0.60)),
    Run(
      name: "seqlen python", head: .seqlen(), users: 1000, rows: 50, instances: 1, isFastClient: false, isInput: false,
      measured: reading(907, 5.0, 5513, 4879, 72.9, 68.6)),
    Run(
      name: "seqlen", head: .seqlen(), users: 1000, rows: 50, instances: 1, isFastClient: true, isInput: false,
      measured: reading(895, 5.0, 5584, 4999, 71.9, 67.7)),
    Run(
      name: "stacked", head: .stacked(), users: 1000, rows: 50, instances: 1, isFastClient: true, isInput: false, measured: nil),
    Run(
      name: "stacked 3,000 u", head: .stacked(), users: 3000, rows: 50, instances: 1, isFastClient: true, isInput: false, measured: nil),
    Run(
      name: "linear 2 inst", head: .linear(), users: 3000, rows: 50, instances: 2, isFastClient: true, isInput: false,
      measured: nil),
    Run(
      name: "stacked 2 inst", head: .stacked(), users: 3000, rows: 50, instances: 2, isFastClient: true, isInput: false,
      measured: nil),
    Run(
      name: "seqlen 2 inst", head: .seqlen(), users: 1000, rows: 50, instances: 2, isFastClient: true, isInput: false,
      measured: nil),
  ]

  /// Runs all, `seconds` of virtual time each.
  public init(seconds: Double = 6) throws(ExperimentError) {
    for run in Self.runs { entries.append(try Self.simulate(run, seconds: seconds)) }
  }

  private static func simulate(_ run: Run, seconds: Double) throws(ExperimentError) -> Entry {
    let gpu = try Experiment.gpu("h200")
    var scheduler = Experiment.caseStudyScheduler
    scheduler.instances = run.instances
    let host: HostProfile = run.isFastClient ? .h200TritonPythonFastClient : .h200TritonPython
    var variant = Variant(
      name: run.name, model: .builtIn(run.head), gpu: gpu, scheduler: scheduler,
      workload: Workload(
        load: .closed(users: run.users, spawnRate: 1000, think: .uniform(.milliseconds(80), .milliseconds(480))), rows: .fixed(run.rows),
        warmUp: .milliseconds(4000), duration: TimeSpan(clampingSeconds: seconds)), host: host)
    variant.fusion = .none
    // A process for each instance, whose loop waits for its own work; one copy of what the back end put together.
    variant.execution.issuing = .perInstance
    variant.execution.usesCUDAGraphs = true
    variant.execution.spins = true
    let plan = try variant.plan()
    let result: SimulationResult
    do {
      guard let done = try Simulation.run(variant.system(plan, seed: 1, keepsTrace: true)) else {
        throw ExperimentError("\(run.name): stopped")
      }
      result = done
    } catch let error as ExperimentError { throw error } catch { throw ExperimentError("\(run.name): \(error)") }
    let batches = Double(max(1, result.batches))
    let perSecond = batches / max(1e-9, result.window.seconds)
    var infer = 0.0
    if let table = result.trace?.batches, table.count > 0 {
      // Triton counts gathering by request and the replay as inference; what stands before it is compute_input.
      for row in 0..<table.count {
        let ownGather = host[.gatherPerRequest].value * 1e3 * Double(table.requests[row])
        infer += Double(table.computeEnd[row] - table.computeStart[row]) + ownGather
      }
      infer /= Double(table.count) * 1e3
    }
    // Counters: the usual batch's kernels at the rate that came out.
    let rows = max(1, Int(saturating: (Double(result.batchRows) / batches).rounded()))
    let launches: [Launch]
    do { launches = try plan.at(rows: rows).issued } catch { throw ExperimentError("\(run.name): \(error)") }
    var loop = DeviceLoop(
      [.upload(bytes: Double(rows) * 4096, isPinned: true), .graph(launches), .synchronize], host: .h200PyTorch,
      period: TimeSpan(clampingSeconds: 1 / perSecond))
    if run.instances > 1 {
      loop = DeviceLoop(
        [.graph(launches, stream: 0), .graph(launches, stream: 1), .synchronize], streams: 2, host: .h200PyTorch,
        period: TimeSpan(clampingSeconds: 2 / perSecond))
    }
    let counters = LoopCounters(LoopSimulation.run(loop, steps: 40, bytesPerNanosecond: gpu.memoryGigabytesPerSecond), on: gpu)
    let values = [
      result.throughput, Double(result.batchRequests) / batches, 1e6 / perSecond, infer, counters.graphicsActive * 100,
      counters.smActive * 100,
    ]
    return Entry(
      run: run, predicted: Dictionary(uniqueKeysWithValues: zip(figures, values)), counters: counters,
      meanMilliseconds: result.meanLatencyMilliseconds ?? 0)
  }

  static let heads = ["run"] + figures + ["GPU-Util %"]

  func rows() -> [[String]] {
    entries.map { entry in
      let range = entry.counters.utilizationRange
      return [entry.run.name + (entry.run.isInput ? " (input)" : "")]
        + Self.figures.map { figure in
          let predicted = NumberText.significant(entry.predicted[figure] ?? 0)
          guard let measured = entry.run.measured?[figure] else { return "- / \(predicted)" }
          return "\(NumberText.significant(measured)) / \(predicted)\(Self.isHit(figure, entry) == false ? " *" : "")"
        } + ["\(NumberText.fixed(range.lowerBound * 100, decimals: 0))-\(NumberText.fixed(range.upperBound * 100, decimals: 0))"]
    }
  }

  /// What a second instance buys, by head.
  public var secondInstance: [(head: String, gain: Double)] {
    func rate(_ name: String) -> Double? { entries.first { $0.run.name == name }?.predicted["requests/s"] }
    return [("linear", "linear 3,000 u"), ("stacked", "stacked 3,000 u"), ("seqlen", "seqlen")].compactMap { head, one in
      let two = "\(head) 2 inst"
      guard let before = rate(one), let after = rate(two), before > 0 else { return nil }
      return (head, after / before - 1)
    }
  }

  /// What the saturated linear run is, from the simulation: the share of its period in which the GPU works.
  public var verdict: String {
    guard let entry = entries.first(where: { $0.run.name == "linear 3,000 u" }) else { return "" }
    let gains = secondInstance.map { "\($0.head) \($0.gain >= 0 ? "+" : "")\(NumberText.percent($0.gain))" }.joined(separator: ", ")
    return
      "linear at 3,000 users: no batch pipelining: the GPU works \(NumberText.percent(entry.counters.gpuBusy)) of the time, and the back end's loop of "
      + "\(NumberText.significant(entry.predicted["period us"] ?? 0)) us per batch sets the rate. A second instance, predicted: \(gains)"
  }

  /// As the command prints it.
  public func lines(width: Int) -> [String] {
    let (hits, claims) = score
    var lines = ["Triton's Python back end, H200: measured / predicted. SIMULATED, no GPU ran."]
    lines += HopperSuite.table(Self.heads, rows(), width: width)
    lines.append("")
    lines += Report.wrap(
      "\(hits) of \(claims) figures within 10 %; * outside. (input): the linear runs' rates and times chose the loop's costs in host profile h200-triton-python. -: not "
        + "measured, predicted only. period: per batch; compute_infer as Triton counts it; 1001, 1002: DCGM / GPM graphics and SM; GPU-Util: range of "
        + "polled values.", width: width, indent: "  ", first: "")
    lines += Report.wrap(verdict, width: width, indent: "  ", first: "")
    lines += Report.wrap(
      "measured with tritonserver 2.51, the case study's dynamic_batching block, think time 80 to 480 ms, windows of 9 s, 2026-11",
      width: width,
      indent: "  ", first: "")
    return lines
  }

  /// As Markdown.
  public var markdown: [String] { MarkdownTable.lines(heads: Self.heads, rows: rows()) }

  /// For programs: schema headroom.bench-triton/1.
  public func json(version: String) -> JSONValue {
    let (hits, claims) = score
    return [
      "schema": "headroom.bench-triton/1", "headroom": .string(version), "mode": "simulated", "withinLimits": JSONValue(hits),
      "claims": JSONValue(claims), "verdict": .string(verdict),
      "runs": .array(
        entries.map { entry in
          [
            "name": .string(entry.run.name), "isInput": .bool(entry.run.isInput), "meanMilliseconds": JSONValue(entry.meanMilliseconds),
            "nvmlUtilizationGPUPercentRange": [
              JSONValue(entry.counters.utilizationRange.lowerBound * 100), JSONValue(entry.counters.utilizationRange.upperBound * 100),
            ],
            "figures": .array(
              Self.figures.map { figure in
                [
                  "figure": .string(figure), "measured": entry.run.measured?[figure].map { JSONValue($0) } ?? .null,
                  "predicted": JSONValue(entry.predicted[figure] ?? 0),
                ]
              }),
          ]
        }),
    ]
  }
}
