import Glibc
import KServe
import Scheduling
import Synchronization
import TimeBase
import Vocabulary

/// What a model version has done: the statistics extension's counters, Prometheus' series and the histograms.
final class ModelCounters: Sendable {
  /// Why a request failed (`nv_inference_request_failure`'s label).
  enum FailureReason: String, CaseIterable { case rejected = "REJECTED", canceled = "CANCELED", backend = "BACKEND", other = "OTHER" }

  /// A request's phases, in order.
  enum Phase: String, CaseIterable {
    case request, queue, computeInput = "compute_input", computeInfer = "compute_infer", computeOutput = "compute_output"
  }

  /// Everything, at one moment.
  struct Values: Sendable {
    var statistics: ModelStatistics
    var failures: [FailureReason: UInt64] = [:]
    var phases: [LatencyHistogram] = Array(repeating: LatencyHistogram(), count: Phase.allCases.count)
    var batchRows = SizeHistogram()
    var dispatchReasons: [DispatchReason: UInt64] = [:]
    var busyNanoseconds: Int64 = 0
    var loadSeconds = 0.0
    var bytesGathered = 0
    /// Time between batches in which the device waited for the host, instance-nanoseconds.
    var hostOverheadNanoseconds: Int64 = 0
    /// By instance: when the device was done with its last batch, and when that batch's responses were cut out.
    fileprivate var lastBatches: [(computeEnd: Instant, outputsEnd: Instant)?] = []

    /// The device's wait before this batch, less what the instance spent waiting for it. An instance that gathers while its device computes
    /// has none.
    mutating func chargeHostOverhead(_ batch: BatchDone) {
      while lastBatches.count <= batch.instance { lastBatches.append(nil) }
      let last = lastBatches[batch.instance]
      let free = last.map { max(TimeSpan.zero, batch.gatherStart - $0.outputsEnd) } ?? .zero
      let gap = batch.inputsReady - (last?.computeEnd ?? batch.gatherStart)
      hostOverheadNanoseconds &+= max(0, (gap - free).nanoseconds)
      lastBatches[batch.instance] = (batch.computeEnd, batch.outputsEnd)
    }
  }

  /// One batch that succeeded.
  struct BatchDone {
    var instance = 0
    var rows: Int
    var reason: DispatchReason
    var gatherStart: Instant
    var inputsReady: Instant
    var computeEnd: Instant
    var outputsEnd: Instant
    var bytesGathered: Int
  }

  private let values: Mutex<Values>
  private let pending = Atomic<Int>(0)

  init(model: String, version: String) { values = Mutex(Values(statistics: ModelStatistics(name: model, version: version))) }

  /// A copy.
  var current: Values { values.withLock { $0 } }
  /// Accepted and not yet executing.
  var pendingRequests: Int { pending.load(ordering: .relaxed) }

  func setPending(_ count: Int) { pending.store(count, ordering: .relaxed) }
  func setLoadSeconds(_ seconds: Double) { values.withLock { $0.loadSeconds = seconds } }

  func fail(_ reason: FailureReason, nanoseconds: Int64) {
    values.withLock {
      $0.statistics.fail.add(nanoseconds)
      $0.failures[reason, default: 0] += 1
    }
  }

  /// `requests`: when each was accepted and queued; a request's time in the queue begins with its entry and ends with the gathering of its
  /// batch (core `src/infer_stats.cc`, UpdateSuccess). Each request of a batch gets the whole batch's compute times (server
  /// `docs/protocol/extension_statistics.md`); `batch_stats` counts the batch once.
  func succeed(_ batch: BatchDone, requests: [PendingInference]) {
    var wall = timespec()
    clock_gettime(CLOCK_REALTIME, &wall)
    let (input, infer, output) = (
      (batch.inputsReady - batch.gatherStart).nanoseconds, (batch.computeEnd - batch.inputsReady).nanoseconds,
      (batch.outputsEnd - batch.computeEnd).nanoseconds
    )
    let count = UInt64(clamping: requests.count)
    values.withLock { values in
      values.statistics.lastInference = UInt64(clamping: max(0, wall.tv_sec)) * 1000 + UInt64(clamping: max(0, wall.tv_nsec)) / 1_000_000
      values.statistics.inferenceCount += UInt64(clamping: max(1, batch.rows))
      values.statistics.executionCount += 1
      for request in requests {
        let whole = (batch.outputsEnd - request.accepted).nanoseconds
        let queued = (batch.gatherStart - request.passage.enqueued).nanoseconds
        values.statistics.success.add(whole)
        values.statistics.queue.add(queued)
        values.phases[0].add(whole)
        values.phases[1].add(queued)
      }
      values.statistics.computeInput.add(input, times: count)
      values.statistics.computeInfer.add(infer, times: count)
      values.statistics.computeOutput.add(output, times: count)
      values.phases[2].add(input, times: count)
      values.phases[3].add(infer, times: count)
      values.phases[4].add(output, times: count)
      let size = UInt64(clamping: max(1, batch.rows))
      let place = values.statistics.batches.firstIndex { $0.batchSize >= size } ?? values.statistics.batches.count
      if place == values.statistics.batches.count || values.statistics.batches[place].batchSize != size {
        values.statistics.batches.insert(ModelStatistics.Batch(batchSize: size), at: place)
      }
      values.statistics.batches[place].computeInput.add(input)
      values.statistics.batches[place].computeInfer.add(infer)
      values.statistics.batches[place].computeOutput.add(output)
      values.batchRows.add(Int(clamping: size))
      values.dispatchReasons[batch.reason, default: 0] += 1
      values.busyNanoseconds += (batch.outputsEnd - batch.gatherStart).nanoseconds
      values.bytesGathered += batch.bytesGathered
      values.chargeHostOverhead(batch)
    }
  }
}
