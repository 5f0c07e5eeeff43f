import CheckedNumbers
public import Diagnosis
public import JSONText
public import Reporting
import LoadModel
import ModelGraph
import ProcessContract
import Scheduling
import Threads
import TimeBase
import Workload

/// Suites of short measured runs, each with one question.
public enum MeasuredSuite {
  /// Names for `--suite`.
  public static let names = ["isolate", "clients", "batch", "graphs", "instances", "seq", "residency"]

  /// Runs one. `seconds`: of each run; nil for the suite's own.
  public static func run(
    _ name: String, runner: MeasuredRunner, seconds: Double?, model: SuiteModel = SuiteModel()
  ) throws(ExperimentError) -> SuiteResult {
    func sweeps() throws(ExperimentError) -> DeviceSweeps {
      DeviceSweeps(device: try BatchLoop.device(runner.device), model: model, seconds: seconds ?? 6, progress: runner.progress)
    }
    return switch name {
    case "isolate": try isolate(runner, seconds: seconds ?? 6, model)
    case "clients": try clients(runner, seconds: seconds ?? 6)
    case "batch": try sweeps().batch()
    case "graphs": try sweeps().graphs()
    case "instances": try sweeps().instances()
    case "seq": try sweeps().sequence()
    case "residency": try sweeps().residency()
    default: throw ExperimentError("no measured suite is called \"\(name)\"; there are \(names.joined(separator: ", "))")
    }
  }

  /// How long one takes: its runs, each with ramp and warm-up, and the servers' starts.
  public static func estimate(_ name: String, seconds: Double?) -> TimeEstimate {
    let each = (seconds ?? 6) + 2.5
    if name != "isolate", name != "clients" { return TimeEstimate(seconds: each + 2, work: "one sweep of batches in this process") }
    return name == "isolate"
      ? TimeEstimate(seconds: 5 * each + 4, work: "5 runs for real") : TimeEstimate(seconds: 4 * each + 3, work: "4 runs for real")
  }

  private static let identityWidth = 16

  private static func identity(_ batching: String) -> String {
    """
    name: "identity"
    backend: "identity"
    max_batch_size: 256
    input [ { name: "input" data_type: TYPE_FP32 dims: [\(identityWidth)] } ]
    output [ { name: "output" data_type: TYPE_FP32 dims: [\(identityWidth)] } ]
    \(batching)

    """
  }

  private static func closed(_ users: Int, _ seconds: Double) -> Workload {
    Workload(
      load: .closed(users: users, spawnRate: Double(users) * 2, think: .constant(.zero)), rows: .fixed(1), warmUp: .milliseconds(1500),
      duration: TimeSpan(clampingSeconds: seconds))
  }

  /// CPU seconds of a request of the load generator, against a server that does nothing.
  public static func generatorCost(binary: String, seconds: Double) throws(ExperimentError) -> Double {
    let null = try NullServer()
    defer { null.close() }
    let alone = try GeneratorRun.plain("http://127.0.0.1:\(null.port)/", users: 64, seconds: seconds, binary: binary)
    guard let cost = alone.cpuSecondsPerRequest else { throw ExperimentError("the load generator did not say what CPU time it took") }
    return cost
  }

  // MARK: - isolate

