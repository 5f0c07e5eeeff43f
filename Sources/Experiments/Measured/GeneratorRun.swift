import Glibc
import LoadModel
import ProcessContract
import Threads
import TimeBase
import Workload

/// One run of `headroom load` against a server, with the CPU time that both used in its window.
struct GeneratorRun {
  /// What the generator found out.
  var result: LoadResult
  /// CLOCK_MONOTONIC, nanoseconds.
  var window: Range<Int64>
  /// Of the server, in the window.
  var server: ProcessUsage
  /// What others used of the machine in the window, in cores; nil where it cannot be told.
  var foreignCores: Double?

  /// Runs it. The start is fixed beforehand, so that generator and observer look at the same window; a generator that is not ready by then
  /// says so, and gets more time.
  static func run(_ workload: Workload, on server: MeasuredServer, binary: String, seed: UInt64, processes: Int = 1)
    throws(ExperimentError) -> GeneratorRun
  {
    for lead in [0.7, 3.0] {
      if let run = try attempt(workload, on: server, binary: binary, seed: seed, processes: processes, lead: lead) { return run }
    }
    guard let run = try attempt(workload, on: server, binary: binary, seed: seed, processes: processes, lead: 12) else {
      throw ExperimentError("the load generator was not ready 12 s after it was started against \(server.name): this machine is too busy")
    }
    return run
  }

  /// `lead`: seconds for the generator to read the model's shapes, to try its requests and to open its first connections. nil: it was late.
  private static func attempt(
    _ workload: Workload, on server: MeasuredServer, binary: String, seed: UInt64, processes: Int, lead: Double
  ) throws(ExperimentError) -> GeneratorRun? {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let (monotonic, epoch) = (MonotonicClock.now, Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)
    var arguments = [
      "load", "--model", server.folder.model, "--url", server.address, "--rows", workload.rows.text, "--duration",
      "\(workload.duration.seconds)", "--warmup", "\(workload.warmUp.seconds)", "--seed", "\(seed)", "--start-at", "\(epoch + lead)",
      "--json", "--quiet",
    ]
    switch workload.load {
    case .closed(let users, let spawnRate, let think):
      arguments += ["--users", "\(users)", "--spawn-rate", "\(spawnRate)", "--think", think.text]
    case .open(let arrivals):
      arguments += ["--rate", "\(arrivals.perSecond(over: workload.duration))", "--poisson"]
    }
    var generators: [ChildProcess] = []
    for index in 0..<processes {
      let share = processes == 1 ? [] : ["--share", "\(index)/\(processes)"]
      generators.append(try ChildProcess(name: "the load generator", path: binary, arguments: arguments + share))
    }
    let start = monotonic + TimeSpan(clampingSeconds: lead + workload.warmUp.seconds)
    let end = start + workload.duration
    MonotonicClock.sleep(until: start)
    let (before, machineBefore) = (server.usage, ProcessUsage.machine())
    let ownBefore = generators.map { ProcessUsage(pid: $0.pid)?.seconds }
    MonotonicClock.sleep(until: end)
    let (after, machineAfter) = (server.usage, ProcessUsage.machine())
    let ownAfter = generators.map { ProcessUsage(pid: $0.pid)?.seconds }
    var results: [LoadResult] = []
    var isLate = false
    for generator in generators {
      let ended = generator.wait(until: end + .milliseconds(120_000))
      switch ended.ending {
      // The start had passed before it was ready.
      case .exit(.runInvalid): isLate = true
      // Nothing answered, nothing refused: a model slower than the window is long, which the report says.
      case .exit(.ok), .exit(.inconclusive): results.append(try Self.result(ended.output))
      default:
        throw ExperimentError(
          "the load generator ended with \(ended.ending) against \(server.name); it said: \(generator.lastWords)")
      }
    }
    if isLate { return nil }
    guard let before, let after, let result = RunMerge.sum(results) else {
      throw ExperimentError("the server of \(server.name) ended while it was under load")
    }
    var foreign: Double?
    let used = zip(ownBefore, ownAfter).reduce(Double?.some(0)) { sum, pair in
      guard let sum, let before = pair.0, let after = pair.1 else { return nil }
      return sum + after - before
    }
    if let used, let machineBefore, let machineAfter {
      let all = machineAfter.busySeconds - machineBefore.busySeconds
      foreign = max(0, all - used - after.since(before).seconds) / max(0.001, workload.duration.seconds)
    }
    return GeneratorRun(
      result: result, window: start.nanoseconds..<end.nanoseconds, server: after.since(before), foreignCores: foreign)
  }

  /// What a generator wrote on its standard output.
  static func result(_ output: [UInt8]) throws(ExperimentError) -> LoadResult {
    do throws(LoadInputError) { return try LoadResult(report: output) } catch { throw ExperimentError(error.description) }
  }
}
