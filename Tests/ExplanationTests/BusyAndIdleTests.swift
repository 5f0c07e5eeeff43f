import Diagnosis
@testable import Explanation
import FileAccess
import Testing
import TimeBase
import Trace
import TraceFormats

@Suite struct BusyAndIdleTests {
  func explain(_ maker: TraceMaker, _ context: TraceContext = TraceContext()) -> TraceExplanation {
    TraceExplanation(of: maker.trace, name: "made up", context: context)
  }

  @Test func overlappingWorkCountsOnce() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 1), 10, 20)
    maker.kernel(launch: (1, 2), 15, 30, stream: 8)
    maker.copy(bytes: 1000, call: (2, 3), 25, 40)
    let device = try #require(explain(maker).device)
    #expect(device.busy.kernel == 20_000)
    #expect(device.busy.copy == 15_000)
    #expect(device.busy.device == 30_000)
    #expect(device.busy.kernelSum == 25_000)
    #expect(device.busy.kernelsOverlap)
    #expect(device.wall == 30_000)
  }

  @Test func workWithoutALaunchIsBusyAndReported() throws {
    var maker = TraceMaker()
    maker.kernel(launch: nil, 0, 10)
    maker.kernel(launch: (11, 12), 20, 30)
    let explanation = explain(maker)
    let device = try #require(explanation.device)
    #expect(device.busy.kernel == 20_000)
    #expect(device.unlinked == 1)
    #expect(explanation.notes.contains { $0.contains("1 of 2 kernels and copies have no launch") })
  }

  @Test func everyNanosecondOfIdleHasACause() throws {
    let maker = TraceMaker.eager(steps: 20, layers: 10)
    let device = try #require(explain(maker).device)
    #expect(device.idle.total == device.wall - device.busy.device)
    #expect(device.idle.byCause.values.reduce(0, +) == device.idle.total)
    #expect(device.idle.count == 199)
  }

  @Test func aLateLaunchIsToldFromAQueuedOne() throws {
    var maker = TraceMaker()
    // The second kernel's launch returned before the first one ended; the third one's began after the second one ended.
    maker.kernel(launch: (0, 3), 5, 15)
    maker.kernel(launch: (4, 7), 16, 20)
    maker.kernel(launch: (30, 33), 36, 40)
    let device = try #require(explain(maker).device)
    #expect(device.idle.byCause[.dispatch] == 1_000)
    #expect(device.idle.byCause[.launchLate] == 10_000)
    #expect(device.idle.byCause[.launchCall] == 6_000)
  }

  @Test func timeAfterASynchronizationIsTheLoops() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 3), 5, 15)
    maker.call("cudaStreamSynchronize", 4, 18)
    maker.kernel(launch: (40, 43), 46, 50)
    let device = try #require(explain(maker).device)
    #expect(device.idle.byCause[.synchronize] == 3_000)
    #expect(device.idle.byCause[.hostAfterSynchronize] == 22_000)
    #expect(device.idle.byCause[.launchCall] == 6_000)
  }

  @Test func aLongSilenceIsOutsideCUDAAndNotNamedFurther() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 3), 5, 15)
    maker.call("cudaStreamSynchronize", 4, 18)
    maker.kernel(launch: (5_000, 5_003), 5_006, 5_010)
    let device = try #require(explain(maker).device)
    #expect(device.idle.byCause[.hostOutsideCUDA] == 4_982_000)
  }

  @Test func aWaitingOSCallOnTheLaunchThreadIsNamedWithoutItsWaker() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 3), 5, 15)
    maker.kernel(launch: (1_000, 1_003), 1_006, 1_010)
    maker.trace.osCalls.append(
      OSCall(start: 100_000, end: 900_000, thread: maker.thread, name: maker.trace.names.intern("pthread_cond_wait")))
    let device = try #require(explain(maker).device)
    #expect(device.idle.byCause[.blocked] == 800_000)
  }

  @Test func oneProcesssWorkIsLookedAtAlone() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 3), 5, 15)
    maker.thread = 2 << 24 | 9
    let other = maker.trace.intern(StreamDescription(process: 2 << 24, device: 0, stream: 7))
    maker.kernel(launch: (100, 103), 105, 135)
    maker.trace.kernels.stream[1] = other
    #expect(DeviceActivity.all(of: maker.trace).map(\.events.count) == [2])
    var context = TraceContext()
    context.process = 2 << 24
    let device = try #require(TraceExplanation(of: maker.trace, name: "", context: context).device)
    #expect(device.busy.kernel == 30_000 && device.wall == 30_000)
  }

  @Test func everyCauseHasAPlaceOfItsOwn() {
    // Sums are kept by place and named in the order of the cases.
    #expect(GapCause.allCases.map(\.position) == Array(GapCause.allCases.indices))
  }

  @Test func theSchedulersRecordsTellWaitingFromComputing() throws {
    func explanation(offCPU: [(Int64, Int64)]) throws -> TraceExplanation {
      var maker = TraceMaker()
      for step in 0..<30 {
        let time = Double(step) * 1_000
        maker.kernel(launch: (time, time + 3), time + 5, time + 15)
        maker.call("cudaStreamSynchronize", time + 4, time + 16)
        for (from, to) in offCPU {
          let start = Int64(step) * 1_000_000
          maker.trace.offCPU.append(OffCPUEvent(start: start + from, end: start + to, thread: maker.thread))
        }
      }
      maker.trace.offCPU.recordedThreads = [maker.thread]
      return explain(maker)
    }
    let waiting = try explanation(offCPU: [(100_000, 900_000)])
    let device = try #require(waiting.device)
    // 29 times 984 us from a synchronization's end to the next launch.
    #expect(device.idle.byCause[.offCPU] == 23_200_000)
    #expect(device.idle.byCause[.hostComputing] == 5_336_000)
    #expect(device.idle.byCause[.hostOutsideCUDA] == nil)
    let verdict = try #require(waiting.verdict)
    #expect(verdict.isUpstream && verdict.title.hasPrefix("upstream"))
    let computing = try #require(try explanation(offCPU: []).verdict)
    #expect(computing.title.hasPrefix("the host's own computing") && computing.confirm.contains("py-spy"))
  }

  @Test func aWaitInAnOSCallIsNotCountedTwiceAsTimeOffTheProcessor() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 3), 5, 15)
    maker.kernel(launch: (1_000, 1_003), 1_006, 1_010)
    maker.trace.osCalls.append(
      OSCall(start: 100_000, end: 900_000, thread: maker.thread, name: maker.trace.names.intern("pthread_cond_wait")))
    maker.trace.offCPU.append(OffCPUEvent(start: 110_000, end: 950_000, thread: maker.thread))
    let device = try #require(explain(maker).device)
    #expect(device.idle.byCause[.blocked] == 800_000 && device.idle.byCause[.offCPU] == 40_000)
  }

  @Test func theProfilersOwnWorkIsACauseOfItsOwn() throws {
    func device(thread: Int64?) throws -> DeviceExplanation {
      var maker = TraceMaker()
      maker.kernel(launch: (0, 3), 5, 15)
      maker.kernel(launch: (1_000, 1_103), 1_106, 1_110)
      let name = maker.trace.names.intern("Buffer Flush")
      maker.trace.overheads.append(
        OverheadEvent(start: 200_000, end: 900_000, thread: thread ?? Trace.unknown, name: name, isProfilers: true))
      // Inside the launch call, and twice over: it counts once.
      for _ in 0..<2 { maker.trace.overheads.append(OverheadEvent(start: 1_010_000, end: 1_090_000, thread: maker.thread, name: name)) }
      return try #require(explain(maker).device)
    }
    for thread in [nil, TraceMaker().thread] {
      let idle = try device(thread: thread).idle
      #expect(idle.byCause[.profiler] == 780_000)
      #expect(idle[.overhead] == 780_000 && idle.total == 1_091_000)
      #expect(idle.byCause[.launchCall] == 26_000)
    }
    // Another thread's is nothing to the launch thread.
    #expect(try device(thread: 2 << 24 | 9).idle.byCause[.profiler] == 80_000)
  }

  @Test func nodesOfOneGraphLaunchAreTold() throws {
    var maker = TraceMaker()
    maker.call("cudaGraphLaunch_v10000", 0, 9, correlation: 77)
    for index in 0..<3 {
      let id = maker.trace.names.intern("node")
      let description = maker.trace.intern(KernelDescription(demangledName: id, shortName: id, grid: (1, 1, 1), block: (32, 1, 1)))
      let start = Int64(12_000 + index * 2_500)
      maker.trace.kernels.append(
        KernelEvent(
          start: start, end: start + 2_000, description: description, stream: maker.trace.intern(maker.stream(7)), correlation: 77))
    }
    let device = try #require(explain(maker).device)
    #expect(device.idle.byCause[.graphNodes] == 1_000)
  }

  @Test func impossibleTimesAreLeftOutAndCounted() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 3), 5, 15)
    maker.kernel(launch: (20, 21), 40, 30)
    maker.trace.kernels.start[0] = 5_000
    maker.trace.kernels.append(
      KernelEvent(start: .min, end: .max, description: maker.trace.kernels.description[0], stream: maker.trace.kernels.stream[0]))
    maker.trace.apiCalls.append(
      APICall(start: .min, end: .max, thread: .max, correlation: .max, name: maker.trace.names.intern("cudaLaunchKernel")))
    let device = try #require(explain(maker).device)
    #expect(device.discarded == 2)
    #expect(device.busy.kernel == 10_000)
  }

  @Test func devicesAreToldApartByTheirOrdinal() throws {
    var maker = TraceMaker()
    // Nsight's own ids are swapped against the ordinals.
    maker.trace.gpus = [
      GPUDescription(id: 0, cudaDevice: 1, name: "A40", smCount: 84),
      GPUDescription(id: 1, cudaDevice: 0, name: "A100-SXM4-40GB", smCount: 108),
    ]
    maker.kernel(launch: (0, 1), 5, 15, device: 0)
    maker.kernel(launch: (1, 2), 5, 45, device: 1)
    let explanation = explain(maker)
    #expect(explanation.devices.map(\.ordinal) == [0, 1])
    #expect(explanation.devices.map { $0.facts.smCount } == [108, 84])
    #expect(explanation.device?.ordinal == 1)
  }

  @Test func causesHavePlacesOfTheirOwn() throws {
    // Every cause that a trace can show is summed under its own name: the sums are those of the gaps.
    let device = try #require(explain(TraceMaker.eager(steps: 10, layers: 5, pause: 5_000)).device)
    #expect(device.idle.byCause.keys.contains(.hostOutsideCUDA))
    #expect(device.idle.byCause.values.allSatisfy { $0 > 0 })
    #expect(device.idle.counts.values.reduce(0, +) == device.idle.count)
  }

  @Test func aTraceWithoutGPUWorkSaysWhatItHolds() {
    var maker = TraceMaker()
    maker.call("cudaMalloc", 0, 5)
    let explanation = explain(maker)
    #expect(explanation.device == nil)
    #expect(explanation.refusal == "no GPU work in the trace: 1 CUDA call and no kernel, copy or fill")
    #expect(explanation.answer.first?.hasPrefix("No verdict: no GPU work") == true)
    #expect(TraceExplanation(of: Trace(), name: "empty").refusal == "the trace is empty")
  }
}