  /// Each stage by itself, then all together: which one the whole is made of.
  static func isolate(_ runner: MeasuredRunner, seconds: Double, _ model: SuiteModel) throws(ExperimentError) -> SuiteResult {
    var rows: [SuiteResult.Row] = []
    runner.progress("isolate: the generator against a server that does nothing, \(Int(saturating: seconds)) s")
    let null = try NullServer()
    let alone = try GeneratorRun.plain(
      "http://127.0.0.1:\(null.port)/", users: 64, seconds: seconds, binary: runner.binary)
    null.close()
    rows.append(
      .init(
        "client", "generator against a server that does nothing (64 users, no think time)", alone.requestsPerSecond,
        cpu: alone.cpuSecondsPerRequest.map { $0 * 1e6 }, of: "the generator"))

    runner.progress("isolate: front end, identity model, \(Int(saturating: seconds)) s")
    var server = try runner.server("identity", ServingFolder(model: "identity", configuration: identity("")), records: false)
    let front: GeneratorRun
    do throws(ExperimentError) {
      front = try GeneratorRun.run(closed(64, seconds), on: server, binary: runner.binary, seed: 1)
      _ = try server.stop()
    } catch {
      server.abandon()
      throw error
    }
    rows.append(
      .init(
        "front end", "identity model over HTTP, no batching delay (64 users)", front.result.answersPerSecond, cpu: front.cpuPerRequest,
        of: "the server"))

    let head = BuiltInHead.linear(layers: model.layers, hidden: model.hidden)
    let onDevice = try BatchLoop.device(runner.device)
    var variant = try Experiment.caseStudyOnProcessor(seconds: seconds).variants[0]
    variant.name = "linear"
    variant.model = .builtIn(head)
    runner.progress("isolate: batcher and device in this process, \(Int(saturating: seconds)) s")
    let folder = try ServingFolder(variant, device: runner.device)
    let inside: InProcessLoad.Outcome
    do throws(ExperimentError) {
      inside = try InProcessLoad.server(
        folder, on: onDevice, inputName: "x", width: model.hidden, inFlight: 1000, seconds: seconds)
      folder.remove()
    } catch {
      folder.remove()
      throw error
    }
    rows.append(
      .init(
        "batcher + device", "LinearHead in one process, no socket (1,000 in flight)", inside.requestsPerSecond,
        cpu: inside.cpuMicrosecondsPerRequest, of: "the process"))

    runner.progress("isolate: the device alone, \(Int(saturating: seconds)) s")
    let device = try InProcessLoad.device(head, on: onDevice, rows: min(256, model.largestRows), seconds: seconds)
    rows.append(
      .init(
        "device", "LinearHead, batches of 256 rows back to back", device.requestsPerSecond, cpu: device.cpuMicrosecondsPerRequest,
        of: "the process"))

    runner.progress("isolate: all of it, \(Int(saturating: seconds)) s")
    server = try runner.server("linear", ServingFolder(variant, device: runner.device), records: false)
    let whole: GeneratorRun
    do throws(ExperimentError) {
      whole = try GeneratorRun.run(closed(1000, seconds), on: server, binary: runner.binary, seed: 1)
      _ = try server.stop()
    } catch {
      server.abandon()
      throw error
    }
    let together = SuiteResult.Row(
      "all of it", "LinearHead over HTTP (1,000 users, no think time)", whole.result.answersPerSecond, cpu: whole.cpuPerRequest,
      of: "the server")
    var verdict: [Sentence] = []
    if let minimum = rows.min(by: { $0.capacity.value < $1.capacity.value }) {
      let share = Figure(
        together.capacity.value / minimum.capacity.value, .share, .measured, source: "throughput of all of it over the least capacity")
      verdict.append(
        "the narrowest stage alone is \(minimum.stage): \(minimum.capacity); all of it together does \(together.capacity), \(share) of that"
      )
    }
    verdict.append("stages that share cores add their CPU times: capacity of one alone is an upper bound, not a forecast")
    if whole.result.verdict.kind == .clientBound { verdict.append("\(whole.result.verdict.words)") }
    var result = SuiteResult(
      name: "isolate", question: "What can each stage pass by itself, and which one is the whole made of?", rows: rows + [together],
      verdict: verdict, change: "a faster narrowest stage: raise it until the next one is narrower")
    result.device = onDevice.description.hardware
    return result
  }

  // MARK: - clients

  /// 1, 2, 4, 8 generator processes with the same users in all: what grows with them was the generator's limit.
  static func clients(_ runner: MeasuredRunner, seconds: Double) throws(ExperimentError) -> SuiteResult {
    let server = try runner.server("identity", ServingFolder(model: "identity", configuration: identity("")), records: false)
    var rows: [SuiteResult.Row] = []
    var words: String?
    do throws(ExperimentError) {
      for processes in [1, 2, 4, 8] {
        runner.progress("clients: \(processes) processes, \(Int(saturating: seconds)) s")
        let run = try GeneratorRun.run(closed(256, seconds), on: server, binary: runner.binary, seed: 1, processes: processes)
        if processes == 1, run.result.verdict.kind == .clientBound { words = run.result.verdict.words }
        rows.append(
          .init(
            "\(processes) client process\(processes == 1 ? "" : "es")", "identity model over HTTP, 256 users in all",
            run.result.answersPerSecond, cpu: run.cpuPerRequest, of: "the server"))
      }
      _ = try server.stop()
    } catch {
      server.abandon()
      throw error
    }
    let one = rows[0].capacity.value
    func change(_ row: SuiteResult.Row) -> Figure {
      Figure(row.capacity.value / one - 1, .share, .measured, source: "\(row.stage) against one")
    }
    let (two, best) = (change(rows[1]), rows.dropFirst().map(change).max { $0.value < $1.value } ?? change(rows[1]))
    // Runs of some seconds on a shared machine differ by some percent by themselves.
    var verdict: [Sentence]
    if two.value > 0.1 {
      verdict = ["two processes pass \(two) more than one: one client process is the limit"]
    } else if best.value <= 0.1 {
      verdict = ["more client processes pass no more (\(best)): the limit is behind them, in front end or device, or the cores they share"]
    } else {
      verdict = [
        "cannot tell: two processes change \(two), some larger number \(best); repeat it on a quiet machine, or for longer (--seconds)"
      ]
    }
    if let words { verdict.append("one process says of itself: \(words)") }
    return SuiteResult(
      name: "clients", question: "Is the client the limit, or the front end?", rows: rows, verdict: verdict,
      change: "clients on a machine of their own: here they take the server's cores")
  }
}

