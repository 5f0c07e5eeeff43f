import YAMLFields
import HostModel
import CheckedNumbers
import Diagnosis
import FileAccess
import GPUModel
import ModelConfiguration
import ModelGraph
import Planning
import Scheduling
import Simulation
import TimeBase
import Workload

/// Puts an experiment together from its file.
struct ExperimentReader {
  let file: String
  let folder: String

  /// What variants inherit and may replace.
  struct Setting {
    var gpu: GPU?
    var host = HostProfile.tritonServer
    var type = ComputeType.fp16
    var deviceTimeScale = 1.0
    var rewrites: [String] = []
    var fusion = Fusion.standard
    var scheduler = SchedulerConfiguration(maximumBatchRows: 0, batching: nil)
    var execution = ExecutionOptions()
    var workload = Workload(
      load: .closed(users: 100, spawnRate: 100, think: .constant(.zero)), rows: .fixed(1), warmUp: .milliseconds(5000),
      duration: .milliseconds(30_000))
  }

  static let experimentFields =
    "name, question, goal, p99GoalMilliseconds, repetitions, seed, device, deviceTimeScale, host, hostCosts, dtype, fusion, rewrites, workload, serving, variants"
  static let variantFields =
    "name, model, dimensions, layers, hidden, heads, sequence, device, deviceTimeScale, host, hostCosts, dtype, fusion, rewrites, workload, serving"

  mutating func experiment(_ all: YAMLFields) throws(ExperimentError) -> Experiment {
    var fields = all
    try fields.check(known: Self.experimentFields)
    let name = try fields.string("name") ?? "experiment"
    let question = try fields.string("question") ?? "What limits, and what would each change buy?"
    let goal = try fields.value("goal", "throughput, latency or cost") { Goal(rawValue: $0) }
    let p99 = try fields.number("p99GoalMilliseconds", 0.001...LatencyGoal.largestMilliseconds)
    let repetitions = try fields.int("repetitions", 1...100) ?? 3
    let seed = try fields.value("seed", "a whole number") { UInt64($0) } ?? 1
    var setting = Setting()
    try read(&fields, into: &setting)
    guard let list = try fields.list("variants"), !list.isEmpty else {
      throw ExperimentError("\(file): variants: at least one is needed")
    }
    guard list.count <= 64 else { throw ExperimentError("\(file): variants: at most 64") }
    var variants: [Variant] = []
    for (index, node) in list.enumerated() {
      let variant = try variant(YAMLFields(node, path: "variants[\(index)]", file: file), from: setting)
      if variants.contains(where: { $0.name == variant.name }) {
        throw ExperimentError("\(file):\(node.mark?.line ?? 1): variants[\(index)].name: \"\(variant.name)\" is given twice")
      }
      variants.append(variant)
    }
    return Experiment(
      name: name, question: question, variants: variants, goal: goal,
      latencyGoal: p99.map { LatencyGoal(p99Milliseconds: $0) } ?? .assumed, repetitions: repetitions, seed: seed)
  }

  private func variant(_ all: YAMLFields, from shared: Setting) throws(ExperimentError) -> Variant {
    var fields = all
    try fields.check(known: Self.variantFields)
    var setting = shared
    guard let model = try fields.string("model") else { throw all.error("model", nil, "a model is needed") }
    let name = try fields.string("name") ?? model
    try read(&fields, into: &setting)
    let source = try source(model, &fields, all)
    guard let gpu = setting.gpu else { throw all.error("device", nil, "a device is needed here or at the top; write sim:NAME") }
    if setting.scheduler.maximumBatchRows > 0, Double(setting.scheduler.maximumBatchRows) < Double(setting.workload.rows.largest) {
      throw all.error(
        "workload.rows", nil,
        "requests of \(setting.workload.rows.text) rows do not fit a batch of \(setting.scheduler.maximumBatchRows); raise maxBatchSize")
    }
    var variant = Variant(
      name: name, model: source, type: setting.type, rewrites: setting.rewrites, gpu: gpu, scheduler: setting.scheduler,
      execution: setting.execution, workload: setting.workload, host: setting.host)
    variant.deviceTimeScale = setting.deviceTimeScale
    variant.fusion = setting.fusion
    return variant
  }

