/// Switches of how batches are prepared and executed (`ModelOptimizationPolicy`).
public struct OptimizationSettings: Sendable, Hashable {
  /// The next batch is prepared before the instance is ready for it.
  public var eagerBatching: Bool
  /// Inputs go through pinned memory on their way to the GPU.
  public var inputPinnedMemory: Bool
  /// Outputs go through pinned memory on their way from the GPU.
  public var outputPinnedMemory: Bool
  /// Kernels are launched as CUDA graphs.
  public var cudaGraphs: Bool
  /// Threads spin on events instead of sleeping.
  public var busyWaitEvents: Bool
  /// Outputs are copied on a stream of their own.
  public var outputCopyStream: Bool
  /// Number of buffers from which a kernel gathers inputs; 0 for never.
  public var gatherKernelBufferThreshold: Int
  /// How much ONNX Runtime rewrites a graph (`graph.level`): -1 basic, 1 extended, 2 not at all; nil: not stated, which is all.
  public var graphLevel: Int?

  /// Settings; the defaults are Triton's.
  public init(
    eagerBatching: Bool = false, inputPinnedMemory: Bool = true, outputPinnedMemory: Bool = true, cudaGraphs: Bool = false,
    busyWaitEvents: Bool = false, outputCopyStream: Bool = false, gatherKernelBufferThreshold: Int = 0,
    graphLevel: Int? = nil
  ) {
    self.graphLevel = graphLevel
    self.eagerBatching = eagerBatching
    self.inputPinnedMemory = inputPinnedMemory
    self.outputPinnedMemory = outputPinnedMemory
    self.cudaGraphs = cudaGraphs
    self.busyWaitEvents = busyWaitEvents
    self.outputCopyStream = outputCopyStream
    self.gatherKernelBufferThreshold = gatherKernelBufferThreshold
  }
}
