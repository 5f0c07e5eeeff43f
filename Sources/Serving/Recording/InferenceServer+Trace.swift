public import TimeBase
public import Trace

extension InferenceServer {
  /// What the server noted of a model's last requests and batches since an instant: its rings hold some hundred thousand. nil where no such
  /// model is ready.
  public func trace(ofModel name: String, since start: Instant) -> Trace? {
    guard let model = manager.table.ready(name).last else { return nil }
    let events = self.events(since: start).of(model.number)
    let last = max(events.requests.map(\.responseEnd.nanoseconds).max() ?? 0, events.batches.map(\.outputEnd.nanoseconds).max() ?? 0)
    return LiveTrace(events, of: LiveModelState(model), window: start.nanoseconds..<max(start.nanoseconds, last) + 1).trace
  }
}
