import GPUModel
import HostModel
import ModelGraph
import Planning
import Simulation
import TimeBase

/// A program whose behaviour on a real Hopper GPU is known: how it is built, and what was read while it ran. The prediction is made from
/// the first alone; the second stands beside it.
public struct HopperSituation: Sendable {
  /// Short name.
  public var name: String
  /// What runs, in words.
  public var about: String
  /// The GPU it ran on, as the catalogue names it.
  public var gpu: String
  /// Steps per second that a timer keeps; nil: the next step follows at once.
  public var pace: Double?
  /// What of it was used to choose a parameter: then its error says how well the fit went.
  public var isInput: Bool
  /// What was read; see `Reading`.
  public var reading: Reading
  /// The program, on its GPU with its host profile and kernel constants.
  public var loop: @Sendable (KernelModel) throws(ExperimentError) -> DeviceLoop

  /// What was read without a profiler, for four seconds each; nil where it was not. Shares are per cent of time.
  public struct Reading: Sendable, Hashable {
    /// Steps per second.
    public var stepsPerSecond: Double
    /// Kernel time per step of a profiler's records x steps per second.
    public var gpuBusy: Double?
    /// GPM graphics.
    public var graphics: Double?
    /// GPM SM.
    public var sm: Double?
    /// GPM tensor.
    public var tensor: Double?
    /// Lowest and highest polled utilization.gpu.
    public var polled: ClosedRange<Double>?
    /// GPM PCIe to the device, MB/s.
    public var received: Double?

    init(
      stepsPerSecond: Double, gpuBusy: Double? = nil, graphics: Double? = nil, sm: Double? = nil, tensor: Double? = nil,
      polled: ClosedRange<Double>? = nil, received: Double? = nil
    ) {
      self.stepsPerSecond = stepsPerSecond
      self.gpuBusy = gpuBusy
      self.graphics = graphics
      self.sm = sm
      self.tensor = tensor
      self.polled = polled
      self.received = received
    }
  }

  /// Where the readings come from.
  public static let source =
    "one H200 and one H100 (virtual machines of 16 cores, driver 580.159, CUDA 13.0, PyTorch 2.11), 2026-11: GPM counters and polls of nvidia-smi "
    + "every 100 ms beside a loop of 4 s without a profiler; kernel time per step from PyTorch's profiler afterwards"

