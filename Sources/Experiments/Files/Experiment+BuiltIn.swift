public import HostModel
public import GPUModel
import ModelGraph
import Scheduling
import Simulation
import TimeBase
import Workload

extension Experiment {
  /// The published case study: three heads behind one serving configuration (Docs/case-study.md).
  public static let caseStudyName = "case-study"
  /// Experiments that run without a file, by name.
  public static let builtInNames = [caseStudyName, "parts", "iso-m"]

  /// One of them.
  ///
  /// - Parameter seconds: length of the window; nil for the experiment's own.
  public static func builtIn(_ name: String, seconds: Double? = nil) throws(ExperimentError) -> Experiment {
    switch name {
    case caseStudyName: return try caseStudy(seconds: seconds ?? 120)
    case "parts": return try parts(seconds: seconds ?? 5)
    case "iso-m": return try isoM(seconds: seconds ?? 10)
    default:
      throw ExperimentError("no built-in experiment is called \"\(name)\"; there are \(builtInNames.joined(separator: ", "))")
    }
  }

  static func gpu(_ name: String) throws(ExperimentError) -> GPU {
    do { return try GPUCatalogue().find(name).gpu } catch { throw ExperimentError("\(error)") }
  }

  /// The case study's serving configuration, field by field.
  static let caseStudyScheduler = SchedulerConfiguration(
    maximumBatchRows: 256,
    batching: DynamicBatchingPolicy(
      preferredSizes: [128, 256], maximumQueueDelay: .microseconds(10_000), preservesOrdering: true,
      defaultQueuePolicy: QueuePolicy(
        timeoutAction: .reject, defaultTimeout: .microseconds(120_000_000), maximumQueueSize: 20_480)))

  /// Its load: 1,000 users; 50 rows per request follow from its batch counts, the mean think time is fitted (`Hypotheses`).
  static func caseStudyWorkload(seconds: Double) -> Workload {
    Workload(
      load: .closed(users: 1000, spawnRate: 100, think: .uniform(.milliseconds(80), .milliseconds(480))), rows: .fixed(50),
      warmUp: .milliseconds(15_000), duration: TimeSpan(clampingSeconds: seconds))
  }

  /// The published case study: three heads behind one serving configuration.
  public static func caseStudy(seconds: Double = 120, host: HostProfile = .triton) throws(ExperimentError) -> Experiment {
    let gpu = try gpu("rtx-pro-6000")
    let heads: [(String, ModelSource)] = [
      ("linear", .builtIn(.linear(layers: 19))), ("stacked", .builtIn(.stacked(layers: 19))), ("seqlen", .builtIn(.seqlen(layers: 20))),
    ]
    return Experiment(
      name: caseStudyName,
      question:
        "Three classification heads behind one serving configuration: how much of the GPU idles in each, why, and what would change it?",
      variants: heads.map {
        Variant(
          name: $0.0, model: $0.1, gpu: gpu, scheduler: caseStudyScheduler, workload: caseStudyWorkload(seconds: seconds), host: host)
      },
      notes: ["19 large GEMMs per batch in every head: the case study's kernel counts are divisible by 19, its text says 20"])
  }

  /// The case study as a processor can do it: one row per request, and as many users as each head needs to show where it ends.
  public static func caseStudyOnProcessor(seconds: Double = 20) throws(ExperimentError) -> Experiment {
    var experiment = try caseStudy(seconds: seconds)
    experiment.name = caseStudyName
    experiment.repetitions = 1
    experiment.notes = ["one row per request; 1,000, 200 and 64 users: what a processor does in a second is far below a GPU's"]
    for (index, users) in [1000, 200, 64].enumerated() where experiment.variants.indices.contains(index) {
      // All users are there after two seconds; another one lets the wave that makes spread out.
      experiment.variants[index].workload = Workload(
        load: .closed(users: users, spawnRate: Double(users) / 2, think: .uniform(.milliseconds(80), .milliseconds(480))), rows: .fixed(1),
        warmUp: .milliseconds(3000), duration: TimeSpan(clampingSeconds: seconds))
    }
    return experiment
  }

  /// The case study as it stands, on a GPU here: its users, rows and serving configuration; a ramp of two seconds in place of ten.
  ///
  /// - Parameters:
  ///   - gpu: what the prediction is made for.
  ///   - host: what it takes a host to cost.
  public static func caseStudyOnGPU(seconds: Double = 20, gpu: GPU, host: HostProfile = .h200Native) throws(ExperimentError) -> Experiment {
    var experiment = try caseStudy(seconds: seconds, host: host)
    experiment.repetitions = 1
    for index in experiment.variants.indices {
      var variant = experiment.variants[index]
      variant.gpu = gpu
      // As this server does it: one copy of what was gathered in page-locked memory, on a stream of its own, two batches at a time.
      variant.execution.issuing = .perInstance
      variant.execution.overlapsCopies = true
      variant.execution.permits = 2
      variant.workload = Workload(
        load: .closed(users: 1000, spawnRate: 500, think: .uniform(.milliseconds(80), .milliseconds(480))), rows: .fixed(50),
        warmUp: .milliseconds(5000), duration: TimeSpan(clampingSeconds: seconds))
      experiment.variants[index] = variant
    }
    return experiment
  }

