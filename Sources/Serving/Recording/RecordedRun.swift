import CheckedNumbers
import Threads
public import TimeBase
public import Trace

/// What a server did from its start to its end, as traces: one a model version.
///
/// Made before the server drains, because it must know the models; read after the last answer.
public struct RecordedRun: Sendable {
  private let server: InferenceServer
  private let states: [LiveModelState]

  /// A version's events.
  public struct Model: Sendable {
    /// As clients call it.
    public var name: String
    /// As clients call it.
    public var version: String
    /// Requests, batches and kernels on CLOCK_MONOTONIC; "run" says how many requests were overwritten by later ones.
    public var trace: Trace
  }

  /// Of the models that are ready now.
  public init(_ server: InferenceServer) {
    self.server = server
    states = server.manager.table.allReady.map { model in
      var state = LiveModelState(model)
      state.steps = { rows in model.loaded.steps(rows: rows) }
      return state
    }
  }

  /// Everything that is kept.
  public var models: [Model] { models(since: .zero, window: server.started.nanoseconds..<MonotonicClock.now.nanoseconds) }

  /// What ended between two instants. Nothing is said of what was overwritten before.
  public func models(from start: Instant, to end: Instant) -> [Model] {
    models(since: start, window: start.nanoseconds..<max(end.nanoseconds, start.nanoseconds) + 1)
  }

  private func models(since start: Instant, window: Range<Int64>) -> [Model] {
    let lost = server.live.overwritten
    let all = server.events(since: start)
    return states.map { state in
      let events = all.of(state.number)
      var trace = LiveTrace(events, of: state, window: window).trace
      trace.overwrittenRequests = Int64(lost.requests)
      trace.run["overwrittenBatches"] = String(lost.batches)
      trace.run["overwrittenKernels"] = String(lost.kernels)
      trace.run["overwrittenDriverEvents"] = String(lost.driverEvents)
      trace.run["model"] = state.name
      return Model(name: state.name, version: state.version, trace: trace)
    }
  }
}
