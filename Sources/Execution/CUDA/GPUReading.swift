/// What a GPU's counters say of one interval, with the source that answered or the reason why none did.
public struct GPUReading: Sendable, Hashable {
  /// What is read. The names are the ones of `headroom explain --metric`.
  public enum Quantity: String, Sendable, Hashable, CaseIterable {
    /// Share of time in which any kernel ran (nvidia-smi's GPU-Util): temporal, whatever the kernel's size. Percent.
    case gpuBusy = "GPU busy"
    /// Share of time in which device memory was read or written. Percent.
    case memoryBusy = "memory busy"
    /// Share of time in which the graphics or compute engine was in use. Percent.
    case graphicsActive = "graphics engine active"
    /// Cycles in which an SM had a warp, averaged over SMs. Percent.
    case smActive = "SM active"
    /// Resident warps of the maximum, over all cycles. Percent.
    case smOccupancy = "SM occupancy"
    /// Cycles in which the tensor pipe was active. Percent.
    case tensorActive = "tensor active"
    /// Cycles in which device memory moved data. Percent.
    case dramActive = "DRAM active"
    /// Clock of the SMs, MHz.
    case smClock = "SM clock"
    /// Its maximum, MHz.
    case smClockMaximum = "SM clock maximum"
    /// Clock of device memory, MHz.
    case memoryClock = "memory clock"
    /// Power drawn, watts.
    case power = "power"
    /// Power that is enforced as the limit, watts.
    case powerLimit = "power limit"
    /// Device memory in use, bytes.
    case memoryUsed = "memory used"
    /// Device memory in all, bytes.
    case memoryTotal = "memory total"

    /// Of its values.
    public var unit: String {
      switch self {
      case .smClock, .smClockMaximum, .memoryClock: "MHz"
      case .power, .powerLimit: "W"
      case .memoryUsed, .memoryTotal: "bytes"
      default: "%"
      }
    }
  }

  /// What became of one quantity.
  public enum Answer: Sendable, Hashable {
    /// Its value, and which interface gave it.
    case value(Double, source: String)
    /// Why there is none, and what would allow it.
    case refused(String)

    /// The value, where there is one.
    public var value: Double? { if case .value(let value, _) = self { value } else { nil } }
  }

  /// A process that uses the GPU.
  public struct Process: Sendable, Hashable {
    /// The system's number.
    public var process: Int64
    /// Device memory, bytes; nil where the driver does not say.
    public var memoryBytes: Int64?
    /// Share of time in which kernels of it ran, percent; nil where the driver does not say.
    public var busyPercent: Double?
    /// The GPU instance it runs in, with MIG; nil: the whole GPU.
    public var gpuInstance: Int?
  }

  /// A GPU instance: a part of a GPU that MIG has split, with SMs and memory of its own.
  public struct Instance: Sendable, Hashable {
    /// NVML's GPU instance ID, unique within the GPU.
    public var identifier: Int
    /// As NVML names its first MIG device: "NVIDIA H100 80GB HBM3 MIG 1g.10gb".
    public var name: String
    /// UUIDs of its MIG devices, one per compute instance, as CUDA_VISIBLE_DEVICES takes them.
    public var uuids: [String]
    /// GPM's counters, as shares of the instance, and its memory.
    public var answers: [Quantity: Answer] = [:]
  }

  /// The driver's index of the GPU: all GPUs of the machine, whatever CUDA_VISIBLE_DEVICES says.
  public var index: Int
  /// Name.
  public var name: String
  /// UUID; empty where the driver does not say.
  public var uuid: String
  /// Every quantity.
  public var answers: [Quantity: Answer] = [:]
  /// GPU instances, where MIG is on.
  public var instances: [Instance] = []
  /// What holds the clocks down, in words; nil where the driver does not say.
  public var clockLimits: [String]?
  /// Who uses it.
  public var processes: [Process] = []
  /// Why processes, or what they use, are not known; nil where they are.
  public var processesRefused: String?

  /// A GPU of which nothing is known yet.
  public init(index: Int, name: String, uuid: String) {
    self.index = index
    self.name = name
    self.uuid = uuid
  }
}
