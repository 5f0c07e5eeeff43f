import CheckedNumbers
import LoadResults
public import ModelGraph
public import Trace
import TraceFormats

/// A file beside a trace that cannot be used.
public struct CompanionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// As given.
  public var path: String
  /// What is wrong, and what would be right.
  public var reason: String

  /// An error.
  public init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }

  /// "load.json: no rate of requests in it".
  public var description: String { reason.hasPrefix(path) ? reason : "\(path): \(reason)" }
}

/// Files that stand beside a trace: what the load generator measured, the server's request trace, counters.
public struct TraceCompanions: Sendable {
  /// A load generator's result.
  public var load: String?
  /// Triton's request trace.
  public var tritonTrace: String?
  /// DCGM pages and nvidia-smi's CSV.
  public var gpuMetrics: [String] = []

  /// None.
  public init() {}

  /// What they say, into the context; requests go into the trace. `readText` reads a file whole.
  public func read(
    into context: inout TraceContext, _ trace: inout Trace, readText: (String) throws -> String
  ) throws(CompanionError) {
    if let load { context.load = try Self.knownLoad(load, remark: &context.requestNotes) }
    if let tritonTrace {
      let requests: TritonTrace
      do throws(TraceImportError) { requests = try TritonTrace(path: tritonTrace) } catch {
        throw CompanionError(path: tritonTrace, reason: error.description)
      }
      context.requestNotes += requests.notes.map { "\(tritonTrace): \($0.text)" }
      // Requests of a batch share the moment it began; a load result's rate is of requests, a trace's of batches.
      let begun = requests.requests.filter { $0.computeStart != Trace.unknown }
      if context.requestsPerStep == nil, !begun.isEmpty {
        context.requestsPerStep = Double(begun.count) / Double(Set(begun.map(\.computeStart)).count)
      }
      if let join = ClockJoin(requests.requests, trace) {
        requests.add(to: &trace, offset: join.offset)
        context.requestClock = join
      } else {
        // A GPU that never pauses has no rhythm to recognize its batches by: the trace is explained without them.
        context.requestNotes.append(
          "\(tritonTrace): its \(requests.requests.count) requests are not used: no difference of the clocks puts GPU work into at least half of the batches (recorded at the same time, with rate=1? a GPU that never pauses cannot be joined either)"
        )
      }
    }
    for path in gpuMetrics {
      let text: String
      do { text = try readText(path) } catch { throw CompanionError(path: path, reason: "\(error)") }
      let metrics = try GPUMetrics(text, path: path, device: context.device ?? 0)
      if context.metrics == nil { context.metrics = metrics } else { context.metrics?.add(metrics) }
    }
  }

  /// The run of a load result with the most requests, of those that count none with the highest rate. `remark` gets what was assumed.
  public static func knownLoad(_ path: String, remark: inout [String]) throws(CompanionError) -> KnownLoad {
    let runs: [ObservedLoad]
    do throws(LoadResultError) { runs = try LoadResultReader.read(path) } catch {
      throw CompanionError(path: path, reason: error.description)
    }
    func perSecond(_ run: ObservedLoad) -> Double { run.requestsPerSecond ?? run.rowsPerSecond ?? 0 }
    guard let run = runs.max(by: { ($0.requests ?? 0, perSecond($0)) < ($1.requests ?? 0, perSecond($1)) }), perSecond(run) > 0 else {
      throw CompanionError(path: path, reason: "no rate of requests in it")
    }
    let rate = perSecond(run)
    if run.requestsPerSecond == nil {
      remark.append("\(path): it counts inferences; they are taken as requests of one row each (perf_analyzer -b 1)")
    }
    if runs.count > 1, run.requests == nil {
      remark.append("\(path): of its \(runs.count) runs the one with the highest rate is used: \(run.name)")
    }
    return KnownLoad(
      tool: run.tool.rawValue, requestsPerSecond: rate, meanMilliseconds: run.meanSeconds.map { $0 * 1e3 },
      isClientBound: run.isClientBound, isOpen: run.loop.map { $0 == .open })
  }
}

/// The model that a trace ran, and how it was run.
public struct ModelBesideTrace: Sendable {
  /// As given.
  public var name: String
  /// The model.
  public var graph: Graph
  /// Rows of a step; nil to take those of the trace's batches.
  public var rows: Int?
  /// Arithmetic as `ComputeType` has it.
  public var type: String

  /// A model.
  public init(name: String, graph: Graph, rows: Int?, type: String) {
    self.name = name
    self.graph = graph
    self.rows = rows
    self.type = type
  }
}
