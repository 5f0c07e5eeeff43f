import Vocabulary
import Diagnosis
import GPUModel

/// Runs the tests start from.
enum Runs {
  static func measured(_ value: Double, _ unit: Figure.Unit = .share) -> Figure { Figure(value, unit, .measured, source: "test") }

  static func simulated(_ value: Double, _ unit: Figure.Unit = .share) -> Figure { Figure(value, unit, .simulated, source: "test") }

  static func elasticities(_ values: [TimeTerm: Double]) -> Elasticities { Elasticities(values.mapValues { simulated($0, .ratio) }) }

  /// Everything is known and nothing is wrong: a device that is busy with full, well-shaped kernels at the arithmetic roof.
  static var healthy: RunEvidence {
    var run = RunEvidence()
    run.load.loop = .closed(users: 200)
    run.load.meanThinkTime = measured(50, .milliseconds)
    run.load.fixedRowsPerRequest = 1
    run.load.throughput = measured(1000, .requestsPerSecond)
    run.load.meanLatency = measured(150, .milliseconds)
    run.load.medianLatency = measured(150, .milliseconds)
    run.load.p99Latency = measured(200, .milliseconds)
    run.client.coreShare = measured(0.3)
    run.client.cores = 4
    run.client.sendLagP99 = measured(0.1, .milliseconds)
    run.frontEnd.coreShare = measured(0.2)
    run.frontEnd.cores = 8
    run.frontEnd.perByteShare = measured(0.6)
    run.batching.batches = 1000
    run.batching.meanRows = measured(60, .rows)
    run.batching.meanRequests = measured(60, .count)
    run.batching.dispatchReasons = [.preferredSize: 900, .full: 100]
    run.batching.maximumRows = 64
    run.batching.preferredSizes = [32, 64]
    run.batching.maximumQueueDelayMicroseconds = 1000
    run.batching.instances = 2
    run.batching.rejections = [:]
    run.batching.offeredRequests = 60_000
    run.batching.maximumQueueSize = 1024
    run.batching.timeoutMicroseconds = 1_000_000
    run.batching.meanQueuedRequests = measured(80, .count)
    run.device.gpuBusy = measured(0.97)
    run.device.noRequestsIdle = measured(0.01)
    run.device.hostOverheadIdle = measured(0.01)
    run.device.unattributed = measured(0.02)
    run.device.pipelineDepth = measured(2, .count)
    run.device.loopGap = measured(0.1, .milliseconds)
    run.device.deviceTimePerBatch = measured(58, .milliseconds)
    run.launches.launchesPerBatch = measured(20, .count)
    run.launches.lateShare = measured(0.02)
    run.launches.lateIdleShare = measured(0.01)
    run.launches.launchTime = measured(4, .microseconds)
    run.launches.kernelTime = measured(200, .microseconds)
    run.launches.queuedGap = measured(1, .microseconds)
    run.launches.queuedGapShare = measured(0.005)
    run.copies.pageableByteShare = measured(0)
    run.copies.uploadsPerBatch = measured(1, .count)
    run.copies.copyOnlyWhileWorkWaits = measured(0.01)
    run.copies.nonOverlappedMemcpy = measured(0.01)
    run.kernels.boundShares = [.math: measured(0.8), .l2: measured(0.2)]
    run.kernels.gemmTimeShare = measured(0.8)
    run.kernels.residentSMShare = measured(0.98)
    run.kernels.slotEfficiency = measured(0.95)
    run.kernels.multiWaveTimeShare = measured(0.8)
    run.kernels.dominantWaves = measured(10.6, .count)
    run.kernels.intensity = measured(600, .ratio)
    run.kernels.ridge = measured(280, .ratio)
    run.kernels.memoryBandwidthUtilization = measured(0.4)
    run.kernels.weightBytes = measured(40e6, .bytes)
    run.kernels.l2Bytes = measured(128e6, .bytes)
    run.kernels.redundantShare = measured(0)
    run.kernels.misalignedTimeShare = measured(0)
    run.kernels.paddedTimeScale = measured(1)
    run.steadiness = Steadiness(defects: [])
    run.elasticities = elasticities([.kernels: 0.96, .thinkTime: 0.02, .clientWork: 0.01, .wakeUp: 0.01])
    return run
  }

