import GPUModel
import HostModel
import ModelGraph
import Planning
import Simulation
import Testing
import TimeBase

/// Programs that repeat a step, in virtual time.
@Suite struct LoopTests {
  static let host = HostProfile(
    name: "test", about: "round figures",
    entries: [
      .operation: .init(10, .assumed, ""), .launch: .init(5, .assumed, ""), .launchLatency: .init(2, .assumed, ""),
      .graphLaunch: .init(8, .assumed, ""), .graphLatency: .init(6, .assumed, ""), .kernelGap: .init(1, .assumed, ""),
      .graphKernelGap: .init(0.5, .assumed, ""), .dependentKernelGap: .init(0.2, .assumed, ""), .spinWakeUp: .init(3, .assumed, ""),
      .profilerPerLaunch: .init(5, .assumed, ""),
    ],
    copies: [:])

  /// Kernels of so many microseconds that hold a share of the device.
  static func kernels(_ count: Int, _ microseconds: Double, share: Double = 1) -> [Launch] {
    (0..<count).map { index in
      Launch(
        step: index, layer: "k", kernelName: "k", floatingPointOperations: 0, bytes: 0, redundantFloatingPointOperations: 0,
        predictedNanoseconds: microseconds * 1e3, relativeErrorBand: 0, bound: nil,
        shape: .gpu(
          GPULaunchShape(
            tileM: nil, tileN: nil, splitK: 1, grid: [1, 1, 1], block: [128, 1, 1], registersPerThread: 32, sharedMemoryBytes: 0,
            blocksPerSM: 1, waves: share, residentSMShare: share, slotEfficiency: 1)))
    }
  }

  static func microseconds(_ work: [DeviceLoop.Work], streams: Int = 1, _ change: (inout DeviceLoop) -> Void = { _ in }) -> Double {
    var loop = DeviceLoop(work, streams: streams, host: host)
    change(&loop)
    return 1e6 / LoopSimulation.run(loop, steps: 20, bytesPerNanosecond: 1000).stepsPerSecond
  }

  /// Twenty kernels of 2 us by 15 us of host time each: the step takes the thread's time, its last kernel and the wait.
  @Test func eagerSmallKernelsAreLaunchBound() {
    #expect((Self.microseconds([.kernels(Self.kernels(20, 2)), .synchronize]) - (20 * 15 + 2 + 2 + 3)).magnitude < 0.1)
    #expect(
      (Self.microseconds([.kernels(Self.kernels(20, 2)), .synchronize]) { $0.isProfiled = true } - (20 * 20 + 2 + 2 + 3)).magnitude < 0.1)
    let run = LoopSimulation.run(
      DeviceLoop([.kernels(Self.kernels(20, 2)), .synchronize], host: Self.host), steps: 20, bytesPerNanosecond: 1000)
    #expect((run.gpuBusyShare - 40.0 / 307).magnitude < 0.002 && run.kernels.count == 400)
  }

  /// Long kernels hide their launches: the device and its gaps set the pace.
  @Test func longKernelsAreDeviceBound() {
    let time = Self.microseconds([.kernels(Self.kernels(20, 100)), .synchronize])
    #expect((time - (15 + 2 + 20 * 100 + 19 * 1 + 3)).magnitude < 0.5)
  }

  /// A graph: one launch, and the gaps of its nodes; programmatic dependent launch makes those shorter.
  @Test func aGraphHasOneLaunchAndNodeGaps() {
    let graph = Self.microseconds([.graph(Self.kernels(20, 2)), .synchronize])
    #expect((graph - (8 + 6 + 40 + 19 * 0.5 + 3)).magnitude < 0.1)
    let dependent = Self.microseconds([.graph(Self.kernels(20, 2)), .synchronize]) { $0.usesDependentLaunch = true }
    #expect((graph - dependent - 19 * 0.3).magnitude < 0.1)
    // A persistent kernel has no gaps at all.
    #expect((Self.microseconds([.graph(Self.kernels(1, 40)), .synchronize]) - (8 + 6 + 40 + 3)).magnitude < 0.1)
  }

  /// The engine rests between the kernels of a graph, which only the first one starts.
  @Test func kernelsKnowWhetherTheyFollowInAGraph() {
    func following(_ work: DeviceLoop.Work) -> Int {
      let loop = DeviceLoop([work, .synchronize], host: Self.host)
      return LoopSimulation.run(loop, steps: 10, bytesPerNanosecond: 1000).kernels.count(where: \.followsInGraph)
    }
    #expect(following(.graph(Self.kernels(20, 2))) == 10 * 19)
    #expect(following(.kernels(Self.kernels(20, 2))) == 0)
  }

  /// Two operators of two kernels each: the thread's work once per operator.
  @Test func operatorsMayHaveSeveralKernels() {
    #expect((Self.microseconds([.kernels(Self.kernels(4, 1), perOperator: 2), .synchronize]) - (4 * 10 + 5 + 2 + 1 + 3)).magnitude < 1.1)
  }

  /// A pageable copy holds the thread until it is done; a pinned one passes beside the launches behind it.
  @Test func pageableCopiesHoldTheThread() {
    let bytes = 1e8
    let kernels = DeviceLoop.Work.kernels(Self.kernels(20, 2))
    let pinned = Self.microseconds([.upload(bytes: bytes, isPinned: true), kernels, .synchronize])
    let pageable = Self.microseconds([.upload(bytes: bytes, isPinned: false), kernels, .synchronize])
    let (fast, slow) = (
      Self.host.copyMicroseconds(.uploadPinned, bytes: bytes), Self.host.copyMicroseconds(.uploadPageable, bytes: bytes)
    )
    #expect((pinned - (15 + fast + 20 * 2 + 19 + 3)).magnitude < 1.5, "\(pinned)")
    #expect((pageable - (15 + slow + 3 + 20 * 15 + 2 + 2 + 3)).magnitude < 0.5, "\(pageable)")
  }

  /// A value read back after each kernel costs launch, copy and wake-up each time.
  @Test func needlessSynchronizationAddsUp() {
    let plain = Self.microseconds([.kernels(Self.kernels(10, 2)), .download(bytes: 4)])
    let needless = Self.microseconds((0..<10).flatMap { _ in [.kernels(Self.kernels(1, 2)), .download(bytes: 4)] as [DeviceLoop.Work] })
    #expect(needless > plain + 9 * 15)
  }

  /// Kernels that fill half the device run beside each other; full ones take turns.
  @Test func twoStreamsShareTheDevice() {
    func pair(_ share: Double) -> Double {
      let launches = Self.kernels(20, 10, share: share)
      return Self.microseconds([.graph(launches, stream: 0), .graph(launches, stream: 1), .synchronize], streams: 2)
    }
    #expect((pair(0.5) - (16 + 6 + 200 + 19 * 0.5 + 3)).magnitude < 3)
    #expect(pair(1) > 395)
  }

  @Test func aTimerSetsThePace() {
    let time = Self.microseconds([.kernels(Self.kernels(2, 2)), .synchronize]) { $0.period = .microseconds(1000) }
    #expect((time - 1000).magnitude < 0.01)
    let late = Self.microseconds([.kernels(Self.kernels(100, 2)), .synchronize]) { $0.period = .microseconds(1000) }
    #expect(late > 1500, "a step longer than the period takes its own time")
  }
}