  /// All of them.
  public static let all: [HopperSituation] = [
    HopperSituation(
      name: "linear, paced", about: "linear head, 250 rows, eager, 236 steps/s by a timer", gpu: "h200", pace: 236.04, isInput: false,
      reading: Reading(stepsPerSecond: 236.04, gpuBusy: 3.1, graphics: 4.3, sm: 1.46, tensor: 0.27, polled: 5...5, received: 148),
      loop: { (model) throws(ExperimentError) in try eager(.linear(), 250, model, pace: 236.04) }),
    HopperSituation(
      name: "linear, closed loop", about: "the same, one step after the other", gpu: "h200", pace: nil, isInput: true,
      reading: Reading(stepsPerSecond: 1344, gpuBusy: 17.5, graphics: 24.6, sm: 8.4, tensor: 1.53, polled: 18...31, received: 841),
      loop: { (model) throws(ExperimentError) in try eager(.linear(), 250, model) }),
    HopperSituation(
      name: "stacked, closed loop", about: "stacked heads, 250 rows, eager", gpu: "h200", pace: nil, isInput: true,
      reading: Reading(stepsPerSecond: 1000, gpuBusy: 28.7, graphics: 36.3, sm: 19.2, tensor: 5.5, polled: 37...42, received: 673),
      loop: { (model) throws(ExperimentError) in try eager(.stacked(), 250, model) }),
    HopperSituation(
      name: "seqlen, paced", about: "seqlen head, 250 rows of 128, eager, 202 steps/s by a timer", gpu: "h200", pace: 202.05,
      isInput: false,
      reading: Reading(stepsPerSecond: 202.05, gpuBusy: 80.2, graphics: 81.3, sm: 75.3, tensor: 25.7, polled: 82...82, received: 149),
      loop: { (model) throws(ExperimentError) in try eager(.seqlen(), 250, model, pace: 202.05) }),
    HopperSituation(
      name: "linear, needless sync", about: "linear head, one value read back after each layer", gpu: "h200", pace: nil, isInput: false,
      reading: Reading(stepsPerSecond: 799, gpuBusy: 10.0, graphics: 14.1, sm: 5.0, tensor: 0.91, polled: 13...22, received: 86),
      loop: { (model) throws(ExperimentError) in
        let launches = try kernels(.linear(), 250, model).dropLast()
        var work: [DeviceLoop.Work] = []
        for first in stride(from: 0, to: launches.count - 1, by: 2) {
          work.append(.kernels(Array(launches[first...(first + 1)])))
          // Indexing is an operator without a kernel.
          work.append(.host(microseconds: HostProfile.h200PyTorch[.operation].value))
          work.append(.download(bytes: 2))
        }
        return DeviceLoop(work, host: .h200PyTorch)
      }),
    HopperSituation(
      name: "pageable copy", about: "128 MiB from pageable memory, then the linear head of 64 rows", gpu: "h200", pace: nil, isInput: true,
      reading: Reading(stepsPerSecond: 63.5, gpuBusy: 0.8, graphics: 1.1, sm: 0.41, tensor: 0.02, polled: 16...20, received: 8738),
      loop: { (model) throws(ExperimentError) in try copying(isPinned: false, model) }),
    HopperSituation(
      name: "pinned copy", about: "the same from page-locked memory", gpu: "h200", pace: nil, isInput: false,
      reading: Reading(stepsPerSecond: 383),
      loop: { (model) throws(ExperimentError) in try copying(isPinned: true, model) }),
    HopperSituation(
      name: "large product", about: "one product of 8,192 x 8,192 x 8,192, fp16, and a wait; ran at 1,380 MHz", gpu: "h200", pace: nil,
      isInput: true,
      reading: Reading(stepsPerSecond: 564, gpuBusy: 95.3, graphics: 97.5, sm: 93.8, tensor: 91.1, polled: 95...99, received: 2),
      loop: { (model) throws(ExperimentError) in
        DeviceLoop([.kernels([try product(8192, 8192, 8192, model)]), .synchronize], host: .h200PyTorch)
      }),
    HopperSituation(
      name: "linear, graph", about: "linear head, 250 rows, copied in, run as one CUDA graph, read back", gpu: "h200", pace: nil,
      isInput: false,
      reading: Reading(stepsPerSecond: 5478, graphics: 72, sm: 35, tensor: 6.5),
      loop: { (model) throws(ExperimentError) in
        DeviceLoop(
          [.upload(bytes: 512_000, isPinned: true), .graph(try kernels(.linear(), 250, model)), .download(bytes: 1000)], host: .h200PyTorch)
      }),
    HopperSituation(
      name: "two streams, graphs", about: "two linear heads, 250 rows, graphs on two streams, then a wait for both", gpu: "h200", pace: nil,
      isInput: false,
      reading: Reading(stepsPerSecond: 4266, gpuBusy: 89.1, graphics: 84.7, sm: 53.3, tensor: 10.4, polled: 80...88, received: 37),
      loop: { (model) throws(ExperimentError) in
        let launches = try kernels(.linear(), 250, model)
        return DeviceLoop([.graph(launches, stream: 0), .graph(launches, stream: 1), .synchronize], streams: 2, host: .h200PyTorch)
      }),
    HopperSituation(
      name: "one block", about: "20 scans of two kernels of one block, then one block that spins for 2.02 ms, and a wait", gpu: "h200",
      pace: nil, isInput: false,
      reading: Reading(stepsPerSecond: 397, gpuBusy: 81.8, graphics: 83.6, sm: 0.61, tensor: 0, polled: 79...85, received: 27),
      loop: { (model) throws(ExperimentError) in
        let small = model.predict(MemoryKernel(warmReadBytes: 64, writtenBytes: 64)).microseconds
        let scan = oneBlock("scan", microseconds: small, model)
        let spin = oneBlock("spin", microseconds: 2_020, model)
        return DeviceLoop(
          [.kernels(Array(repeating: scan, count: 40), perOperator: 2), .kernels([spin]), .synchronize], host: .h200PyTorch)
      }),
    HopperSituation(
      name: "MiniLM", about: "encoder of 6 layers, 384 wide, 32 rows of 128 tokens, eager, fused attention", gpu: "h100-sxm", pace: nil,
      isInput: true,
      reading: Reading(stepsPerSecond: 250, gpuBusy: 13.5, graphics: 16.7, sm: 9.8, tensor: 2.3, polled: 15...21, received: 51),
      loop: { (model) throws(ExperimentError) in
        try encoder(.encoder(layers: 6, hidden: 384, heads: 12, sequence: 128), 32, outputBytes: 24576, model)
      }),
    HopperSituation(
      name: "BERT base", about: "encoder of 12 layers, 768 wide, 1 row of 128 tokens, eager, fused attention", gpu: "h100-sxm", pace: nil,
      isInput: false,
      reading: Reading(stepsPerSecond: 169, gpuBusy: 9.5, graphics: 14.2, sm: 4.05, tensor: 0.36, polled: 12...15, received: 67),
      loop: { (model) throws(ExperimentError) in
        try encoder(.encoder(layers: 12, hidden: 768, heads: 12, sequence: 128), 1, outputBytes: 1536, model)
      }),
    HopperSituation(
      name: "seqlen, compiled", about: "seqlen head, 250 rows of 128, torch.compile (LayerNorm and ReLU in one kernel) as a CUDA graph",
      gpu: "h100-sxm", pace: nil, isInput: true,
      reading: Reading(stepsPerSecond: 309, gpuBusy: 88.3, graphics: 87.6, sm: 78.9, tensor: 40.7, polled: 86...95, received: 22),
      loop: { (model) throws(ExperimentError) in
        DeviceLoop(
          [
            .host(microseconds: HostProfile.h200PyTorch[.compiledCall].value),
            .graph(try kernels(.seqlen(), 250, model, fusion: .standard)), .download(bytes: 1000),
          ], host: .h200PyTorch)
      }),
  ]

