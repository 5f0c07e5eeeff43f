import CheckedNumbers
public import Trace

/// What a planted program left behind: the trace that a profiler would have recorded, and when its batches and requests were where.
public struct PlantedRecording: Sendable, Hashable {
  /// A request's times, nanoseconds on the trace's clock.
  public struct Request: Sendable, Hashable {
    /// First byte.
    public var received: Int64
    /// Decoded, into the queue.
    public var queued: Int64
    /// Its batch's position.
    public var batch: Int
    /// Answer written.
    public var answered: Int64
  }

  /// A batch's times, nanoseconds on the trace's clock.
  public struct Batch: Sendable, Hashable {
    /// It began.
    public var begin: Int64
    /// Its results were there.
    public var end: Int64
  }

  /// The GPU's trace.
  public var trace: Trace
  /// One per step.
  public var batches: [Batch] = []
  /// By batch; empty where the program serves nobody.
  public var requests: [Request] = []

  /// From the first step to the end of the last, seconds.
  public var seconds: Double {
    guard let first = batches.first, let last = batches.last else { return 0 }
    return max(1e-9, Double(last.end - min(first.begin, requests.map(\.received).min() ?? first.begin)) / 1e9)
  }
}

extension PlantedProgram {
  /// Requests that a step's batch carries, drawn by `random`, and where they were before.
  func requests(
    batch index: Int, begin: Int64, previousEnd: Int64, end: Int64, period: Int64, jitter: () -> Double
  ) -> [PlantedRecording.Request] {
    if cause == .starvation { return [] }
    return (0..<(3 + Int(saturating: jitter() * 2.999))).map { _ in
      let (received, queued): (Int64, Int64)
      switch cause {
      case .client, .healthyLoadLimited:
        // It comes, is decoded and goes.
        received = begin - 60_000 - Int64(saturating: jitter() * 20_000)
        queued = received + 30_000
      case .frontEnd:
        received = previousEnd + 40_000 + Int64(saturating: jitter() * 60_000)
        queued = max(received, begin - 5_000 - Int64(saturating: jitter() * 10_000))
      case .batchingDelay:
        received = previousEnd + 40_000 + Int64(saturating: jitter() * 60_000)
        queued = min(received + 20_000, begin - 1_000)
      default:
        // Somebody always waits.
        received = begin - 3 * period - Int64(saturating: jitter() * Double(period))
        queued = received + 30_000
      }
      return PlantedRecording.Request(
        received: min(received, begin - 2_000), queued: min(queued, begin - 1_000), batch: index, answered: end + 50_000)
    }
  }
}
