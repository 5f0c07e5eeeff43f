public import Vocabulary
public import HostModel
import DeviceModel
public import Planning
public import Scheduling
public import Workload

/// A whole serving system: what is asked, what decides, what runs it, what the host costs.
public struct SimulationConfiguration: Sendable {
  /// Model name, as the trace shows it.
  public var model: String
  /// What is asked.
  public var workload: Workload
  /// What decides.
  public var scheduler: SchedulerConfiguration
  /// What runs.
  public var plan: Plan
  /// What the host costs.
  public var host: HostProfile
  /// How batches reach the device.
  public var execution = ExecutionOptions()
  /// A processor that runs the batches in place of the plan's GPU; the plan then tells bytes alone.
  public var processor: ProcessorDevice?
  /// Every time of one kind, multiplied; 1 where not named.
  public var scales: [TimeTerm: Double] = [:]
  /// Seed of every draw.
  public var seed: UInt64
  /// Whether a trace is kept.
  public var keepsTrace: Bool
  /// Counts the run's events; nil where nobody asks. No figure depends on it.
  public var meter: SimulationMeter?

  /// A system.
  public init(
    model: String, workload: Workload, scheduler: SchedulerConfiguration, plan: Plan, host: HostProfile, seed: UInt64 = 1,
    keepsTrace: Bool = false
  ) {
    self.model = model
    self.workload = workload
    self.scheduler = scheduler
    self.plan = plan
    self.host = host
    self.seed = seed
    self.keepsTrace = keepsTrace
  }
}

/// How batches reach the device. The defaults are those of Triton's TensorRT backend (triton-inference-server/tensorrt_backend
/// `src/tensorrt.cc`, `src/instance_state.cc`).
public struct ExecutionOptions: Sendable, Hashable {
  /// Which host thread issues work.
  public enum Issuing: String, Sendable, Hashable, CaseIterable {
    /// One thread a model and device for all its instances.
    case perDevice
    /// One thread an instance (`execution-policy=BLOCKING`).
    case perInstance
  }

  /// Who issues.
  public var issuing = Issuing.perDevice
  /// Batches that an instance may have issued and unfinished: 1, or 3 with eager batching.
  public var permits = 1
  /// Launch a batch as one CUDA graph.
  public var usesCUDAGraphs = false
  /// One copy a batch, out of a buffer in which the requests' inputs were put together; else one copy a request.
  public var gathersCopies = true
  /// Host memory of the copies is page-locked.
  public var pinsMemory = true
  /// Uploads have a stream of their own.
  public var overlapsCopies = false
  /// Between a kernel's end and the start of the next one on its stream that was queued in time; nil: the host profile's, by how it launches.
  public var dispatchGapNanoseconds: Double?
  /// Kernels of a graph are linked by programmatic dependent launch.
  public var usesDependentLaunch = false
  /// The launch thread spins for a device's event rather than blocking.
  public var spins = false

  /// The defaults. Downloads on a stream of their own are not modelled: a classifier's outputs are a few kilobytes.
  public init() {}
}
