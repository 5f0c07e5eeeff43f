/// What kind of device ran the work: what may be said of it follows from this, never from its name.
public enum DeviceClass: String, Sendable, Hashable, CaseIterable {
  /// Cores of this machine: kernels are steps of a thread. Nothing of launches, copies over a link or streaming multiprocessors applies.
  case processor
  /// A GPU.
  case gpu
  /// A GPU of which only a model exists: kernel times are predicted, outputs are zeros.
  case simulatedGPU

  /// What kind of device a name of `--device` means: "cpu", "sim:NAME", anything else ("cuda:0") is a GPU.
  public init(deviceName: String) {
    self = deviceName == "cpu" ? .processor : deviceName.hasPrefix("sim:") ? .simulatedGPU : .gpu
  }

  /// Whether it is a GPU, or a model of one.
  public var isGPU: Bool { self != .processor }

  /// Whether times come from a model.
  public var isSimulated: Bool { self == .simulatedGPU }
}

extension GPUDescription {
  /// Before the name of a processor in a trace's list of devices.
  static let processorMark = "CPU: "
  /// Behind the name of a simulated device.
  static let simulatedMark = " (simulated by headroom)"

  /// The name under which a trace lists a device of this class.
  public static func name(_ hardware: String, _ deviceClass: DeviceClass) -> String {
    switch deviceClass {
    case .processor: processorMark + hardware
    case .gpu: hardware
    case .simulatedGPU: hardware.hasSuffix(simulatedMark) ? hardware : hardware + simulatedMark
    }
  }

  /// What kind of device the trace lists: other tools' files list GPUs; ours mark processors and simulated GPUs in the name, which every
  /// reader of the format keeps.
  public var deviceClass: DeviceClass {
    if name.hasPrefix(Self.processorMark) { return .processor }
    return name.hasSuffix(Self.simulatedMark) ? .simulatedGPU : .gpu
  }
}

extension Trace {
  /// What kind of device the trace is of: its first device's; a GPU where none is listed.
  public var deviceClass: DeviceClass { gpus.first?.deviceClass ?? .gpu }
}