  /// What the case study says about its earlier parts: a mid-size encoder whose gaps are copies, and a tiny one whose batches do not overlap, with
  /// one and more instances.
  public static func parts(seconds: Double = 5) throws(ExperimentError) -> Experiment {
    let gpu = try gpu("rtx-pro-6000")
    let policy = DynamicBatchingPolicy(
      preferredSizes: [], maximumQueueDelay: .microseconds(500), defaultQueuePolicy: QueuePolicy(maximumQueueSize: 20_480))
    // A generator and a front end with room, so that what lies behind them shows; pageable copies for the mid-size model, as a backend
    // does that is given unpinned buffers.
    let host = HostProfile.tritonServer.with(.frontEndCores, 16, .assumed, "with room")
    func workload(_ users: Int, _ rows: Int) -> Workload {
      Workload(
        load: .closed(users: users, spawnRate: Double(users), think: .constant(.zero)), rows: .fixed(rows), warmUp: .milliseconds(2000),
        duration: TimeSpan(clampingSeconds: seconds))
    }
    var variants: [Variant] = []
    for instances in [1, 2] {
      var execution = ExecutionOptions()
      execution.issuing = .perInstance
      execution.pinsMemory = false
      execution.gathersCopies = false
      variants.append(
        Variant(
          name: "mid x\(instances)", model: .builtIn(.encoder(layers: 6, hidden: 384, heads: 12, sequence: 128)), gpu: gpu,
          scheduler: SchedulerConfiguration(maximumBatchRows: 64, batching: policy, instances: instances), execution: execution,
          workload: workload(256, 4), host: host))
    }
    for instances in [1, 2, 4] {
      // One launch thread for all instances, as Triton's TensorRT backend has it.
      variants.append(
        Variant(
          name: "tiny x\(instances)", model: .builtIn(.encoder(layers: 2, hidden: 128, heads: 2, sequence: 128)), gpu: gpu,
          scheduler: SchedulerConfiguration(maximumBatchRows: 8, batching: policy, instances: instances), workload: workload(256, 4),
          host: host))
    }
    return Experiment(
      name: "parts",
      question: "A mid-size encoder whose gaps are copies and a tiny one whose batches do not overlap: do more instances help?",
      variants: variants,
      repetitions: 2,
      notes: ["the case study describes its earlier parts in words; model sizes and load here are ours"])
  }

  /// Is it the architecture, or the rows? Linear with B rows against SeqLen with B x S of the same product: shape is M.
  public static func isoM(seconds: Double = 10) throws(ExperimentError) -> Experiment {
    let gpu = try gpu("rtx-pro-6000")
    let host = HostProfile.tritonServer.with(.frontEndCores, 64, .assumed, "with room")
      .with(.networkPerByte, 0, .assumed, "no wire in the way").with(.gatherPerByte, 0, .assumed, "inputs already on the device")
      .with(.copyPerByte, 0, .assumed, "inputs already on the device").with(.frontEndPerByte, 0, .assumed, "inputs already on the device")
    func variant(_ name: String, _ head: BuiltInHead, rows: Int) -> Variant {
      Variant(
        name: name, model: .builtIn(head), gpu: gpu,
        scheduler: SchedulerConfiguration(maximumBatchRows: rows, batching: DynamicBatchingPolicy(maximumQueueDelay: .microseconds(500))),
        workload: Workload(
          load: .closed(users: 8, spawnRate: 100, think: .constant(.zero)), rows: .fixed(rows), warmUp: .milliseconds(500),
          duration: TimeSpan(clampingSeconds: seconds)), host: host)
    }
    var variants: [Variant] = []
    for m in [128, 1024, 8192, 32_768] {
      variants.append(variant("linear M \(m)", .linear(layers: 19), rows: m))
      variants.append(variant("seqlen M \(m)", .seqlen(layers: 20), rows: m / 128))
    }
    return Experiment(
      name: "iso-m",
      question: "At an equal number of GEMM rows M, does SeqLen fill the GPU better than Linear?", variants: variants, repetitions: 2,
      notes: [
        "SeqLen adds 19 LayerNorms, so its batches take longer at the same M; compare SMs with a resident block and the dominant kernel's time",
        "every request is a whole batch, so that batching plays no part",
      ])
  }
}
