public import YAMLFields
public import HostModel
public import Diagnosis
public import GPUModel
public import ModelGraph
public import Planning
public import Scheduling
public import Simulation
public import Workload
import Explanation
import FileAccess
import ONNXFormat

/// A question put to several variants of one serving system.
public struct Experiment: Sendable {
  /// Short name; files are named after it.
  public var name: String
  /// What is asked, in a sentence.
  public var question: String
  /// What is compared, in order.
  public var variants: [Variant]
  /// What findings are ranked by; nil for the load's own.
  public var goal: Goal?
  /// The latency at which headroom and capacity are stated; assumed where nobody gave one.
  public var latencyGoal: LatencyGoal
  /// Runs of each variant with seeds of their own; the figures are the first one's, the spread is all of theirs.
  public var repetitions: Int
  /// Seed of the first run.
  public var seed: UInt64
  /// Remarks to be printed above the tables.
  public var notes: [String]

  /// An experiment.
  public init(
    name: String, question: String, variants: [Variant], goal: Goal? = nil, latencyGoal: LatencyGoal = .assumed, repetitions: Int = 3,
    seed: UInt64 = 1, notes: [String] = []
  ) {
    self.name = name
    self.question = question
    self.variants = variants
    self.goal = goal
    self.latencyGoal = latencyGoal
    self.repetitions = max(1, repetitions)
    self.seed = seed
    self.notes = notes
  }
}

/// One thing an experiment compares: model, device, serving configuration, load, host.
public struct Variant: Sendable {
  /// Name, as in the tables' heads.
  public var name: String
  /// What is served.
  public var model: ModelSource
  /// Arithmetic it runs in.
  public var type: ComputeType
  /// Rewrites beyond the standard ones, by name.
  public var rewrites: [String]
  /// How far the engine joins operators into kernels.
  public var fusion = Fusion.standard
  /// The device.
  public var gpu: GPU
  /// What decides.
  public var scheduler: SchedulerConfiguration
  /// How batches reach the device.
  public var execution: ExecutionOptions
  /// What is asked.
  public var workload: Workload
  /// What the host costs.
  public var host: HostProfile
  /// Every kernel's time, multiplied: 2 is a device half as fast.
  public var deviceTimeScale = 1.0
  /// The batcher's delay, multiplied: above 1 where its timer fires late.
  public var batchingDelayScale = 1.0
  /// A processor with measured batch times in place of the GPU; `gpu` then only helps to plan the bytes.
  public var processor: ProcessorDevice?

  /// A variant with every field stated.
  public init(
    name: String, model: ModelSource, type: ComputeType = .fp16, rewrites: [String] = [], gpu: GPU, scheduler: SchedulerConfiguration,
    execution: ExecutionOptions = ExecutionOptions(), workload: Workload, host: HostProfile
  ) {
    self.name = name
    self.model = model
    self.type = type
    self.rewrites = rewrites
    self.gpu = gpu
    self.scheduler = scheduler
    self.execution = execution
    self.workload = workload
    self.host = host
  }

  /// The plan of this variant's model on its device, optionally with further rewrites.
  public func plan(adding further: [String] = []) throws(ExperimentError) -> Plan {
    var passes: [any RewritePass.Type] = []
    for name in rewrites + further.filter({ !rewrites.contains($0) }) {
      guard let pass = Rewrites.named(name) else {
        let known = Rewrites.onRequest.map { $0.name }.joined(separator: ", ")
        throw ExperimentError("variant \(self.name): no rewrite is called \"\(name)\"; there are \(known)")
      }
      passes.append(pass)
    }
    let graph = try model.graph()
    let kernels = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    let rows = max(1, scheduler.maximumBatchRows)
    do { return try PlanBuilder(model: kernels, type: type, maxRows: rows, requested: passes, fusion: fusion).plan(graph) } catch {
      throw ExperimentError("variant \(name): \(error)")
    }
  }

  /// The system this variant lives in.
  public func system(_ plan: Plan, seed: UInt64, keepsTrace: Bool = false) -> SimulationConfiguration {
    var system = SimulationConfiguration(
      model: name, workload: workload, scheduler: scheduler, plan: plan, host: host, seed: seed, keepsTrace: keepsTrace)
    system.execution = execution
    system.processor = processor
    if deviceTimeScale != 1 { system.scales[.kernels] = deviceTimeScale }
    if batchingDelayScale != 1 { system.scales[.batchingDelay] = batchingDelayScale }
    return system
  }
}

/// Where a variant's model comes from.
public enum ModelSource: Sendable {
  /// One of ours.
  case builtIn(BuiltInHead)
  /// A file, with the sizes of its dynamic axes other than the batch axis: by name, or by input and axis ("ids:1").
  case onnx(path: String, dimensions: [String: Int] = [:])

  /// The graph.
  public func graph() throws(ExperimentError) -> Graph {
    do {
      switch self {
      case .builtIn(let head): return try head.graph(seed: 1)
      // To be planned, not run: operators without a kernel here are counted, as `headroom plan` does.
      case .onnx(let path, let dimensions):
        try Self.refuseUnknown(dimensions, path)
        return try ONNXReader.read(path: path, options: ONNXReader.Options(dynamicSizes: dimensions, purpose: .plan))
      }
    } catch let error as ONNXError {
      let hint = error.reason.contains("--dimension") ? " (in an experiment file: dimensions: {NAME: SIZE}, beside model)" : ""
      throw ExperimentError("model \(error)\(hint)")
    } catch let error as ExperimentError { throw error } catch { throw ExperimentError("model \(text): \(error)") }
  }

  /// A name that no dynamic axis has would be without effect, most likely a slip.
  private static func refuseUnknown(_ dimensions: [String: Int], _ path: String) throws(ExperimentError) {
    guard !dimensions.isEmpty, let axes = try? ONNXReader.dynamicAxes(path: path) else { return }
    for name in dimensions.keys.sorted() where !axes.contains(where: { $0.isMeant(by: name) }) {
      let known = Set(axes.compactMap { axis in axis.input.map { axis.name ?? "\($0):\(axis.axis)" } }).sorted().prefix(20)
      throw ExperimentError(
        "model \(path): dimension \"\(name)\": no input has such a dynamic axis; "
          + (known.isEmpty ? "every size is fixed" : "there are \(known.joined(separator: ", "))"))
    }
  }

  /// As an experiment file names it.
  public var text: String {
    switch self {
    case .builtIn(let head): head.name
    case .onnx(let path, _): path
    }
  }

  /// As a command that is to be typed names it.
  var command: String {
    switch self {
    case .builtIn(let head): head.command
    case .onnx(let path, _): CommandWord.quoted(path)
    }
  }

  /// Remarks on it.
  public var notes: [String] {
    switch self {
    case .builtIn(let head): head.notes
    case .onnx: []
    }
  }
}

/// Why an experiment could not be read or run: the error of its file, also where a run of it fails.
public typealias ExperimentError = YAMLFieldError
