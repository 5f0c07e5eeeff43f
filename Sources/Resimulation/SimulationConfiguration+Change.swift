import CheckedNumbers
public import Diagnosis
import HostModel
import Scheduling
public import Simulation
import TimeBase
import Vocabulary

extension SimulationConfiguration {
  /// Makes a change, as the serving configuration, the launches or the host would make it.
  ///
  /// - Throws: what a simulation cannot show (the parts of a split GEMM, narrower weights). Redundant work and larger batches change the
  ///   plan or the scheduler's limit, which whoever builds the configuration has done already.
  public mutating func apply(_ change: Change) throws(GainRefusal) {
    func scaled(_ time: TimeTerm, _ factor: Double) -> Double { (scales[time] ?? 1) * factor }
    switch change {
    case .clientCores(let cores): host = host.with(.clientCores, Double(cores))
    case .frontEndCores(let cores): host = host.with(.frontEndCores, Double(cores))
    case .frontEndTimeScale(let factor): scales[.frontEndWork] = scaled(.frontEndWork, factor)
    case .removeRedundantWork, .maximumBatchRows: break
    case .cudaGraphs: execution.usesCUDAGraphs = true
    case .instances(let count): scheduler.instances = max(1, count)
    case .issuingThreadPerInstance: execution.issuing = .perInstance
    case .eagerBatching: execution.permits = 3
    case .dynamicBatching: scheduler.batching = scheduler.batching ?? DynamicBatchingPolicy()
    case .batchDelay(let microseconds): scheduler.batching?.maximumQueueDelay = .microseconds(Int64(microseconds))
    case .preferredSizes(let sizes): scheduler.batching?.preferredSizes = sizes
    case .maximumQueueSize(let size): scheduler.batching?.defaultQueuePolicy.maximumQueueSize = size
    case .queueTimeout(let microseconds): scheduler.batching?.defaultQueuePolicy.defaultTimeout = .microseconds(Int64(microseconds))
    case .pinnedTransfers: execution.pinsMemory = true
    case .gatheredCopies: execution.gathersCopies = true
    case .overlappedCopies:
      execution.overlapsCopies = true
      execution.permits = max(2, execution.permits)
    case .dispatchGapScale(let factor): scales[.dispatch] = scaled(.dispatch, factor)
    case .gpuTimeScale(let factor): scales[.kernels] = scaled(.kernels, factor)
    case .weightBytesScale, .splitK: throw .unsupported(change)
    }
  }
}

extension Change {
  /// Whether it can be tried on a processor, or on any device of which only the times of whole batches are known: how a GPU's launches,
  /// copies and kernels would change is not seen there.
  public var appliesToMeasuredBatches: Bool {
    switch self {
    case .clientCores, .frontEndCores, .frontEndTimeScale, .instances, .issuingThreadPerInstance, .dynamicBatching, .batchDelay,
      .preferredSizes,
      .maximumQueueSize, .queueTimeout, .gpuTimeScale, .removeRedundantWork, .maximumBatchRows:
      true
    case .eagerBatching, .cudaGraphs, .pinnedTransfers, .gatheredCopies, .overlappedCopies, .dispatchGapScale, .weightBytesScale, .splitK:
      false
    }
  }
}
