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
  /// Where it is done, for what no setting and no command does.
  public var place: Place?

  /// Where something is changed that has no setting.
  public enum Place: String, Sendable, Hashable, CaseIterable {
    case model, engineBuild, engineCode, backEnd, clients, generator, repository, experiment

    /// As it stands behind an instruction.
    public var text: String {
      switch self {
      case .model: "in the model"
      case .engineBuild: "when the engine is built: torch.compile, TensorRT"
      case .engineCode: "in the engine's code"
      case .backEnd: "in the back end's code"
      case .clients: "in the clients"
      case .generator: "where the load generator runs"
      case .repository: "in the model repository"
      case .experiment: "in the experiment: warmUpSeconds, seconds"
      }
    }
  }

  /// `title`, computed as `changes`; done at `place` where no setting does it.
  public init(_ title: String, _ changes: [Change] = [], in place: Place? = nil) {
    self.title = title
    self.changes = changes
    self.place = place
  }
}
