public import Diagnosis
public import LoadModel
public import Trace

/// What came of an experiment on this machine: real servers, real requests, a real device.
public struct MeasuredResult: Sendable {
  /// What was asked.
  public var experiment: Experiment
  /// By variant, in the experiment's order.
  public var variants: [MeasuredVariant]
  /// What the device is.
  public var device: String
  /// What kind of device it is.
  public var deviceClass: DeviceClass
}

/// What came of one variant.
public struct MeasuredVariant: Sendable {
  /// What was served and asked.
  public var variant: Variant
  /// As a comparison shows it.
  public var compared: ComparedRun
  /// Of all variants at the same rows per second, where that was asked for.
  public var atEqualRows: EqualRows?
  /// CPU time of the server a request, of the load run.
  public var serverCPUPerRequest: Figure?
  /// What other programs used of the machine meanwhile, in cores.
  public var foreignCores: Figure?
  /// How well the run was reproduced in virtual time, or why no gain is computed; nil where none was asked for.
  public var fittedRemark: String?
  /// See `FittedSimulation.reproductionError`.
  public var reproductionError: Figure?
  /// What the generator says of itself.
  public var generator: ClientVerdict
  /// Whether the figures are steady, as the generator saw them.
  public var stability: Stability

  /// What only a GPU's profiler and counters say; nil on a processor.
  public var onGPU: OnGPU?

  /// A run in an open loop at a rate that every variant can serve.
  public struct EqualRows: Sendable {
    /// Rows asked for a second.
    public var offered: Figure
    /// Rows answered a second.
    public var answered: Figure
    /// Server CPU time of a million rows.
    public var cpuSecondsPerMillionRows: Figure?
    /// Kernels' time of a million rows.
    public var kernelSecondsPerMillionRows: Figure?
    /// By the client-side latency, from the instant a request was due.
    public var medianLatency: Figure?
    /// See `medianLatency`.
    public var p99Latency: Figure?
    /// Rows per batch.
    public var rowsPerBatch: Figure?
    /// At least one kernel ran.
    public var gpuBusy: Figure?
  }
}
