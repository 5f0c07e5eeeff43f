import CheckedNumbers
import DeviceModel
import Diagnosis
import GPUModel
import HostModel
import ModelGraph
import Planning
import Scheduling
import Serving
import Simulation
import TimeBase
import Workload

/// A model's last seconds once more in virtual time: its scheduler, its mix of rows, the times its batches and its front end took. One factor
/// is fitted, of all batch times, so that the device is as busy as it was when the window's requests come again as they came.
struct LiveSimulation: Sendable {
  /// For any load: Poisson arrivals, to be set. Batches larger than any seen take what is likeliest.
  let configuration: SimulationConfiguration
  /// The same with larger batches as slow, and as fast, as what was seen allows; nil where nothing has to be guessed.
  let bounds: (slowest: SimulationConfiguration, fastest: SimulationConfiguration)?
  /// Instances that may not share what the simulation has them share: more is possible.
  let isLowerBound: Bool
  /// What the windows so far show of batch times: for the next one.
  let times: LiveBatchTimes
  /// Rows of the largest batch whose time was seen.
  let largestRows: Int
  /// The window's own requests; nil where they were too few to compare anything by.
  let replay: Replay?

  /// The window's requests, and how well the simulation does with them what the server did.
  struct Replay: Sendable {
    /// With the requests as they came.
    var configuration: SimulationConfiguration
    /// Requests per second and busy time against the window's, the larger error.
    var error: Figure
    /// The median latency is within a fifth, and batches are as many to a tenth: what it says of latency is about the server, not about
    /// itself.
    var tellsLatency: Bool
  }

  /// Sizes of batches, and of requests, that are told apart.
  static let maximumSizes = 32
  /// A hundred requests have one above their 99th percentile.
  static let minimumRequests = 100
  /// Requests that come again, at most: the last ones.
  static let maximumRequests = 4000
  /// Event loops that are busier show what a request costs them.
  static let seenFrontEnd = 0.2
  /// As of a measured run's simulation.
  static let largestLatencyError = 0.2
  /// Batches per second, against the window's.
  static let largestBatchError = 0.1

  /// nil where no batch has a time.
  ///
  /// - Parameter earlier: what the windows before show of batch times.
  init?(
    _ diagnosis: LiveDiagnosis, _ events: LiveTrace.Events, _ serverContext: LiveDiagnosis.ServerContext, earlier: LiveBatchTimes? = nil
  ) throws {
    times = LiveBatchTimes(events.batches, earlier: earlier)
    guard let tables = times.tables(maximumRows: max(1, diagnosis.state.scheduling.maximumBatchRows)),
      let configuration = try Self.configuration(diagnosis, events, serverContext, tables.likely)
    else { return nil }
    // Where instances do not share the device, as with two idle cores each, more is possible.
    isLowerBound = diagnosis.state.instances > 1
    largestRows = tables.largestRows
    let (fitted, replay) = try Self.fitted(configuration, diagnosis, events)
    (self.configuration, self.replay) = (fitted, replay)
    func with(_ durations: BatchDurations) -> SimulationConfiguration {
      var changed = fitted
      changed.processor?.durations = durations
      return changed
    }
    var fastest = with(tables.fastest)
    // What event loops with little to do spend is not all for requests: of a request it is what they cost at most.
    let isFrontEndSeen = serverContext.frontEnd.map { $0.busyShare >= Self.seenFrontEnd } ?? true
    if !isFrontEndSeen {
      for entry in [HostCost.frontEndPerRequest, .responsePerRequest] where HostProfile.local[entry].value < fitted.host[entry].value {
        fastest.host = fastest.host.with(entry, HostProfile.local[entry].value)
      }
    }
    let isSure = tables.slowest == tables.fastest && fastest.host == fitted.host
    bounds = isSure ? nil : (with(tables.slowest), fastest)
  }

  // MARK: - The window's requests again

