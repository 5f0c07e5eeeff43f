import Diagnosis
import Testing
import Trace

/// Where a device's time goes, by hand-made traces. Times are nanoseconds.
@Suite struct DeviceTimeTests {
  /// Kernels, copies and, where given, one batch: enqueued times of its requests, forming, gathering, first launch, reason.
  static func trace(
    kernels: [(Int64, Int64)], copies: [(Int64, Int64)] = [],
    batches: [(enqueued: [Int64], formed: Int64, gather: Int64, compute: Int64, end: Int64, reason: String)] = []
  ) -> Trace {
    var trace = Trace()
    let name = trace.names.intern("k")
    let kernel = trace.intern(KernelDescription(demangledName: name, shortName: name, grid: (1, 1, 1), block: (1, 1, 1)))
    let stream = trace.intern(StreamDescription(process: 0, device: 0, stream: 7))
    for (start, end) in kernels { trace.kernels.append(KernelEvent(start: start, end: end, description: kernel, stream: stream)) }
    for (start, end) in copies { trace.copies.append(CopyEvent(start: start, end: end, stream: stream, bytes: 1, direction: 1)) }
    let model = trace.names.intern("m")
    for (id, batch) in batches.enumerated() {
      trace.batches.append(
        BatchEvent(
          id: Int64(id), model: model, instance: 0, rows: Int32(clamping: batch.enqueued.count),
          requests: Int32(clamping: batch.enqueued.count),
          reason: trace.names.intern(batch.reason), formed: batch.formed, gatherStart: batch.gather, computeStart: batch.compute,
          computeEnd: batch.end, outputEnd: batch.end))
      for enqueued in batch.enqueued {
        trace.requests.append(RequestEvent(id: enqueued, batch: Int64(id), model: model, rows: 1, enqueued: enqueued))
      }
    }
    return trace
  }

  @Test func overlappingKernelsCountOnce() {
    let time = DeviceTime(of: Self.trace(kernels: [(10, 30), (20, 40), (50, 60)], copies: [(35, 45), (90, 95)]), window: 0..<100)
    #expect(time.gpuBusy == 40)
    #expect(time.nonOverlappedMemcpy == 10)
    #expect(time.unattributedIdle == 50)
    #expect(time.gpuBusy + time.nonOverlappedMemcpy + time.unattributedIdle == time.wall)
  }

  @Test func aGapIsStarvedThenHeldThenStalled() {
    // The gap 0..100 ends with a batch whose requests came at 30 and 60; it left by its preferred size and was due at 60.
    let trace = Self.trace(kernels: [(100, 150)], batches: [([30, 60], 80, 85, 95, 150, "preferredSize")])
    let time = DeviceTime(of: trace, window: 0..<150)
    #expect((time.noRequestsIdle, time.batchingDelayIdle, time.hostOverheadIdle, time.gpuBusy) == (30, 30, 40, 50))
    #expect(time.unattributedIdle == 0)
  }

  @Test func theRequestThatDidNotFitMadeItDue() {
    let trace = Self.trace(
      kernels: [(100, 150), (180, 200)],
      batches: [([30, 60], 80, 85, 95, 150, "wouldExceed"), ([70], 160, 165, 170, 200, "zeroDelay")])
    let time = DeviceTime(of: trace, window: 0..<200)
    // First gap: starved to 30, held to 70 when the third request came, stalled to 100. Second gap: all stalled.
    #expect((time.noRequestsIdle, time.batchingDelayIdle, time.hostOverheadIdle) == (30, 40, 30 + 30))
  }

  @Test func aBatchThatLeftByItsDelayWasHeldUntilThen() {
    let trace = Self.trace(kernels: [(100, 150)], batches: [([30], 80, 85, 95, 150, "delay")])
    let time = DeviceTime(of: trace, window: 0..<150)
    #expect((time.noRequestsIdle, time.batchingDelayIdle, time.hostOverheadIdle) == (30, 50, 20))
  }

  @Test func gapsInsideABatchAreStalled() {
    let trace = Self.trace(kernels: [(10, 20), (25, 40)], batches: [([0], 1, 2, 5, 40, "zeroDelay")])
    let time = DeviceTime(of: trace, window: 0..<40)
    #expect(time.hostOverheadIdle == 15)
    #expect(time.longestGaps.map(\.cause).contains(.insideBatch))
  }

  @Test(arguments: 0..<40) func everythingAddsUpWhateverTheTrace(seed: Int) {
    var state = UInt64(clamping: seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    func pick(_ limit: UInt64) -> Int64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int64(clamping: state % limit)
    }
    let kernels = (0..<20).map { _ in
      let start = pick(1000)
      return (start, start + pick(60))
    }
    let copies = (0..<5).map { _ in
      let start = pick(1000)
      return (start, start + pick(60))
    }
    let batches = (0..<6).map { _ in
      let formed = pick(900)
      return (
        enqueued: [formed - pick(100), formed - pick(50)], formed: formed, gather: formed + pick(20), compute: formed + 20 + pick(20),
        end: formed + 50 + pick(60), reason: ["delay", "wouldExceed", "full", "zeroDelay", "shapeMismatch", "none"][Int(pick(6))]
      )
    }
    let trace = Self.trace(kernels: kernels, copies: copies, batches: seed % 4 == 0 ? [] : batches)
    let time = DeviceTime(of: trace, window: 0..<1000)
    let parts = [
      time.gpuBusy, time.nonOverlappedMemcpy, time.noRequestsIdle, time.batchingDelayIdle, time.hostOverheadIdle, time.unattributedIdle,
    ]
    #expect(parts.allSatisfy { $0 >= 0 })
    #expect(parts.reduce(0, +) == time.wall)
    let waterfall = Waterfall(
      time, kind: .measured, residentSMShare: Figure(0.6, .share, .estimated, source: "test"),
      shareOfRoof: Figure(0.9, .share, .estimated, source: "test"),
      redundantShare: nil)
    #expect((waterfall.bars.reduce(0) { $0 + $1.ofWall.value } - 1).magnitude < 1e-9)
    #expect(waterfall.bars.allSatisfy { $0.ofWall.value >= 0 })
  }

  @Test func anEmptyTraceIsRead() throws {
    let analysis = try TraceAnalysis(of: Trace(), context: RunContext())
    #expect(analysis.evidence.device.gpuBusy?.value == 0)
    #expect(analysis.evidence.verdict.isInconclusive)
    #expect(analysis.summaries.allSatisfy { $0.rows.isEmpty })
  }
}
