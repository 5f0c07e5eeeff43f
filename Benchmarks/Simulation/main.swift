// The case study's three runs, 120 s each with 1,000 users, in virtual time: wall time with and without the trace.
//
//   swift run -c release benchmark-simulation
import GPUModel
import Glibc
import ModelGraph
import Planning
import Scheduling
import Simulation
import TimeBase
import Workload

let gpu = try GPUCatalogue().find("rtx-pro-6000").gpu
let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
let policy = DynamicBatchingPolicy(
  preferredSizes: [128, 256], maximumQueueDelay: .milliseconds(10), preservesOrdering: true,
  defaultQueuePolicy: QueuePolicy(defaultTimeout: .milliseconds(120_000), maximumQueueSize: 20_480))
let workload = Workload(
  load: .closed(users: 1000, spawnRate: 100, think: .uniform(.milliseconds(100), .milliseconds(500))), rows: .fixed(50),
  warmUp: .milliseconds(15_000), duration: .milliseconds(120_000))

let heads: [(String, BuiltInHead)] = [
  ("linear", .linear(layers: 19, hidden: 1024)), ("stacked", .stacked(layers: 19, hidden: 1024, heads: 5)),
  ("seqlen", .seqlen(layers: 20, hidden: 1024, sequence: 128)),
]
for keepsTrace in [false, true] {
  var total = 0.0
  for (name, head) in heads {
    let plan = try PlanBuilder(model: model, type: .fp16, maxRows: 256).plan(try head.graph(seed: 1).rewritten(by: Rewrites.standard))
    let configuration = SimulationConfiguration(
      model: name, workload: workload, scheduler: SchedulerConfiguration(maximumBatchRows: 256, batching: policy), plan: plan,
      host: .triton, keepsTrace: keepsTrace)
    let clock = ContinuousClock()
    let start = clock.now
    guard let result = try Simulation.run(configuration) else { continue }
    let seconds = Double((clock.now - start).components.attoseconds) / 1e18 + Double((clock.now - start).components.seconds)
    total += seconds
    func round(_ value: Double) -> Double { (value * 100).rounded() / 100 }
    print(
      """
      \(name): \(round(seconds)) s; \(result.events) events, \(result.trace?.rowCount ?? 0) trace rows; \(round(result.throughput)) requests/s, \
      latency mean \(round(result.meanLatencyMilliseconds ?? 0)) median \(round(result.latencyMilliseconds(percentile: 50) ?? 0)) p95 \
      \(round(result.latencyMilliseconds(percentile: 95) ?? 0)) ms; \(result.batches) batches of \
      \(round(Double(result.batchRequests) / Double(max(1, result.batches)))) requests, GPU busy \
      \(round(result.busy.kernels / Double(result.window.nanoseconds) * 100)) %, client \
      \(round(result.busy.client / Double(result.window.nanoseconds) * 100)) %, left: \(result.dispatchReasons)
      """)
  }
  print("\(keepsTrace ? "with" : "without") trace: \((total * 100).rounded() / 100) s")
}
