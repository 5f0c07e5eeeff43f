/// The case study's own figures, and what follows from them by division. Nothing here is ours.
public struct PublishedTable: Sendable {
  /// One variant's figures.
  public struct Row: Sendable {
    /// Variant.
    public var name: String
    /// Requests per second.
    public var throughput: Double
    /// Milliseconds.
    public var median: Double
    /// Milliseconds.
    public var p95: Double
    /// Milliseconds.
    public var mean: Double
    /// Requests in the run.
    public var requests: Double
    /// Records of the dominant kernel.
    public var kernels: Double
    /// Mean time of the dominant kernel, microseconds.
    public var kernelMicroseconds: Double
    /// cudaEventSynchronize, share of CUDA API time.
    public var synchronizeShare: Double
    /// cuLaunchKernelEx and cuLaunchKernel, share of CUDA API time.
    public var launchShare: Double

    /// Length of the run: requests over throughput, seconds.
    public var seconds: Double { requests / throughput }
    /// Kernel counts are divisible by 19 in all three variants.
    public var batches: Double { kernels / 19 }
    /// Requests over batches.
    public var requestsPerBatch: Double { requests / batches }
    /// Batches per second.
    public var batchesPerSecond: Double { batches / seconds }
    /// Share of the run in which the dominant kernel ran.
    public var gemmActive: Double { kernels * kernelMicroseconds / 1e6 / seconds }
  }

  /// All three.
  public static let rows = [
    Row(
      name: "linear", throughput: 1151.22, median: 410, p95: 580, mean: 440.97, requests: 140_217, kernels: 566_827,
      kernelMicroseconds: 6.2,
      synchronizeShare: 0.339, launchShare: 0.394),
    Row(
      name: "stacked", throughput: 1195.51, median: 390, p95: 550, mean: 419.26, requests: 145_461, kernels: 583_832,
      kernelMicroseconds: 12.3,
      synchronizeShare: 0.562, launchShare: 0.257),
    Row(
      name: "seqlen", throughput: 1004.73, median: 660, p95: 1100, mean: 683.84, requests: 121_039, kernels: 462_517,
      kernelMicroseconds: 199,
      synchronizeShare: 0.969, launchShare: 0.023),
  ]

  /// OS runtime shares, the same for all variants.
  public static let osShares: [(name: String, share: Double)] = [("futex", 0.54), ("epoll_wait", 0.165), ("sem_timedwait", 0.08)]
  /// Users of the case study's load test.
  public static let users = 1000.0
}