  /// What one of the case study's runs shows: 1,000 users of 50 rows on one configuration.
  static func document(
    throughput: Double, meanLatency: Double, requestsPerBatch: Double, busy: Double, residentSMShare: Double, deviceTime: Double,
    elasticities: [TimeTerm: Double]
  ) -> RunEvidence {
    var run = healthy
    run.load.loop = .closed(users: 1000)
    run.load.fixedRowsPerRequest = 50
    run.load.throughput = simulated(throughput, .requestsPerSecond)
    run.load.meanLatency = simulated(meanLatency, .milliseconds)
    run.load.medianLatency = simulated(meanLatency * 0.95, .milliseconds)
    run.load.meanThinkTime = simulated(300, .milliseconds)
    run.client = ClientEvidence()
    run.client.coreShare = Figure(0.98, .share, .fitted, source: "test")
    run.client.cores = 1
    run.batching.meanRows = simulated(50 * requestsPerBatch, .rows)
    run.batching.meanRequests = simulated(requestsPerBatch, .count)
    run.batching.dispatchReasons = [.wouldExceed: 28_000, .delay: 1800]
    run.batching.maximumRows = 256
    run.batching.preferredSizes = [128, 256]
    run.batching.maximumQueueDelayMicroseconds = 10_000
    run.batching.instances = 1
    run.device.gpuBusy = simulated(busy)
    run.device.noRequestsIdle = simulated(0.95 * (1 - busy))
    run.device.hostOverheadIdle = simulated(0.02 * (1 - busy))
    run.device.pipelineDepth = simulated(1, .count)
    run.device.loopGap = simulated(0.65, .milliseconds)
    run.device.deviceTimePerBatch = simulated(deviceTime, .milliseconds)
    run.kernels.residentSMShare = simulated(residentSMShare)
    run.elasticities = Self.elasticities(elasticities)
    return run
  }

  static var linear: RunEvidence {
    document(
      throughput: 1151.22, meanLatency: 440.97, requestsPerBatch: 4.70, busy: 0.037, residentSMShare: 0.34, deviceTime: 0.124,
      elasticities: [.clientWork: 0.95, .thinkTime: 0.03, .wakeUp: 0.01, .kernels: 0.005])
  }

  static var stacked: RunEvidence {
    var run = document(
      throughput: 1195.51, meanLatency: 419.26, requestsPerBatch: 4.73, busy: 0.07, residentSMShare: 0.85, deviceTime: 0.234,
      elasticities: [.clientWork: 0.94, .thinkTime: 0.04, .wakeUp: 0.01, .kernels: 0.01])
    run.kernels.weightBytes = simulated(199e6, .bytes)
    run.kernels.intensity = simulated(170, .ratio)
    run.kernels.memoryBandwidthUtilization = simulated(0.72)
    run.kernels.boundShares = [.memory: simulated(0.9), .latency: simulated(0.1)]
    return run
  }

  static var seqlen: RunEvidence {
    var run = document(
      throughput: 1004.73, meanLatency: 683.84, requestsPerBatch: 4.97, busy: 0.92, residentSMShare: 0.99, deviceTime: 4.53,
      elasticities: [.kernels: 0.87, .wakeUp: 0.09, .clientWork: 0.03, .thinkTime: 0.01])
    run.device.noRequestsIdle = simulated(0.005)
    run.device.hostOverheadIdle = simulated(0.075)
    run.kernels.redundantShare = Figure(127.0 / 128, .share, .estimated, source: "test")
    return run
  }
}
