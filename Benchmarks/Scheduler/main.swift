// Enqueue-to-dispatch decisions a second on one core, and heap allocations in steady state. Exit code 1 when there is any allocation.
//
//   swift run -c release benchmark-scheduler
import Glibc
import HeapCount
import Scheduling
import TimeBase

struct Outcome {
  var requestsPerSecond = 0.0
  var requestsPerBatch = 0.0
  var allocations: Int64 = 0
}

func run(_ configuration: SchedulerConfiguration, rows: Int32, requests: Int) -> Outcome {
  var scheduler = Scheduler(configuration)
  var now = Instant.zero
  var batches = 0
  var answered = 0
  for instance in 0..<configuration.instances { scheduler.instanceReady(instance, at: now) }

  func drain() {
    while let action = scheduler.nextAction() {
      switch action {
      case .start(let batch, let instance):
        batches += 1
        scheduler.complete(batch, at: now)
        scheduler.instanceReady(instance, at: now)
      case .respond: answered += 1
      case .timeOut: answered += 1
      }
    }
  }
  func feed(_ count: Int) {
    for index in 0..<count {
      now = now + .nanoseconds(800)
      if scheduler.nextWakeUp <= now { scheduler.advance(to: now) }
      _ = scheduler.enqueue(SchedulerRequest(id: Int64(index), rows: rows), at: now)
      drain()
    }
  }
  feed(requests / 10)
  let allocations = heap_allocation_count()
  batches = 0
  answered = 0
  var start = timespec()
  clock_gettime(CLOCK_MONOTONIC, &start)
  feed(requests)
  var end = timespec()
  clock_gettime(CLOCK_MONOTONIC, &end)
  let seconds = Double(end.tv_sec - start.tv_sec) + Double(end.tv_nsec - start.tv_nsec) / 1e9
  return Outcome(
    requestsPerSecond: Double(requests) / seconds, requestsPerBatch: Double(answered) / Double(max(1, batches)),
    allocations: heap_allocation_count() - allocations)
}

let document = DynamicBatchingPolicy(
  preferredSizes: [128, 256], maximumQueueDelay: .milliseconds(10), preservesOrdering: true,
  defaultQueuePolicy: QueuePolicy(defaultTimeout: .milliseconds(120_000), maximumQueueSize: 20_480))
let cases: [(String, SchedulerConfiguration, Int32)] = [
  ("the case study's configuration, 50 rows per request", SchedulerConfiguration(maximumBatchRows: 256, batching: document), 50),
  ("the case study's configuration, 1 row a request", SchedulerConfiguration(maximumBatchRows: 256, batching: document), 1),
  (
    "defaults, 1 row a request, 4 instances", SchedulerConfiguration(maximumBatchRows: 64, batching: DynamicBatchingPolicy(), instances: 4),
    1
  ),
  ("no batching", SchedulerConfiguration(maximumBatchRows: 8, batching: nil, instances: 2), 1),
]
var isAllocating = false
for (name, configuration, rows) in cases {
  let outcome = run(configuration, rows: rows, requests: 5_000_000)
  isAllocating = isAllocating || outcome.allocations > 0
  let millions = (outcome.requestsPerSecond / 1e4).rounded() / 100
  let size = (outcome.requestsPerBatch * 100).rounded() / 100
  print("\(name): \(millions) M requests/s, \(size) requests per batch, \(outcome.allocations) allocations over 5 M requests")
}
exit(isAllocating ? 1 : 0)