  private func source(_ name: String, _ fields: inout YAMLFields, _ all: YAMLFields) throws(ExperimentError) -> ModelSource {
    func size(_ field: String) throws(ExperimentError) -> Int? { try fields.int(field, 1...(1 << 20)) }
    switch name {
    case "linear": return .builtIn(.linear(layers: try size("layers") ?? 20, hidden: try size("hidden") ?? 1024))
    case "stacked":
      return .builtIn(.stacked(layers: try size("layers") ?? 20, hidden: try size("hidden") ?? 1024, heads: try size("heads") ?? 5))
    case "seqlen":
      return .builtIn(.seqlen(layers: try size("layers") ?? 20, hidden: try size("hidden") ?? 1024, sequence: try size("sequence") ?? 128))
    case "encoder":
      return .builtIn(
        .encoder(
          layers: try size("layers") ?? 2, hidden: try size("hidden") ?? 128, heads: try size("heads") ?? 2,
          sequence: try size("sequence") ?? 128))
    default:
      guard name.hasSuffix(".onnx") else {
        throw all.error("model", nil, "no model is called \"\(name)\"; give linear, stacked, seqlen, encoder or an .onnx file")
      }
      return .onnx(path: name.hasPrefix("/") ? name : folder + name, dimensions: try dimensions(&fields))
    }
  }

  /// `dimensions: {sequence: 128, "ids:1": 128}`.
  private func dimensions(_ fields: inout YAMLFields) throws(ExperimentError) -> [String: Int] {
    guard var sizes = try fields.fields("dimensions") else { return [:] }
    var read: [String: Int] = [:]
    for name in sizes.names { read[name] = try sizes.int(name, 1...(1 << 40)) }
    return read
  }

  private func read(_ fields: inout YAMLFields, into setting: inout Setting) throws(ExperimentError) {
    if let node = fields.take("device") {
      do throws(ExperimentError) { setting.gpu = try ExperimentFile.gpu(device: node.string ?? "") } catch {
        throw fields.error("device", node, error.description)
      }
    }
    if let node = fields.take("host") {
      do throws(ExperimentError) { setting.host = try ExperimentFile.host(node.string ?? "", folder: folder) } catch {
        throw fields.error("host", node, error.description)
      }
    }
    if var costs = try fields.fields("hostCosts") {
      try costs.check(known: HostCost.allCases.map(\.rawValue).joined(separator: ", "))
      for cost in HostCost.allCases {
        if let value = try costs.number(cost.rawValue, cost.range) {
          setting.host = setting.host.with(cost, value, .assumed, "set in \(file)")
        }
      }
    }
    if let scale = try fields.number("deviceTimeScale", 0.001...1000) { setting.deviceTimeScale = scale }
    if let type = try fields.value("dtype", "fp16, bf16, tf32 or fp32", { ComputeType(rawValue: $0) }) { setting.type = type }
    if let fusion = try fields.value("fusion", "standard or none", { Fusion(rawValue: $0) }) { setting.fusion = fusion }
    if let list = try fields.list("rewrites") {
      setting.rewrites = []
      for node in list {
        guard let name = node.string, Rewrites.named(name) != nil else {
          let known = Rewrites.onRequest.map { $0.name }.joined(separator: ", ")
          throw fields.error("rewrites", node, "no rewrite is called \"\(node.string ?? "")\"; there are \(known)")
        }
        setting.rewrites.append(name)
      }
    }
    if let workload = try fields.fields("workload") { setting.workload = try self.workload(workload, from: setting.workload) }
    if let serving = try fields.fields("serving") { try self.serving(serving, into: &setting) }
  }

  private func workload(_ all: YAMLFields, from shared: Workload) throws(ExperimentError) -> Workload {
    var fields = all
    try fields.check(
      known:
        "users, rate, spawnRate, think, rows, warmUpSeconds, seconds")
    var workload = shared
    let users = try fields.int("users", 1...1_000_000)
    let rate = try fields.number("rate", 0.001...10_000_000)
    if users != nil, rate != nil { throw all.error("rate", nil, "either users (closed loop) or rate (open loop)") }
    let spawn = try fields.number("spawnRate", 0.001...1_000_000)
    let think = try fields.value("think", "constant:S, uniform:S,S or exponential:S in seconds", { ThinkTime(text: $0) })
    if let rate {
      if spawn != nil || think != nil { throw all.error("think", nil, "an open loop has no users who think or are started") }
      workload.load = .open(.poisson(perSecond: rate))
    } else if case .closed(let oldUsers, let oldSpawn, let oldThink) = shared.load {
      workload.load = .closed(users: users ?? oldUsers, spawnRate: spawn ?? oldSpawn, think: think ?? oldThink)
    } else if let users {
      workload.load = .closed(users: users, spawnRate: spawn ?? 100, think: think ?? .constant(.zero))
    }
    if let rows = try fields.value("rows", "50, a range such as 1-100 or shares such as 1:60,8:30,32:10", { RowDistribution(text: $0) }) {
      workload.rows = rows
    }
    if let warmUp = try fields.number("warmUpSeconds", 0...86_400) { workload.warmUp = TimeSpan(clampingSeconds: warmUp) }
    if let seconds = try fields.number("seconds", 0.1...86_400) { workload.duration = TimeSpan(clampingSeconds: seconds) }
    return workload
  }