  private static func fitted(
    _ configuration: SimulationConfiguration, _ diagnosis: LiveDiagnosis, _ events: LiveTrace.Events
  ) throws -> (SimulationConfiguration, Replay?) {
    let window = diagnosis.window
    let requests = events.requests.filter {
      !$0.failed && $0.rows > 0 && $0.received.nanoseconds >= window.lowerBound && $0.received.nanoseconds < window.upperBound
    }.sorted { $0.received < $1.received }.suffix(maximumRequests)
    guard requests.count >= minimumRequests, let first = requests.first?.received.nanoseconds else { return (configuration, nil) }
    let length = window.upperBound - first
    // What was queued when the first of them came is not there in the simulation.
    let warmUp = length / 10
    let compared = (first + warmUp)..<window.upperBound
    let seconds = Double(compared.upperBound - compared.lowerBound) / 1e9
    let answered = events.requests.filter { !$0.failed && compared.contains($0.responseEnd.nanoseconds) }
    let busy = Self.busy(events, compared) / 1e9 / seconds
    let batches = events.batches.count { compared.contains($0.outputEnd.nanoseconds) }
    guard seconds > 0, !answered.isEmpty, busy > 0, batches > 0 else { return (configuration, nil) }
    let latencies = answered.map { ($0.responseEnd - $0.received).nanoseconds }.sorted()

    var fitted = configuration
    var replay = fitted
    func again() throws -> SimulationResult? {
      replay = fitted
      replay.workload.load = .open(.recorded(requests.map { Instant(nanoseconds: $0.received.nanoseconds - first) }))
      replay.workload.warmUp = TimeSpan(nanoseconds: warmUp)
      replay.workload.duration = TimeSpan(nanoseconds: length - warmUp)
      return try Simulation.run(replay)
    }
    guard let trial = try again(), trial.busy.kernels > 0 else { return (configuration, nil) }
    let factor = busy / (trial.busy.kernels / max(1, Double(trial.window.nanoseconds)))
    // Further off than this the batches of the window are another matter than those whose times were taken.
    guard factor > 0.5, factor < 2 else { return (configuration, nil) }
    fitted.scales[.kernels] = factor
    guard let result = try again() else { return (configuration, nil) }
    let errors = [
      result.throughput / (Double(answered.count) / seconds) - 1,
      result.busy.kernels / max(1, Double(result.window.nanoseconds)) / busy - 1,
    ]
    let batchError = Double(result.batches) / max(1e-9, result.window.seconds) / (Double(batches) / seconds) - 1
    let latencyError = LiveFigures.percentile(50, of: latencies).flatMap { median in
      result.latencyMilliseconds(percentile: 50).map { median > 0 ? $0 / median - 1 : 0 }
    }
    let error = Figure(
      errors.map(\.magnitude).max() ?? 1, .share, .simulated,
      source: "simulation fitted to the window against the window, the larger error of requests/s and busy time")
    return (
      fitted,
      Replay(
        configuration: replay, error: error,
        tellsLatency: (latencyError ?? 1).magnitude <= largestLatencyError && batchError.magnitude <= largestBatchError)
    )
  }

  /// Time in which at least one batch computed.
  private static func busy(_ events: LiveTrace.Events, _ window: Range<Int64>) -> Double {
    var (sum, end) = (Int64(0), window.lowerBound)
    for batch in events.batches.sorted(by: { $0.computeStart < $1.computeStart }) {
      let start = max(end, batch.computeStart.nanoseconds)
      let stop = min(window.upperBound, batch.computeEnd.nanoseconds)
      if stop > start {
        sum += stop - start
        end = stop
      }
    }
    return Double(sum)
  }

  // MARK: - What was measured

  private static func configuration(
    _ diagnosis: LiveDiagnosis, _ events: LiveTrace.Events, _ serverContext: LiveDiagnosis.ServerContext, _ durations: BatchDurations
  ) throws -> SimulationConfiguration? {
    let state = diagnosis.state
    let maximum = max(1, state.scheduling.maximumBatchRows)
    var (gather, output, handOff, count) = (0.0, 0.0, 0.0, 0.0)
    var free: [Int32: Int64] = [:]
    for batch in events.batches.sorted(by: { $0.gatherStart < $1.gatherStart }) {
      gather += Double(max(0, (batch.computeStart - batch.gatherStart).nanoseconds))
      output += Double(max(0, (batch.outputEnd - batch.computeEnd).nanoseconds))
      // A batch that was formed ahead of a free instance waits for the one before it: that is no hand-off.
      handOff += Double(max(0, batch.gatherStart.nanoseconds - max(batch.formed.nanoseconds, free[batch.instance] ?? .min)))
      free[batch.instance] = batch.outputEnd.nanoseconds
      count += 1
    }
    guard count > 0 else { return nil }
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
      .with(.batchHandOff, handOff / count / 1000, .measured, "in the window")
      .with(.responsePerBatch, output / count / 1000, .measured, "in the window")
    if let usage = serverContext.frontEnd, serverContext.allRequests > 0 {
      let perRequest = usage.busyShare * Double(usage.loops) * wall / Double(serverContext.allRequests) / 1000
      let receiving = usualHost[.frontEndPerRequest].value
      let share = receiving / max(1e-9, receiving + usualHost[.responsePerRequest].value)
      host = host.with(.frontEndCores, Double(usage.loops), .measured, "in the window")
        .with(.frontEndPerRequest, perRequest * share, .measured, "in the window")
        .with(.responsePerRequest, perRequest * (1 - share), .measured, "in the window")
    }
    var configuration = SimulationConfiguration(
      model: state.name,
      workload: Workload(
        load: .open(.poisson(perSecond: 1)), rows: rows.count == 1 ? .fixed(first.rows) : .shares(Array(rows)), warmUp: .zero,
        duration: .milliseconds(1000)), scheduler: state.scheduling, plan: try plan(maximumRows: maximum), host: host, seed: 1)
    configuration.scheduler.maximumBatchRows = maximum
    // Instances share the device in the simulation.
    configuration.processor = ProcessorDevice(name: state.device.name, durations: durations, threads: 1, sharedCores: 0)
    return configuration
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