  // MARK: Programs

  static func kernels(
    _ head: BuiltInHead, _ rows: Int, _ model: KernelModel, fusion: Fusion = .none
  ) throws(ExperimentError) -> [Launch] {
    do {
      return try PlanBuilder(model: model, type: .fp16, maxRows: rows, fusion: fusion).plan(try head.graph(seed: 1)).at(rows: rows).issued
    } catch { throw ExperimentError("\(head.name): \(error)") }
  }

  /// A back end's step: the batch's rows to the device, every kernel by a launch of its own, the result back.
  static func eager(
    _ head: BuiltInHead, _ rows: Int, _ model: KernelModel, pace: Double? = nil
  ) throws(ExperimentError) -> DeviceLoop {
    DeviceLoop(
      [
        .upload(bytes: Double(rows) * 1024 * 2, isPinned: true), .kernels(try kernels(head, rows, model)),
        .download(bytes: Double(rows) * 4),
      ], host: .h200PyTorch, period: pace.map { TimeSpan(clampingSeconds: 1 / $0) })
  }

  static func copying(isPinned: Bool, _ model: KernelModel) throws(ExperimentError) -> DeviceLoop {
    DeviceLoop(
      [.upload(bytes: 134_217_728, isPinned: isPinned), .kernels(try kernels(.linear(), 64, model)), .synchronize], host: .h200PyTorch)
  }

  /// Products with weights, LayerNorm, GELU and additions by a kernel each; attention in one, as frameworks run it. Splitting heads apart moves
  /// nothing.
  static func encoder(
    _ head: BuiltInHead, _ rows: Int, outputBytes: Double, _ model: KernelModel
  ) throws(ExperimentError) -> DeviceLoop {
    let launches: [Launch]
    let views: Int
    do {
      let graph = try head.graph(seed: 1)
      launches = try PlanBuilder(model: model, type: .fp16, maxRows: rows, fusion: .none, attention: .fused).plan(graph).at(rows: rows)
        .issued
      // Operators that only change how bytes are read: the thread works for them, the GPU does not.
      views = graph.nodes.count { node in
        switch node.operation {
        case .reshape, .transpose: true
        default: false
        }
      }
    } catch { throw ExperimentError("\(head.name): \(error)") }
    let host = HostProfile.h200PyTorch
    let operation = host[.operation].value
    // Spread over the step, as they are in it: a launch waits for its own views alone.
    let perLaunch = operation * Double(views) / Double(max(1, launches.count))
    return DeviceLoop(
      [.host(microseconds: host[.forwardPass].value), .kernels(launches), .download(bytes: outputBytes)],
      host: host.with(.operation, operation + perLaunch, .measured, "\(views) operators without a kernel spread over the launches"))
  }

  static func product(_ m: Int, _ n: Int, _ k: Int, _ model: KernelModel) throws(ExperimentError) -> Launch {
    let gemm = GEMM(m: m, n: n, k: k, type: .fp16)
    let predicted: GEMMPrediction
    do { predicted = try model.predict(gemm) } catch { throw ExperimentError("product: \(error)") }
    var shape = GPULaunchShape(
      tileM: predicted.tile.m, tileN: predicted.tile.n, splitK: predicted.splitK, grid: predicted.grid,
      block: [predicted.tile.threads, 1, 1],
      registersPerThread: predicted.tile.registersPerThread, sharedMemoryBytes: predicted.tile.sharedBytes,
      blocksPerSM: predicted.isPersistent ? 1 : predicted.tile.blocksPerSM, waves: predicted.fit.waves,
      residentSMShare: predicted.fit.residentSMShare,
      slotEfficiency: predicted.fit.slotEfficiency)
    shape.isPersistent = predicted.isPersistent
    var launch = Launch(
      step: 0, layer: "product", kernelName: "gemm", gemm: gemm, floatingPointOperations: gemm.floatingPointOperations, bytes: gemm.bytes,
      redundantFloatingPointOperations: 0, predictedNanoseconds: predicted.microseconds * 1e3,
      relativeErrorBand: predicted.relativeErrorBand,
      bound: predicted.bound, shape: .gpu(shape))
    launch.powerLimitedGigahertz = predicted.powerLimitedGigahertz
    return launch
  }

  static func oneBlock(_ name: String, microseconds: Double, _ model: KernelModel) -> Launch {
    let share = 1 / Double(max(1, model.gpu.smCount))
    return Launch(
      step: 0, layer: name, kernelName: name, floatingPointOperations: 0, bytes: 0, redundantFloatingPointOperations: 0,
      predictedNanoseconds: microseconds * 1e3, relativeErrorBand: 0, bound: .latency,
      shape: .gpu(
        GPULaunchShape(
          tileM: nil, tileN: nil, splitK: 1, grid: [1, 1, 1], block: [32, 1, 1], registersPerThread: 32, sharedMemoryBytes: 0,
          blocksPerSM: 1, waves: share, residentSMShare: share, slotEfficiency: 1)))
  }
}
