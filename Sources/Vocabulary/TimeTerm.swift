/// A time that a run is made of: what is made 3 % longer or shorter to find out what limits.
public enum TimeTerm: String, Sendable, Hashable, CaseIterable {
  /// Between a user's response and the next request (closed loop).
  case thinkTime
  /// Between requests (open loop).
  case interArrival
  /// The generator's own work per request.
  case clientWork
  /// Network transfer and round trips.
  case network
  /// The server's parsing, copying and encoding outside the dispatch loop.
  case frontEndWork
  /// The batcher's delay.
  case batchingDelay
  /// Putting the rows of a batch together.
  case gather
  /// Host to device copies.
  case upload
  /// Launch calls.
  case launch
  /// Wake-up after the device's event and forming the next batch.
  case wakeUp
  /// Kernels.
  case kernels
  /// From one kernel's end to the start of the next one that was already queued.
  case dispatch
  /// Device to host copies.
  case download
  /// Handing the responses on.
  case response

  /// As printed.
  public var text: String {
    switch self {
    case .thinkTime: "think time"
    case .interArrival: "time between requests"
    case .clientWork: "client work"
    case .network: "network"
    case .frontEndWork: "front-end work"
    case .batchingDelay: "batching delay"
    case .gather: "gather"
    case .upload: "upload"
    case .launch: "launch"
    case .wakeUp: "wake-up and hand-off"
    case .kernels: "kernels"
    case .dispatch: "dispatch gaps"
    case .download: "download"
    case .response: "response"
    }
  }
}
