import CheckedNumbers
import KServe
import Synchronization

/// Which requests are traced, by the protocol's settings, and where their records go.
///
/// Sampling as the reference server's: every `trace_rate`-th request of a setting, until `trace_count` were taken; a model with settings of
/// its own counts for itself (triton-inference-server/server `src/tracer.cc`).
final class RequestTracer: Sendable {
  private struct Counts {
    var seen: Int64 = 0
    var taken: Int64 = 0
  }

  private struct State {
    var server = TraceSettings()
    /// What the server was started with.
    var initial = TraceSettings()
    var models: [String: [String: [String]]] = [:]
    /// By model; "" for the server's setting.
    var counts: [String: Counts] = [:]

    func settings(_ model: String) -> TraceSettings {
      var settings = server
      for (key, value) in models[model] ?? [:] { settings.set(key, value) }
      return settings
    }
  }

  private let state = Mutex(State())
  /// Whether any setting asks for traces: all that a request pays otherwise.
  private let isOn = Atomic<Bool>(false)
  private let identifiers = Atomic<Int>(0)
  private let writer: TraceFileWriter

  /// `warn`: told when records cannot be written.
  init(warn: @escaping @Sendable (String) -> Void = { _ in }) { writer = TraceFileWriter(warn: warn) }

  func settings(_ model: String) -> TraceSettings { state.withLock { $0.settings(model) } }

  /// Settings of the server's start, checked.
  func start(with changes: [String: [String]]) {
    update("", changes)
    state.withLock { $0.initial = $0.server }
  }

  /// Applies changes that were checked; an empty list clears a model's own value, or brings back what the server was started with
  /// (triton-inference-server/server `src/tracer.cc`, UpdateTraceSettingInternal: a cleared global value falls back to `global_default_`).
  func update(_ model: String, _ changes: [String: [String]]) {
    state.withLock { state in
      for (key, value) in changes {
        if model.isEmpty {
          state.server.set(key, value.isEmpty ? state.initial.values(key) : value)
        } else {
          state.models[model, default: [:]][key] = value.isEmpty ? nil : value
        }
      }
      // A new count or rate starts anew.
      if changes["trace_count"] != nil || changes["trace_rate"] != nil { state.counts[model] = nil }
      let all = [state.server] + state.models.keys.map { state.settings($0) }
      isOn.store(all.contains { $0.level.contains("TIMESTAMPS") && !$0.file.isEmpty }, ordering: .relaxed)
    }
  }

  /// What is written for this request; nil: nothing.
  func sample(_ model: String) -> Sample? {
    guard isOn.load(ordering: .relaxed) else { return nil }
    return state.withLock { state in
      let settings = state.settings(model)
      guard settings.level.contains("TIMESTAMPS"), !settings.file.isEmpty, let rate = Int64(settings.rate), rate > 0,
        let count = Int64(settings.count)
      else { return nil }
      let key = state.models[model]?.isEmpty == false ? model : ""
      var counts = state.counts[key] ?? Counts()
      counts.seen += 1
      defer { state.counts[key] = counts }
      guard counts.seen % rate == 0, count < 0 || counts.taken < count else { return nil }
      counts.taken += 1
      return Sample(
        identifier: identifiers.wrappingAdd(1, ordering: .relaxed).newValue, file: settings.file,
        recordsPerFile: Int64(settings.logFrequency) ?? 0)
    }
  }

  /// A request that was chosen.
  struct Sample: Sendable {
    var identifier: Int
    var file: String
    /// 0: all in one file.
    var recordsPerFile: Int64
  }

  func write(_ record: TraceRecord, _ sample: Sample) { writer.append(record.json(sample.identifier), to: sample) }

  /// Everything given is in the files.
  func finish() { writer.finish() }
}
