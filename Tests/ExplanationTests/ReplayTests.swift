import Diagnosis
import Explanation
import FileAccess
import Testing
import Trace
import TraceFormats

@Suite struct ReplayTests {
  func graph(_ maker: TraceMaker) throws -> ReplayGraph {
    let host = HostActivity(of: maker.trace)
    return try #require(ReplayGraph(of: maker.trace, host: host, devices: DeviceActivity.all(of: maker.trace)))
  }

  @Test func theUneditedTraceIsReproduced() throws {
    for maker in [TraceMaker.eager(steps: 30, layers: 10), TraceMaker.saturated(kernels: 200)] {
      let graph = try graph(maker)
      #expect(graph.run() == graph.recorded)
      #expect(graph.reproductionError == 0)
      #expect(graph.unlinkedShare == 0)
    }
  }

  @Test func aGraphLaunchTakesTheHostOutOfAStep() throws {
    let graph = try graph(TraceMaker.eager(steps: 50, layers: 20))
    let edited = try #require(graph.edited(.cudaGraphs))
    #expect(edited.places == 50)
    let after = edited.graph.run()
    // 20 kernels of 5 us and gaps of 0.5 us; about 20 us of launch, wait and host around them, where a step took 410 us.
    #expect((2.6...4).contains(Double(graph.recorded.span) / Double(after.span)))
    #expect(after.gpuBusy == graph.recorded.gpuBusy)
  }

  @Test func aGraphGainsNothingWhereTheDeviceIsBusyAnyway() throws {
    let graph = try graph(TraceMaker.saturated(kernels: 200))
    let after = try #require(graph.edited(.cudaGraphs)).graph.run()
    #expect(Double(graph.recorded.span) / Double(after.span) < 1.02)
  }

  @Test func pinnedCopiesRunAtTheLinksRateAndDoNotBlock() throws {
    var maker = TraceMaker()
    for index in 0..<10 {
      let start = Double(index) * 16_000
      maker.copy(bytes: 128 << 20, pageable: true, call: (start, start + 14_400), start + 400, start + 14_410)
      maker.kernel(launch: (start + 14_600, start + 14_610), start + 14_620, start + 14_720)
      maker.call("cudaStreamSynchronize", start + 14_611, start + 14_725)
    }
    let graph = try graph(maker)
    #expect(graph.reproductionError < ReplayGraph.gate)
    let after = try #require(graph.edited(.pinnedCopies(bytesPerSecond: 55e9))).graph.run()
    let times = Double(graph.recorded.span) / Double(after.span)
    // 2.4 ms of copy in place of 14.0, and 1.3 ms of host a step.
    #expect((3.5...6).contains(times))
  }

  @Test func scalarsReadBackGoWithTheirWaits() throws {
    var maker = TraceMaker()
    var time = 0.0
    for _ in 0..<200 {
      maker.kernel(launch: (time, time + 5), time + 7, time + 12)
      maker.copy(bytes: 4, direction: 2, pageable: true, call: (time + 10, time + 16), time + 18, time + 20)
      maker.call("cudaStreamSynchronize", time + 17, time + 24)
      time += 40
    }
    let graph = try graph(maker)
    let edited = try #require(graph.edited(.withoutScalarReads))
    #expect(edited.places == 200)
    // The copy's call with the host time before it, and the wait with its own, are gone: 21 of 40 us are left per turn.
    let times = Double(graph.recorded.span) / Double(edited.graph.run().span)
    #expect((1.7...2.1).contains(times))
  }

  @Test func workOnAnotherStreamThatWasWaitedForStillIs() throws {
    var maker = TraceMaker()
    for index in 0..<30 {
      let start = Double(index) * 200
      maker.kernel(launch: (start, start + 5), start + 7, start + 107)
      // Launched at once, on another stream, and run when the first one ended: an event between them.
      maker.kernel(launch: (start + 6, start + 10), start + 109, start + 150, stream: 9)
      maker.call("cudaDeviceSynchronize", start + 11, start + 153)
    }
    let graph = try graph(maker)
    #expect(graph.reproductionError < ReplayGraph.gate)
  }

  @Test func aHigherClockShortensProductsAndNotWhatMovesData() throws {
    var maker = TraceMaker.saturated(kernels: 100)
    for index in 0..<100 {
      // Launched when the wait for the products is over.
      let start = 11_000 + Double(index) * 101
      maker.kernel(
        "void at::native::vectorized_elementwise_kernel<8>(int)", launch: (10_200 + Double(index) * 4, 10_203 + Double(index) * 4), start,
        start + 100)
    }
    let graph = try graph(maker)
    let after = try #require(graph.edited(.largerClock(ratio: 1.25))).graph.run()
    // A hundred products of 100 us become 80; a hundred others stay.
    #expect((graph.recorded.gpuBusy - after.gpuBusy - 2_000_000).magnitude < 1_000)
    #expect(graph.edited(.largerClock(ratio: 1)) == nil)
  }

  @Test func slowRunsOfAKernelTakeItsFastMode() throws {
    var maker = TraceMaker()
    for index in 0..<100 {
      let start = Double(index) * 400
      maker.kernel(launch: (start, start + 5), start + 8, start + (index % 5 == 0 ? 308 : 108))
      maker.call("cudaStreamSynchronize", start + 6, start + (index % 5 == 0 ? 312 : 112))
    }
    let graph = try graph(maker)
    let edited = try #require(graph.edited(.fastMode))
    #expect(edited.places == 20)
    #expect(edited.graph.run().gpuBusy == 10_000_000)
  }

  @Test func aChangeWithNothingToChangeIsNone() throws {
    let graph = try graph(TraceMaker.eager(steps: 5, layers: 4))
    #expect(graph.edited(.withoutScalarReads) == nil)
    #expect(graph.edited(.pinnedCopies(bytesPerSecond: 1e9)) == nil)
  }

  /// What a CUDA graph and the removal of `.item()` brought when they were really made, in steps per second.
  @Test(
    .enabled(if: Files.kind(of: CounterTests.folder) == .folder),
    arguments: [
      ("linear-closed-loop", ReplayEdit.cudaGraphs, 1_344.18, 5_478.0, 137.0),
      ("linear-needless-sync", .withoutScalarReads, 798.6, 1_344.18, 98.0),
    ])
  func replayedGainsMeetWhatTheChangesBrought(name: String, edit: ReplayEdit, before: Double, after: Double, steps: Double) throws {
    let trace = try TraceImporters.read("\(CounterTests.folder)/traces/\(name).json.gz").trace
    let graph = try #require(ReplayGraph(of: trace, host: HostActivity(of: trace), devices: DeviceActivity.all(of: trace)))
    #expect(graph.reproductionError < ReplayGraph.gate)
    let outcome = try #require(graph.edited(edit)).graph.run()
    let predicted = steps / (Double(outcome.span) / 1e9)
    #expect((0.75...1.25).contains(predicted / after), "\(predicted) steps/s predicted, \(after) measured")
  }
}
