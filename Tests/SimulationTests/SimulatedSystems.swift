import GPUModel
import ModelGraph
import Planning
import Scheduling
import Simulation
import TimeBase
import Workload

/// SimulatedSystems of the case study's kind, short.
enum SimulatedSystems {
  static func plan(_ head: BuiltInHead, gpu name: String = "rtx-pro-6000", rewrites: [any RewritePass.Type] = []) throws -> Plan {
    let gpu = try GPUCatalogue().find(name).gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    return try PlanBuilder(model: model, type: .fp16, maxRows: 256, requested: rewrites).plan(try head.graph(seed: 1))
  }

  static let documentPolicy = DynamicBatchingPolicy(
    preferredSizes: [128, 256], maximumQueueDelay: .milliseconds(10), preservesOrdering: true,
    defaultQueuePolicy: QueuePolicy(defaultTimeout: .milliseconds(120_000), maximumQueueSize: 20_480))

  static func document(_ plan: Plan, users: Int = 1000, rows: Int = 50, seconds: Double = 10, seed: UInt64 = 1) -> SimulationConfiguration {
    SimulationConfiguration(
      model: "head",
      workload: Workload(
        load: .closed(users: users, spawnRate: 500, think: .uniform(.milliseconds(100), .milliseconds(500))), rows: .fixed(rows),
        warmUp: .milliseconds(4000), duration: TimeSpan(clampingSeconds: seconds)),
      scheduler: SchedulerConfiguration(maximumBatchRows: 256, batching: documentPolicy), plan: plan, host: .triton, seed: seed)
  }

  static func run(_ configuration: SimulationConfiguration) throws -> SimulationResult {
    guard let result = try Simulation.run(configuration) else { throw Stopped() }
    return result
  }

  struct Stopped: Error {}
}