/// Busy time against a union computed in another way, on every recording at hand.
@Suite struct IndependentUnionTests {
  static let folders = ["../shared/traces/nsys", "../shared/traces/kineto"]
  static let files = folders.flatMap { folder in ((try? Files.entries(of: folder)) ?? []).sorted().map { "\(folder)/\($0)" } }

  @Test(.enabled(if: !IndependentUnionTests.files.isEmpty), arguments: IndependentUnionTests.files)
  func busyEqualsAPlainUnion(path: String) throws {
    let trace = try TraceImporters.read(path).trace
    let explanation = TraceExplanation(of: trace, name: path)
    guard explanation.device != nil else {
      #expect(explanation.refusal != nil)
      return
    }
    for device in explanation.devices {
      // A counter of what runs at each edge: busy between an edge that makes it positive and the one that makes it zero.
      var edges: [(time: Int64, step: Int)] = []
      func add(_ start: [Int64], _ end: [Int64], _ stream: [StreamID]) {
        for row in start.indices where trace[stream[row]].device == device.ordinal && end[row] > start[row] {
          edges.append((start[row], 1))
          edges.append((end[row], -1))
        }
      }
      add(trace.kernels.start, trace.kernels.end, trace.kernels.stream)
      add(trace.copies.start, trace.copies.end, trace.copies.stream)
      add(trace.memsets.start, trace.memsets.end, trace.memsets.stream)
      edges.sort { ($0.time, -$0.step) < ($1.time, -$1.step) }
      var (running, busy, since) = (0, Int64(0), Int64(0))
      for edge in edges {
        if running == 0 { since = edge.time }
        running += edge.step
        if running == 0 { busy += edge.time - since }
      }
      #expect(device.busy.device == busy, "\(device.name)")
      #expect(device.idle.byCause.values.reduce(0, +) == device.wall - busy)
    }
    #expect(explanation.answer.allSatisfy { $0.count <= 80 })
  }
}
