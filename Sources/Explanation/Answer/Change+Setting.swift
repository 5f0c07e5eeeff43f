public import Diagnosis
public import Trace

extension Change {
  /// The change as something to type: lines of a config.pbtxt, an option, a command. nil where there is no such thing.
  public var typed: String? { typed(on: .gpu, model: "MODEL") }

  /// The same on such a device, of such a model.
  public func typed(on device: DeviceClass, model: String) -> String? {
    switch self {
    case .clientCores(let count): "\(count) generator processes (locust --processes \(count))"
    case .frontEndCores(let count): "tritonserver --http-thread-count \(count)"
    case .frontEndTimeScale: "binary tensors in the clients: gRPC or shared memory in place of JSON"
    case .removeRedundantWork: "headroom export \(model) --rewrite sink-broadcast -o FILE.onnx"
    case .cudaGraphs: "optimization { cuda { graphs: true } }"
    case .instances(let count): "instance_group { count: \(count) }"
    case .issuingThreadPerInstance: nil
    case .eagerBatching: "optimization { eager_batching: true }"
    case .dynamicBatching: "dynamic_batching { }"
    case .batchDelay(let microseconds): "max_queue_delay_microseconds: \(microseconds)"
    case .preferredSizes(let sizes):
      sizes.isEmpty ? "no preferred_batch_size" : "preferred_batch_size: [ \(sizes.map { String($0) }.joined(separator: ", ")) ]"
    case .maximumBatchRows(let rows): "max_batch_size: \(rows)"
    case .maximumQueueSize(let size): "default_queue_policy { max_queue_size: \(size) }"
    case .queueTimeout(let microseconds): "default_queue_policy { default_timeout_microseconds: \(microseconds) }"
    case .pinnedTransfers: "optimization { input_pinned_memory { enable: true } }"
    case .gpuTimeScale(let factor): factor == 2 ? (device == .processor ? "half of these cores" : "half this GPU") : nil
    case .weightBytesScale(let factor):
      // NVIDIA's ModelOpt writes quantized ONNX files; of weights that are in no file there is nothing to type.
      model.hasSuffix(".onnx")
        ? "python -m modelopt.onnx.quantization --onnx_path=\(model) --quantize_mode=\(factor < 0.5 ? "int4" : "int8")" : nil
    case .gatheredCopies, .overlappedCopies, .dispatchGapScale, .splitK: nil
    }
  }

  /// The lines that change in a config.pbtxt: what goes with "-", what comes with "+". Empty for a change that is made elsewhere.
  public func configurationDiff(of run: RunEvidence) -> [String] {
    let batching = run.batching
    func line(_ old: String?, _ new: String) -> [String] { (old.map { ["- \($0)"] } ?? []) + ["+ \(new)"] }
    switch self {
    case .instances(let count):
      return line(batching.instances.map { "instance_group { count: \($0) }" }, "instance_group { count: \(count) }")
    case .batchDelay(let new):
      return line(
        batching.maximumQueueDelayMicroseconds.map { "dynamic_batching { max_queue_delay_microseconds: \($0) }" },
        "dynamic_batching { max_queue_delay_microseconds: \(new) }")
    case .preferredSizes(let sizes):
      let old = (batching.preferredSizes ?? []).map { String($0) }.joined(separator: ", ")
      let removed = old.isEmpty ? [] : ["- dynamic_batching { preferred_batch_size: [ \(old) ] }"]
      return sizes.isEmpty
        ? removed : removed + ["+ dynamic_batching { preferred_batch_size: [ \(sizes.map { String($0) }.joined(separator: ", ")) ] }"]
    case .maximumBatchRows(let rows): return line(batching.maximumRows.map { "max_batch_size: \($0)" }, "max_batch_size: \(rows)")
    case .maximumQueueSize(let size):
      return line(
        batching.maximumQueueSize.map { "dynamic_batching { default_queue_policy { max_queue_size: \($0) } }" },
        "dynamic_batching { default_queue_policy { max_queue_size: \(size) } }")
    case .queueTimeout(let new):
      return line(
        batching.timeoutMicroseconds.map { "dynamic_batching { default_queue_policy { default_timeout_microseconds: \($0) } }" },
        "dynamic_batching { default_queue_policy { default_timeout_microseconds: \(new) } }")
    case .cudaGraphs, .eagerBatching, .pinnedTransfers, .dynamicBatching: return typed.map { ["+ \($0)"] } ?? []
    default: return []
    }
  }

  /// In a list of changes that would move nothing.
  public func shortText(on device: DeviceClass) -> String {
    switch self {
    case .clientCores(let count): "\(count) generator processes"
    case .frontEndCores(let count): "\(count) HTTP threads"
    case .frontEndTimeScale: "binary tensors"
    case .removeRedundantWork: "removing redundant rows"
    case .cudaGraphs: "CUDA graphs"
    case .instances(let count): "\(count) instance\(count == 1 ? "" : "s")"
    case .issuingThreadPerInstance: "a launch thread per instance"
    case .eagerBatching: "eager batching"
    case .dynamicBatching: "dynamic batching"
    case .batchDelay(let microseconds): microseconds == 0 ? "no queue delay" : "a queue delay of \(microseconds) us"
    case .preferredSizes(let sizes): sizes.isEmpty ? "no preferred_batch_size" : "another preferred_batch_size"
    case .maximumBatchRows(let rows): "max_batch_size \(rows)"
    case .maximumQueueSize: "a longer queue"
    case .queueTimeout: "a longer queue timeout"
    case .pinnedTransfers: "pinned memory"
    case .gatheredCopies: "gathered copies"
    case .overlappedCopies: "overlapped copies"
    case .dispatchGapScale: "smaller inter-kernel gaps"
    case .gpuTimeScale(let factor): typed(on: device, model: "") ?? (factor > 1 ? "a slower \(device.noun)" : "faster kernels")
    case .weightBytesScale: "narrower weights"
    case .splitK: "split-K"
    }
  }
}

extension Fix {
  /// All its changes as something to type; where there is nothing, its own words and where that is done.
  public func typed(on device: DeviceClass, model: String) -> String {
    let parts = changes.compactMap { $0.typed(on: device, model: model) }
    guard parts.isEmpty else { return parts.joined(separator: ", ") }
    return place.map { "\(title) (\($0.text))" } ?? title
  }
}
