import CheckedNumbers
import Diagnosis
import FileAccess
import ModelGraph
import ONNXFormat
import Scheduling
import Simulation
import TimeBase
import Trace

extension Variant {
  /// This variant served with changes made: what `--apply` can do to a real server here.
  ///
  /// - Parameters:
  ///   - deviceClass: what it is served on.
  ///   - folder: where a rewritten model is written.
  /// - Throws: the first change that cannot be made here, with why.
  func served(with changes: [Change], on deviceClass: DeviceClass, folder: String) throws(ExperimentError) -> Variant {
    var changed = self
    func refuse(_ change: Change, _ reason: String) -> ExperimentError {
      ExperimentError("variant \(name): \(change.words) cannot be applied here: \(reason)")
    }
    guard !changes.isEmpty else {
      throw ExperimentError("variant \(name): this fix is advice: there is no change that a program could make")
    }
    for change in changes {
      switch change {
      case .instances(let count): changed.scheduler.instances = max(1, count)
      // Every instance of this server has its own thread as it is.
      case .issuingThreadPerInstance: break
      case .maximumBatchRows(let rows): changed.scheduler.maximumBatchRows = max(1, rows)
      case .eagerBatching:
        guard deviceClass != .processor else { throw refuse(change, "a processor computes on the thread that would gather the next batch") }
        changed.scheduler.batchesEagerly = true
      case .dynamicBatching: changed.scheduler.batching = changed.scheduler.batching ?? DynamicBatchingPolicy()
      case .batchDelay(let microseconds): changed.scheduler.batching?.maximumQueueDelay = .microseconds(Int64(clamping: microseconds))
      case .preferredSizes(let sizes): changed.scheduler.batching?.preferredSizes = sizes
      case .maximumQueueSize(let size): changed.scheduler.batching?.defaultQueuePolicy.maximumQueueSize = size
      case .queueTimeout(let microseconds):
        changed.scheduler.batching?.defaultQueuePolicy.defaultTimeout = .microseconds(Int64(clamping: microseconds))
      case .cudaGraphs:
        guard deviceClass != .processor else { throw refuse(change, "CUDA graphs are a GPU's") }
        changed.execution.usesCUDAGraphs = true
      case .removeRedundantWork:
        do {
          let path = folder + "/rewritten.onnx"
          try Files.write(path, try ONNXWriter.write(try SinkBroadcast.apply(try changed.model.servedGraph())))
          changed.model = .onnx(path: path)
        } catch let error as ExperimentError { throw error } catch { throw refuse(change, "\(error)") }
      case .pinnedTransfers, .gatheredCopies, .overlappedCopies: throw refuse(change, "this server does it already, on a GPU")
      case .clientCores: throw refuse(change, "it is the load generator's: run `bench --suite clients`")
      case .frontEndCores, .frontEndTimeScale: throw refuse(change, "the front end's threads follow the machine")
      case .dispatchGapScale, .gpuTimeScale, .weightBytesScale, .splitK: throw refuse(change, "it is another device or another kernel")
      }
    }
    if changed.scheduler.batching == nil, scheduler.batching == nil,
      changes.contains(where: { if case .batchDelay = $0 { true } else if case .preferredSizes = $0 { true } else { false } })
    {
      throw ExperimentError("variant \(name): there is no dynamic batching whose delay or sizes could be changed")
    }
    return changed
  }
}

extension ModelSource {
  /// With its weights, to be written again.
  fileprivate func servedGraph() throws -> Graph {
    switch self {
    case .builtIn(let head): try head.graph()
    case .onnx(let path, let dimensions): try ONNXReader.read(path: path, options: ONNXReader.Options(dynamicSizes: dimensions))
    }
  }
}

extension Change {
  /// As a message names it.
  var words: String {
    switch self {
    case .clientCores(let count): "a load generator of \(count) cores"
    case .frontEndCores(let count): "a front end of \(count) cores"
    case .frontEndTimeScale: "a faster front end"
    case .removeRedundantWork: "computing copied rows once"
    case .cudaGraphs: "CUDA graphs"
    case .instances(let count): "\(count) instances"
    case .issuingThreadPerInstance: "a launch thread per instance"
    case .eagerBatching: "eager batching"
    case .dynamicBatching: "dynamic batching"
    case .batchDelay(let microseconds): "a queue delay of \(microseconds) us"
    case .preferredSizes(let sizes):
      sizes.isEmpty ? "no preferred sizes" : "preferred sizes \(sizes.map { "\($0)" }.joined(separator: ", "))"
    case .maximumBatchRows(let rows): "max_batch_size \(rows)"
    case .maximumQueueSize(let size): "max_queue_size \(size)"
    case .queueTimeout(let microseconds): "a queue timeout of \(microseconds) us"
    case .pinnedTransfers: "page-locked transfers"
    case .gatheredCopies: "one copy per batch"
    case .overlappedCopies: "copies on a stream of their own"
    case .dispatchGapScale: "shorter gaps between kernels"
    case .gpuTimeScale: "a faster device"
    case .weightBytesScale: "narrower weights"
    case .splitK(let parts): "split-K of \(parts)"
    }
  }
}
