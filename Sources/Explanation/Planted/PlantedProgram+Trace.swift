import CheckedNumbers
import TimeBase
public import Trace

extension PlantedProgram {
  /// What a step does, nanoseconds.
  struct Step {
    /// Host time before the step: waiting for requests or data.
    var upstream = 0.0
    /// Host time between launches, and of a launch call.
    var hostGap = 1_500.0
    var launchCall = 4_000.0
    /// Kernels: name, blocks, duration.
    var kernels: [(name: String, blocks: Int32, nanoseconds: Double)] = []
    /// A copy to the device, bytes; its rate and whether its host memory is pageable.
    var copyBytes = 0.0
    var copyRate = 50e9
    var isPageable = false
    /// A scalar read back behind each kernel.
    var readsScalars = false
    /// Waits for the device at the step's end, and host time after it.
    var waits = true
    var afterWait = 20_000.0
  }

  private static let product = "nvjet_sm90_hsh_256x128_64x4_1x2_h_bz_coopA_bias_TNT"
  private static let small = "nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_bias_TNN"
  private static let mover = "void at::native::vectorized_elementwise_kernel<8, at::native::CUDAFunctor_add<c10::Half>>(int)"

  /// The step of this program: three strengths each.
  private var step: Step {
    let level = Double(strength)
    var step = Step()
    step.kernels = (0..<10).map { _ in (Self.product, 132, 90_000) }
    switch cause {
    case .client: step.upstream = 3e6 + 4e6 * level
    case .frontEnd: step.upstream = 2e6 + 3e6 * level
    case .batchingDelay: step.upstream = 1.5e6 + 4e6 * level
    case .starvation: step.upstream = 2.5e6 + 20e6 * level
    case .pageableTransfer:
      (step.copyBytes, step.copyRate, step.isPageable) = (40e6 * (1 + level), 10e9, true)
    case .pinnedTransfer: (step.copyBytes, step.copyRate) = (100e6 * (1 + level), 52e9)
    case .launchBound:
      step.kernels = (0..<40).map { _ in (Self.small, 96, 5_000) }
      step.hostGap = 6_000 + 8_000 * level
    case .unnecessarySynchronization:
      step.kernels = (0..<20).map { _ in (Self.small, 96, 5_000 + 3_000 * level) }
      (step.readsScalars, step.waits) = (true, false)
    case .noPipelining:
      step.kernels = (0..<10).map { _ in (Self.product, 132, 15_000) }
      step.afterWait = 120_000 + 300_000 * level
    case .smallGEMM: step.kernels = (0..<20).map { _ in (Self.small, Int32(clamping: 8 + 12 * strength), 60_000) }
    case .memoryBound: step.kernels = (0..<10).map { _ in (Self.mover, 20_000, 60_000 + 60_000 * level) }
    case .computeBound: step.kernels = (0..<10).map { _ in (Self.product, 132, 150_000 + 200_000 * level) }
    case .redundantWork: step.kernels = (0..<20).map { _ in (Self.product, 132, 90_000 + 60_000 * level) }
    case .coTenant, .clockLimited: step.kernels = (0..<10).map { _ in (Self.product, 132, 200_000) }
    case .healthyLoadLimited: step.upstream = 2e6 + 5e6 * level
    case .healthySaturated: step.kernels = (0..<16).map { _ in (Self.product, 132, 120_000 + 100_000 * level) }
    }
    return step
  }

  /// The trace alone: about so many steps as make a few thousand kernels at most.
  public func trace(steps: Int = 60) -> Trace { recording(steps: steps).trace }

