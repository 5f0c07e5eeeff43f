import TimeBase

/// What a diagnosis of the running server reads.
extension InferenceServer {
  /// Whether events are kept.
  package var recordsEvents: Bool { live.isRecording }

  /// As given in the options.
  package var version: String { options.version }

  /// Every ready version of every model, as it is now.
  package var modelStates: [LiveModelState] { manager.table.allReady.map { LiveModelState($0) } }

  /// What is kept of the time since `start`, of all models.
  package func events(since start: Instant, limits: LiveRecorder.Limits = LiveRecorder.Limits()) -> LiveTrace.Events {
    let kept = live.events(since: start, limits: limits)
    return LiveTrace.Events(requests: kept.requests, batches: kept.batches, kernels: kept.kernels, driverEvents: kept.driverEvents)
  }
}
