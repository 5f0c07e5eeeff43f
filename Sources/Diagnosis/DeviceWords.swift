import Trace

/// How sentences name a device and what happens around it: by its class, so that a run on processor cores is not told of a GPU.
extension DeviceClass {
  /// "the GPU", "the device".
  public var noun: String { self == .processor ? "device" : "GPU" }

  /// Findings that can hold on such a device; nil: all of them. On processor cores nothing of launches, copies over a link, streaming
  /// multiprocessors or a GPU's memory.
  public var findings: Set<FindingCode>? {
    switch self {
    case .processor: [.HR101, .HR102, .HR103, .HR111, .HR121, .HR123, .HR124, .HR131, .HR211]
    case .gpu, .simulatedGPU: nil
    }
  }
}

extension Station {
  /// As printed in tables of a run on such a device.
  public func text(on device: DeviceClass) -> String {
    let isProcessor = device == .processor
    return switch self {
    case .client: "client"
    case .wire: "wire"
    case .frontEnd: "front end"
    case .batcher: "batcher"
    case .gatherAndUpload: isProcessor ? "gather" : "gather + H2D"
    case .issuingThread: "issuing thread"
    case .gpu: device.noun
    case .downloadAndResponse: isProcessor ? "output" : "D2H + response"
    }
  }

  /// "in the client", as a verdict says it of a run on such a device.
  public func place(on device: DeviceClass) -> String {
    let isProcessor = device == .processor
    return switch self {
    case .client: "in the client"
    case .wire: "on the wire"
    case .frontEnd: "in the front end"
    case .batcher: "in the batcher"
    case .gatherAndUpload: isProcessor ? "in gather" : "in gather and H2D"
    case .issuingThread: "in the issuing thread"
    case .gpu: "in the \(device.noun)"
    case .downloadAndResponse: isProcessor ? "in output" : "in D2H and response"
    }
  }
}

extension Regime {
  /// As sentences about a run on such a device name it. The raw value is what programs read.
  public func text(on device: DeviceClass) -> String { self == .deviceBound ? "\(device.noun)-bound" : rawValue }
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