  /// The trace, and where requests were meanwhile.
  public func recording(steps: Int = 60) -> PlantedRecording {
    var random = SplitMix64(seed: seed)
    var writer = TraceWriter()
    let step = step
    // Accidents: each time a tenth more or less.
    func near(_ nanoseconds: Double) -> Double { nanoseconds * (0.9 + 0.2 * random.nextUnitDouble()) }
    var batches: [PlantedRecording.Batch] = []
    for index in 0..<steps {
      let idleFrom = writer.host
      writer.host += near(step.upstream)
      if cause == .starvation { writer.range("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", from: idleFrom) }
      let begin = Int64(saturating: writer.host)
      if step.copyBytes > 0 {
        writer.copy(bytes: step.copyBytes, nanoseconds: near(step.copyBytes / step.copyRate * 1e9), pageable: step.isPageable)
      }
      for kernel in step.kernels {
        writer.host += near(step.hostGap)
        var duration = near(kernel.nanoseconds) * 0.5 + kernel.nanoseconds * 0.5
        if cause == .clockLimited { duration *= 1 + (0.15 + 0.15 * Double(strength)) * Double(index) / Double(max(1, steps)) }
        // Another process takes the SMs for a while: a run takes three times as long.
        if cause == .coTenant, random.nextUnitDouble() < 0.12 + 0.08 * Double(strength) { duration *= 3 }
        writer.launch(kernel.name, blocks: kernel.blocks, call: near(step.launchCall), nanoseconds: duration)
        if step.readsScalars { writer.readScalar() }
      }
      if step.waits {
        writer.synchronize()
        writer.host += near(step.afterWait)
      }
      batches.append(PlantedRecording.Batch(begin: begin, end: max(begin + 1, Int64(saturating: writer.host))))
    }
    var recording = PlantedRecording(trace: writer.trace, batches: batches)
    let period = batches.count > 1 ? ((batches.last?.begin ?? 0) - (batches.first?.begin ?? 0)) / Int64(clamping: batches.count - 1) : 1
    for (index, batch) in batches.enumerated() {
      recording.requests += requests(
        batch: index, begin: batch.begin, previousEnd: index > 0 ? batches[index - 1].end : 0, end: batch.end, period: period
      ) { random.nextUnitDouble() }
    }
    return recording
  }
}

/// A launching thread and a GPU with one stream, in made-up time.
private struct TraceWriter {
  var trace = Trace()
  /// The thread's clock, nanoseconds.
  var host = 0.0
  private var device = 0.0
  private var correlation: Int64 = 0
  private let thread: Int64 = 1 << 24 | 7
  private let stream: StreamID

  init() {
    trace.gpus = [
      GPUDescription(
        id: 0, cudaDevice: 0, name: "NVIDIA H200", smCount: 132, computeMajor: 9, computeMinor: 0, maxWarpsPerSM: 64, maxBlocksPerSM: 32,
        maxRegistersPerSM: 65_536, maxSharedMemoryBytesPerSM: 233_472)
    ]
    stream = trace.intern(StreamDescription(process: 1 << 24, device: 0, context: 1, stream: 7))
  }

  private mutating func call(_ name: String, _ nanoseconds: Double) {
    let start = Int64(saturating: host)
    host += nanoseconds
    correlation += 1
    trace.apiCalls.append(
      APICall(start: start, end: Int64(saturating: host), thread: thread, correlation: correlation, name: trace.names.intern(name)))
  }

  mutating func launch(_ name: String, blocks: Int32, call nanoseconds: Double, nanoseconds duration: Double) {
    let start = host
    call("cudaLaunchKernel_v7000", nanoseconds)
    let begin = max(start + 6_000, device > start ? device + 1_000 : 0)
    device = begin + duration
    let id = trace.names.intern(name)
    let description = trace.intern(
      KernelDescription(
        demangledName: id, shortName: id, grid: (blocks, 1, 1), block: (384, 1, 1), registersPerThread: 168,
        dynamicSharedMemoryBytes: 200_000))
    trace.kernels.append(
      KernelEvent(
        start: Int64(saturating: begin), end: Int64(saturating: device), description: description, stream: stream, correlation: correlation)
    )
  }

  /// A framework's range from a moment to now.
  mutating func range(_ name: String, from start: Double) {
    trace.ranges.append(
      RangeEvent(start: Int64(saturating: start), end: Int64(saturating: host), thread: thread, text: trace.names.intern(name)))
  }

  mutating func copy(bytes: Double, nanoseconds: Double, pageable: Bool) {
    let start = host
    // A pageable copy blocks its thread until all but its last piece is staged.
    let begin = max(start + 3_000, device > start ? device + 1_000 : 0)
    device = begin + nanoseconds
    call("cudaMemcpyAsync_v3020", pageable ? device - start : 5_000)
    trace.copies.append(
      CopyEvent(
        start: Int64(saturating: begin), end: Int64(saturating: device), stream: stream, correlation: correlation,
        bytes: Int64(saturating: bytes),
        direction: 1, sourceKind: pageable ? 0 : 1, destinationKind: 2))
  }

  mutating func readScalar() {
    let start = host
    let begin = max(start + 3_000, device + 1_000)
    device = begin + 1_500
    call("cudaMemcpyAsync_v3020", 6_000)
    trace.copies.append(
      CopyEvent(
        start: Int64(saturating: begin), end: Int64(saturating: device), stream: stream, correlation: correlation, bytes: 4, direction: 2,
        sourceKind: 2, destinationKind: 0))
    host += 1_000
    synchronize()
    host += 12_000
  }

  mutating func synchronize() { call("cudaStreamSynchronize_v3020", max(2_000, device + 4_000 - host)) }
}