/// What came of a suite.
public struct SuiteResult: Sendable {
  /// Of the suite.
  public var name: String
  /// What it decides.
  public var question: String
  /// Runs in order.
  public var rows: [Row]
  /// The answer.
  public var verdict: [Sentence]
  /// What would change it.
  public var change: String
  /// What ran it, in words; empty for this machine's processor.
  public var device = ""

  /// One run.
  public struct Row: Sendable {
    /// Which.
    public var stage: String
    /// How it was measured.
    public var what: String
    /// Requests per second.
    public var capacity: Figure
    /// CPU time per request; nil where it was not seen.
    public var cpu: Figure?
    /// Of a sweep: time per batch.
    public var time: Figure?
    /// Of a sweep: the same as planned before the run.
    public var predicted: Figure?

    init(_ stage: String, _ what: String, _ requestsPerSecond: Double, cpu microseconds: Double?, of whom: String) {
      self.stage = stage
      self.what = what
      capacity = Figure(requestsPerSecond, .requestsPerSecond, .measured, source: what)
      cpu = microseconds.map { Figure($0, .microseconds, .measured, source: "CPU time of \(whom) over answers") }
    }

    init(_ point: SweepPoint) {
      stage = point.setting
      what = point.what
      capacity = Figure(point.capacity, .rowsPerSecond, .measured, source: point.what)
      time = point.time
      predicted = point.predictedMilliseconds.map {
        Figure($0, .milliseconds, .estimated, source: "plan: kernels and the gaps between them, without copies")
      }
    }
  }

  private var isSweep: Bool { rows.contains { $0.time != nil } }

  /// Question, verdict, evidence, what would change it.
  public var report: Report {
    var report = Report(
      title: "headroom bench --suite \(name), measured on this machine", question: question, banner: nil,
      facts: device.isEmpty ? [] : [("device", device)],
      notes: isSweep ? [] : ["server and generator share this machine's cores"])
    func cell(_ figure: Figure?) -> FigureTable.Cell { figure.map { .figure($0) } ?? .unknown }
    let table =
      isSweep
      ? FigureTable(
        columns: ["time per batch", "planned", "rows/s", "how"],
        rows: rows.map { .init($0.stage, cells: [cell($0.time), cell($0.predicted), .figure($0.capacity), .text($0.what)]) })
      : FigureTable(
        columns: ["requests/s", "CPU per request", "how"],
        rows: rows.map { .init($0.stage, cells: [.figure($0.capacity), cell($0.cpu), .text($0.what)]) })
    report.sections = [
      Report.Section(id: "verdict", heading: "Verdict", explanation: "From the runs below.", blocks: [.sentences(heading: nil, verdict)]),
      Report.Section(
        id: "evidence", heading: "Evidence",
        explanation: isSweep ? "Settings in turn, in an order drawn anew each round." : "Every run by itself, one after another.",
        blocks: [.table(table)]),
      Report.Section(
        id: "change", heading: "What would change it", explanation: "The next step.", blocks: [.sentences(heading: nil, ["\(change)"])]),
    ]
    for index in report.sections.indices { report.sections[index].tag = "MEASURED" }
    return report
  }

  /// The same for machines.
  public func json(version: String) -> JSONValue {
    [
      "schema": "headroom.bench-suite/3", "headroom": .string(version), "mode": "measured", "suite": .string(name),
      "device": .string(device),
      "question": .string(question), "verdict": .array(verdict.map { .string($0.text) }), "wouldChange": .string(change),
      "runs": .array(
        rows.map {
          [
            "stage": .string($0.stage), "what": .string($0.what), "capacity": $0.capacity.json, "cpuPerRequest": $0.cpu?.json ?? .null,
            "timePerBatch": $0.time?.json ?? .null, "predictedTimePerBatch": $0.predicted?.json ?? .null,
          ]
        }),
    ]
  }
}

extension GeneratorRun {
  /// CPU time of the server an answer, microseconds.
  var cpuPerRequest: Double? { result.completed > 0 ? server.seconds * 1e6 / Double(result.completed) : nil }

  /// What the generator does against any URL.
  static func plain(_ url: String, users: Int, seconds: Double, binary: String) throws(ExperimentError) -> (
    requestsPerSecond: Double, cpuSecondsPerRequest: Double?
  ) {
    let process = try ChildProcess(
      name: "the load generator", path: binary,
      arguments: ["load", url, "--users", "\(users)", "--duration", "\(seconds)", "--warmup", "1", "--json", "--quiet"])
    let ended = process.wait(until: MonotonicClock.now + TimeSpan(clampingSeconds: seconds + 60))
    guard ended.ending == .exit(.ok) else {
      throw ExperimentError("the load generator ended with \(ended.ending); it said: \(process.lastWords)")
    }
    let result = try Self.result(ended.output)
    let rate = result.answersPerSecond
    return (rate, rate > 0 ? result.health.busiestThreadShare / rate : nil)
  }
}
