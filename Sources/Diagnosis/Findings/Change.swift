/// A change to the system, as a typed hypothesis that an estimator can apply to a re-simulation, a replay or a plan.
public enum Change: Sendable, Hashable {
  /// The load generator gets so many cores (or processes).
  case clientCores(Int)
  /// The server's front end gets so many cores.
  case frontEndCores(Int)
  /// The front end's time per request, as a multiple of today's.
  case frontEndTimeScale(Double)
  /// Rows that are copies of other rows are computed once.
  case removeRedundantWork
  /// A batch's launches become one graph launch.
  case cudaGraphs
  /// So many instances of the model on the device.
  case instances(Int)
  /// Each instance launches from its own thread.
  case issuingThreadPerInstance
  /// The next batch is formed, gathered and launched while the current one runs.
  case eagerBatching
  /// Requests that wait are dispatched together: the batcher is switched on, without a delay.
  case dynamicBatching
  /// The batcher's delay.
  case batchDelay(microseconds: Int)
  /// The batcher's preferred sizes; empty for none.
  case preferredSizes([Int])
  /// `max_batch_size`, in rows.
  case maximumBatchRows(Int)
  /// `max_queue_size`, in requests; 0 for no limit.
  case maximumQueueSize(Int)
  /// The queue policy's default timeout; 0 for none.
  case queueTimeout(microseconds: Int)
  /// Transfers from page-locked memory.
  case pinnedTransfers
  /// One copy a batch instead of one per request.
  case gatheredCopies
  /// Copies on a stream of their own, with two buffers.
  case overlappedCopies
  /// The gap before kernels that were already queued, as a multiple of today's.
  case dispatchGapScale(Double)
  /// Every kernel's time, as a multiple of today's: a faster or slower device.
  case gpuTimeScale(Double)
  /// The weights' bytes, as a multiple of today's: a narrower weight type.
  case weightBytesScale(Double)
  /// k of the GEMMs cut into so many parts.
  case splitK(Int)
}

/// Something to do about a finding.
public struct Fix: Sendable, Hashable {
  /// As an instruction: "Add a second instance".
  public var title: String
  /// What to hand to an estimator, together; empty for advice whose gain nothing here can compute.
  public var changes: [Change]

  /// `title`, computed as `changes`.
  public init(_ title: String, _ changes: [Change] = []) {
    self.title = title
    self.changes = changes
  }
}
