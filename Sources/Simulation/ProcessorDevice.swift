public import DeviceModel

/// A processor in place of the plan's GPU: batches take measured times on the thread that gathered them, nothing is launched or copied to a
/// device, and an instance takes its next batch when the answers of the last one have left.
public struct ProcessorDevice: Sendable, Hashable {
  /// How the device is named in traces: "AMD EPYC 9555, 2 threads".
  public var name: String
  /// Measured times of whole batches.
  public var durations: BatchDurations
  /// Threads that compute a batch.
  public var threads: Int
  /// Cores that these threads share with client and front end; 0 where those have cores of their own.
  public var sharedCores: Int

  /// A processor with every field stated.
  public init(name: String, durations: BatchDurations, threads: Int, sharedCores: Int) {
    self.name = name
    self.durations = durations
    self.threads = threads
    self.sharedCores = sharedCores
  }
}
