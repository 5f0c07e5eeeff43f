import CheckedNumbers
import DeviceModel
import Diagnosis
import GPUModel
import HostModel
import ModelGraph
import Planning
import Reporting
import Scheduling
import Serving
import Simulation
import TimeBase
import Trace
import Workload

/// How much more a running model can take, from a simulation fitted to its last seconds: its scheduler, its mix of rows, the times its
/// batches and its front end took. No request is sent. Pure; some ten short runs in virtual time.
enum LiveHeadroom {
  /// Requests of a trial: twenty above the 99th percentile.
  static let requests = 2000.0
  /// Fewer batches than this show no time of a batch.
  static let minimumBatches = 20
  /// Sizes of batches, and of requests, that are told apart.
  static let maximumSizes = 32

  static func headroom(
    of diagnosis: LiveDiagnosis, events: LiveTrace.Events, serverContext: LiveDiagnosis.ServerContext, goal: LatencyGoal
  ) -> Headroom {
    let today = diagnosis.answered > 0 ? diagnosis.figures.requestsPerSecond : nil
    func unknown(_ reason: String) -> Headroom { Headroom(goal: goal, today: today, unknownBecause: reason) }
    guard let today else { return unknown("no request was answered in the last \(LiveDiagnosis.seconds(diagnosis.window)) s") }
    guard events.batches.count >= minimumBatches else {
      return unknown("\(events.batches.count) batches in the window are too few to fit a simulation to: \(minimumBatches) are needed")
    }
    do {
      guard let fitted = try world(diagnosis, events, serverContext) else {
        return unknown("no batch in the window shows how long it took")
      }
      var search = CapacitySearch(fitted.world, p99Milliseconds: goal.p99Milliseconds, requests: requests)
      // A fast server's trials stay short: this runs beside it.
      search.goalsPerTrial = 3
      let outcome = try search.run(from: max(8, today.value))
      let source = "simulation fitted to the last \(LiveDiagnosis.seconds(diagnosis.window)) s: open loop, Poisson arrivals, \(goal.text)"
      return Headroom(
        goal: goal, today: today,
        maximumRate: Figure(outcome.rate.lowerBound, .requestsPerSecond, .estimated, source: source, interval: outcome.rate),
        isLowerBound: outcome.isLowerBound || fitted.isLowerBound)
    } catch { return unknown("the simulation fitted to the window failed: \(error)") }
  }

  /// The fitted world; nil where no batch has a time.
  private static func world(
    _ diagnosis: LiveDiagnosis, _ events: LiveTrace.Events, _ serverContext: LiveDiagnosis.ServerContext
  ) throws -> (world: SimulationConfiguration, isLowerBound: Bool)? {
    let state = diagnosis.state
    let maximum = max(1, state.scheduling.maximumBatchRows)
    var times: [Int: [Double]] = [:]
    var (gather, output, handOff, count) = (0.0, 0.0, 0.0, 0.0)
    var free: [Int32: Int64] = [:]
    for batch in events.batches.sorted(by: { $0.gatherStart < $1.gatherStart }) {
      times[Int(batch.rows), default: []].append(Double((batch.computeEnd - batch.computeStart).nanoseconds))
      gather += Double(max(0, (batch.computeStart - batch.gatherStart).nanoseconds))
      output += Double(max(0, (batch.outputEnd - batch.computeEnd).nanoseconds))
      // A batch that was formed ahead of a free instance waits for the one before it: that is no hand-off.
      handOff += Double(max(0, batch.gatherStart.nanoseconds - max(batch.formed.nanoseconds, free[batch.instance] ?? .min)))
      free[batch.instance] = batch.outputEnd.nanoseconds
      count += 1
    }
    let usual = times.sorted { ($0.value.count, $0.key) > ($1.value.count, $1.key) }.prefix(maximumSizes)
    var points = usual.compactMap { BatchDurations.Point(rows: $0.key, times: $0.value) }.filter { $0.nanoseconds > 0 }
    guard let largest = points.max(by: { $0.rows < $1.rows }), count > 0 else { return nil }
    // Batches twice as large as any seen are no more than proportionally slower: kernels, launches and copies have fixed parts.
    let isExtrapolated = largest.rows * 2 < maximum
    if largest.rows < maximum {
      let scale = Double(maximum) / Double(largest.rows)
      points.append(
        BatchDurations.Point(
          rows: maximum, nanoseconds: largest.nanoseconds * scale,
          quartiles: largest.quartiles.lowerBound * scale...largest.quartiles.upperBound * scale, batches: 0, spread: largest.spread))
    }
    guard let durations = BatchDurations(points) else { return nil }
    var byRows: [Int: Int] = [:]
    for request in events.requests where !request.failed && request.rows > 0 { byRows[Int(request.rows), default: 0] += 1 }
    let rows = byRows.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.prefix(maximumSizes).map {
      RowDistribution.Share(rows: min(maximum, $0.key), weight: Double($0.value))
    }
    guard let first = rows.first else { return nil }
    let wall = Double(max(1, diagnosis.window.upperBound - diagnosis.window.lowerBound))
    let usualHost = HostProfile.local
    var host = usualHost.with(.clientPerRequest, 0).with(.clientPerByte, 0).with(.networkLatency, 0).with(.networkPerByte, 0)
      .with(.frontEndPerByte, 0).with(.gatherPerByte, 0).with(.gatherPerBatch, gather / count / 1000, .measured, "in the window")
      .with(.batchHandOver, handOff / count / 1000, .measured, "in the window")
      .with(.responsePerBatch, output / count / 1000, .measured, "in the window")
    if let usage = serverContext.frontEnd, serverContext.allRequests > 0 {
      let perRequest = usage.busyShare * Double(usage.loops) * wall / Double(serverContext.allRequests) / 1000
      let receiving = usualHost[.frontEndPerRequest].value
      let share = receiving / max(1e-9, receiving + usualHost[.responsePerRequest].value)
      host = host.with(.frontEndCores, Double(usage.loops), .measured, "in the window")
        .with(.frontEndPerRequest, perRequest * share, .measured, "in the window")
        .with(.responsePerRequest, perRequest * (1 - share), .measured, "in the window")
    }
    var world = SimulationConfiguration(
      model: state.name,
      workload: Workload(
        load: .open(.poisson(perSecond: 1)), rows: rows.count == 1 ? .fixed(first.rows) : .shares(Array(rows)), warmUp: .zero,
        duration: .milliseconds(1000)), scheduler: state.scheduling, plan: try plan(maximumRows: maximum), host: host, seed: 1)
    world.scheduler.maximumBatchRows = maximum
    // Instances share the device in the simulation. Where they do not, as with two idle cores each, more is possible.
    world.processor = ProcessorDevice(name: state.device.name, durations: durations, threads: 1, sharedCores: 0)
    return (world, isExtrapolated || state.instances > 1)
  }

  /// A processor's batches take the times above; of a plan only the sizes of requests are used, and no byte costs anything here: what they
  /// cost is in the measured times.
  private static func plan(maximumRows: Int) throws -> Plan {
    let graph = try BuiltInHead.linear(layers: 1, hidden: 8).graph(seed: 1)
    let gpu = try GPUCatalogue().find("l4").gpu
    let kernels = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    return try PlanBuilder(model: kernels, type: .fp16, maxRows: maximumRows, requested: []).plan(graph)
  }
}
