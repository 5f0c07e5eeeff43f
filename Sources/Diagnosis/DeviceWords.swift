import Trace

/// How sentences name a device and what happens around it: by its class, so that a run on processor cores is not told of a GPU.
extension DeviceClass {
  /// "the GPU", "the device".
  public var noun: String { self == .processor ? "device" : "GPU" }

  /// Findings that can hold on such a device; nil: all of them. On processor cores nothing of launches, copies over a link, streaming
  /// multiprocessors or a GPU's memory.
  public var findings: Set<FindingCode>? {
    switch self {
    case .processor: Set(FindingRegistry.rules.filter { $0.appliesToProcessors }.map { $0.code })
    case .gpu, .simulatedGPU: nil
    }
  }
}

extension PipelineStage {
  /// As printed in tables of a run on such a device.
  public func text(on device: DeviceClass) -> String {
    let isProcessor = device == .processor
    return switch self {
    case .client: "load generator"
    case .network: "network"
    case .frontEnd: "front end"
    case .batcher: "batcher"
    case .gatherAndUpload: isProcessor ? "gather" : "gather + H2D"
    case .launchThread: "launch thread"
    case .gpu: device.noun
    case .downloadAndResponse: isProcessor ? "output" : "D2H + response"
    }
  }

  /// "the load generator", as a verdict names it in a run on such a device.
  public func subject(on device: DeviceClass) -> String {
    let isProcessor = device == .processor
    return switch self {
    case .client: "the load generator"
    case .network: "the network"
    case .frontEnd: "the front end"
    case .batcher: "the batcher"
    case .gatherAndUpload: isProcessor ? "gathering inputs" : "gathering inputs and the host-to-device copy"
    case .launchThread: "the launch thread"
    case .gpu: "the \(device.noun)"
    case .downloadAndResponse: isProcessor ? "output" : "the device-to-host copy and the response"
    }
  }
}

extension Regime {
  /// As sentences about a run on such a device name it. The raw value is what programs read.
  public func text(on device: DeviceClass) -> String {
    switch self {
    case .clientBound: "client-bound"
    case .frontEndBound: "front-end-bound"
    case .batchingBound: "batching-bound"
    case .transferBound: "transfer-bound"
    case .launchBound: "launch-bound"
    case .noBatchPipelining: "no batch pipelining"
    case .interKernelGaps: "inter-kernel gaps"
    case .underfilled: "GEMMs too small to fill the \(device.noun)"
    case .memoryBound: "memory-bandwidth-bound"
    case .computeBound: "compute-bound"
    case .deviceBound: "\(device.noun)-bound"
    case .loadLimited: "load-limited"
    case .notSteady: "not steady"
    }
  }
}

extension Summary.Report {
  /// What a person calls it.
  public func title(on device: DeviceClass) -> String {
    switch self {
    case .cudaAPI: "CUDA API summary"
    case .gpuKernels: "\(device.noun) kernel summary"
    case .gpuMemory: "\(device.noun) memory copies"
    case .osRuntime: "OS runtime (threads waiting or calling)"
    }
  }
}