  private func serving(_ all: YAMLFields, into setting: inout Setting) throws(ExperimentError) {
    var fields = all
    try fields.check(
      known:
        "config, maxBatchSize, dynamicBatching, instances, issuing, eagerBatching, cudaGraphs, pinnedMemory, gatherCopies, overlapCopies")
    if let node = fields.take("config") {
      guard let name = node.string else { throw all.error("config", node, "a file name is expected") }
      let path = name.hasPrefix("/") ? name : folder + name
      do {
        let parsed = try ModelConfiguration.parse(try Files.readText(path, limit: 1 << 20), file: path)
        try parsed.configuration.validate()
        let model = parsed.configuration
        setting.scheduler = SchedulerConfiguration(model)
        setting.execution.permits = model.optimization.eagerBatching ? 3 : 1
        setting.execution.usesCUDAGraphs = model.optimization.cudaGraphs
        setting.execution.pinsMemory = model.optimization.inputPinnedMemory
      } catch let error as ModelConfigurationError { throw ExperimentError("\(error)") } catch { throw ExperimentError("\(error)") }
    }
    if let rows = try fields.int("maxBatchSize", 0...(1 << 20)) { setting.scheduler.maximumBatchRows = rows }
    if let node = fields.take("dynamicBatching") {
      if node.string == "false" || node.string == "none" {
        setting.scheduler.batching = nil
      } else {
        setting.scheduler.batching = try batching(
          YAMLFields(node, path: all.fieldPath("dynamicBatching"), file: file), from: setting.scheduler.batching ?? DynamicBatchingPolicy(),
          maximum: setting.scheduler.maximumBatchRows)
      }
    }
    if let instances = try fields.int("instances", 1...64) { setting.scheduler.instances = instances }
    if let issuing = try fields.value("issuing", "perDevice or perInstance", { ExecutionOptions.Issuing(rawValue: $0) }) {
      setting.execution.issuing = issuing
    }
    if let eager = try fields.flag("eagerBatching") { setting.execution.permits = eager ? 3 : 1 }
    if let graphs = try fields.flag("cudaGraphs") { setting.execution.usesCUDAGraphs = graphs }
    if let pinned = try fields.flag("pinnedMemory") { setting.execution.pinsMemory = pinned }
    if let gathers = try fields.flag("gatherCopies") { setting.execution.gathersCopies = gathers }
    if let overlaps = try fields.flag("overlapCopies") { setting.execution.overlapsCopies = overlaps }
  }

  private func batching(_ all: YAMLFields, from shared: DynamicBatchingPolicy, maximum: Int) throws(ExperimentError)
    -> DynamicBatchingPolicy
  {
    var fields = all
    try fields.check(
      known:
        "preferredBatchSize, maxQueueDelayMicroseconds, preserveOrdering, timeoutAction, defaultTimeoutMicroseconds, maxQueueSize")
    var policy = shared
    if let list = try fields.list("preferredBatchSize") {
      policy.preferredSizes = []
      for node in list {
        guard let size = node.string.flatMap({ Int($0) }), size > 0, size <= max(1, maximum) else {
          throw all.error("preferredBatchSize", node, "sizes from 1 to maxBatchSize (\(maximum)) are expected")
        }
        policy.preferredSizes.append(size)
      }
    }
    if let delay = try fields.int("maxQueueDelayMicroseconds", 0...86_400_000_000) {
      policy.maximumQueueDelay = .microseconds(Int64(delay))
    }
    if let ordering = try fields.flag("preserveOrdering") { policy.preservesOrdering = ordering }
    if let action = try fields.value(
      "timeoutAction", "REJECT or DELAY", { ["REJECT": QueuePolicy.TimeoutAction.reject, "DELAY": .delay][$0.uppercased()] })
    {
      policy.defaultQueuePolicy.timeoutAction = action
    }
    if let timeout = try fields.int("defaultTimeoutMicroseconds", 0...86_400_000_000) {
      policy.defaultQueuePolicy.defaultTimeout = .microseconds(Int64(timeout))
    }
    if let size = try fields.int("maxQueueSize", 0...Int(UInt32.max)) { policy.defaultQueuePolicy.maximumQueueSize = size }
    return policy
  }
}
