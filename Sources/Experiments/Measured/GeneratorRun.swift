import FileAccess
import Glibc
import JSONText
import LoadModel
import Threads
import TimeBase
import Workload

/// One run of `headroom load` against a server, with the CPU time that both used in its window.
struct GeneratorRun {
  var outcome: GeneratorOutcome
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

  /// `headroom load`'s exit code where the start had passed before it was ready.
  private static let missedItsStart: Int32 = 4

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
    var generators: [(process: ChildProcess, log: String)] = []
    for index in 0..<processes {
      let log = server.folder.path + "/latency-\(index).hlog"
      let share = processes == 1 ? [] : ["--share", "\(index)/\(processes)"]
      generators.append(
        (try ChildProcess(name: "the load generator", path: binary, arguments: arguments + share + ["--hdr-log", log]), log))
    }
    let start = monotonic + TimeSpan(clampingSeconds: lead + workload.warmUp.seconds)
    let end = start + workload.duration
    MonotonicClock.sleep(until: start)
    let (before, machineBefore) = (server.usage, ProcessUsage.machine())
    let ownBefore = generators.map { ProcessUsage(pid: $0.process.pid)?.seconds }
    MonotonicClock.sleep(until: end)
    let (after, machineAfter) = (server.usage, ProcessUsage.machine())
    let ownAfter = generators.map { ProcessUsage(pid: $0.process.pid)?.seconds }
    var outcomes: [GeneratorOutcome] = []
    var isLate = false
    for generator in generators {
      let ended = generator.process.wait(until: end + .milliseconds(120_000))
      if ended.ending == .exit(missedItsStart) {
        isLate = true
        continue
      }
      guard ended.ending == .exit(0) else {
        let said = generator.process.errorLines.suffix(3).joined(separator: " | ")
        throw ExperimentError("the load generator ended with \(ended.ending) against \(server.name); it said: \(said)")
      }
      do {
        let json = try JSONValue.parse(String(decoding: ended.output, as: UTF8.self))
        outcomes.append(try GeneratorOutcome(json: json, log: try HistogramLog(text: Files.readText(generator.log))))
      } catch let error as ExperimentError { throw error } catch {
        throw ExperimentError("the load generator's report cannot be read: \(error)")
      }
    }
    if isLate { return nil }
    guard let before, let after, let outcome = GeneratorOutcome.merged(outcomes) else {
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
      outcome: outcome, window: start.nanoseconds..<end.nanoseconds, server: after.since(before), foreignCores: foreign)
  }
}

extension GeneratorOutcome {
  /// Several processes' shares of one run.
  static func merged(_ outcomes: [GeneratorOutcome]) -> GeneratorOutcome? {
    guard var sum = outcomes.first else { return nil }
    for other in outcomes.dropFirst() {
      let (left, right) = (Double(sum.histogram.count), Double(other.histogram.count))
      if let a = sum.meanMilliseconds, let b = other.meanMilliseconds, left + right > 0 {
        sum.meanMilliseconds = (a * left + b * right) / (left + right)
      }
      sum.meanHalfWidthMilliseconds = nil
      sum.requestsPerSecond += other.requestsPerSecond
      sum.rowsPerSecond += other.rowsPerSecond
      sum.answersInWindow += other.answersInWindow
      sum.errors += other.errors
      sum.threads += other.threads
      sum.cpuSeconds += other.cpuSeconds
      sum.busiestThreadShare = max(sum.busiestThreadShare, other.busiestThreadShare)
      sum.sendLagP99Milliseconds = [sum.sendLagP99Milliseconds, other.sendLagP99Milliseconds].compactMap { $0 }.max()
      if other.verdict == "client-bound" { (sum.verdict, sum.words) = (other.verdict, other.words) }
      sum.histogram.add(other.histogram)
    }
    return sum
  }
}
