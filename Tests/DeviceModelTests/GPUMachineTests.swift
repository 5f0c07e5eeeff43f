import DeviceModel
import Testing
import TimeBase

@Suite struct GPUMachineTests {
  static func kernel(_ microseconds: Double, need: Double = 1, tail: Double? = nil, body: Double = 1, bandwidth: Double = 0) -> KernelTiming
  {
    KernelTiming(nanoseconds: microseconds * 1000, bodyShare: body, need: need, tailNeed: tail ?? need, bandwidth: bandwidth)
  }

  static func at(_ microseconds: Double) -> Instant { Instant(nanoseconds: Int64(microseconds * 1000)) }

  /// Runs everything that is queued.
  static func drain(_ machine: inout GPUMachine) -> [GPUMachine.Reached] {
    var all: [GPUMachine.Reached] = []
    for _ in 0..<10_000 {
      machine.advance(to: at(1e9))
      if machine.reached.isEmpty { break }
      all += machine.reached
      machine.reached.removeAll()
    }
    return all
  }

  static func ends(_ machine: GPUMachine) -> [Double] { machine.kernels.map { Double($0.end) / 1000 } }

  @Test func oneStreamRunsInOrderWithTheGapBetween() {
    var machine = GPUMachine(streams: 1, dispatchGapNanoseconds: 1000)
    let table = machine.register([Self.kernel(6), Self.kernel(6), Self.kernel(6)])
    machine.launch(table, tag: 0, stream: 0, ready: Self.at(10), spacing: .microseconds(4))
    machine.mark(7, stream: 0, ready: Self.at(20))
    #expect(Self.drain(&machine).map(\.tag) == [7])
    // GPU-paced: launches every 4 us, kernels every 7.
    #expect(machine.kernels.map { Double($0.start) / 1000 } == [10, 17, 24])
    #expect(Self.ends(machine) == [16, 23, 30])
    #expect(machine.gpuBusyNanoseconds == 18_000)
  }

  @Test func aSlowHostPacesTheDevice() {
    var machine = GPUMachine(streams: 1, dispatchGapNanoseconds: 1000)
    let table = machine.register([Self.kernel(2), Self.kernel(2)])
    machine.launch(table, tag: 0, stream: 0, ready: Self.at(0), spacing: .microseconds(10))
    _ = Self.drain(&machine)
    #expect(machine.kernels.map { Double($0.start) / 1000 } == [0, 10])
  }

  @Test func copiesWaitForTheirStreamAndKernelsForTheCopy() {
    var machine = GPUMachine(streams: 1)
    let table = machine.register([Self.kernel(5)])
    machine.copy(tag: 1, isUpload: true, lasting: .microseconds(20), stream: 0, ready: Self.at(1))
    machine.launch(table, tag: 2, stream: 0, ready: Self.at(2), spacing: .zero)
    machine.copy(tag: 3, isUpload: false, lasting: .microseconds(3), stream: 0, ready: Self.at(2))
    machine.mark(9, stream: 0, ready: Self.at(2))
    let reached = Self.drain(&machine)
    #expect(machine.kernels.map { Double($0.start) / 1000 } == [21])
    #expect(reached.map { Double($0.time) / 1000 } == [29])
    #expect(machine.copies.map(\.isUpload) == [true, false])
  }

  @Test func severalStreamsAloneBehaveLikeOne() {
    for streams in [1, 2] {
      var machine = GPUMachine(streams: streams, dispatchGapNanoseconds: 1000)
      let table = machine.register([Self.kernel(6), Self.kernel(9, need: 1, tail: 0.25, body: 0.5)])
      machine.copy(tag: 1, isUpload: true, lasting: .microseconds(4), stream: 0, ready: Self.at(0))
      machine.launch(table, tag: 0, stream: 0, ready: Self.at(3), spacing: .microseconds(4))
      machine.mark(7, stream: 0, ready: Self.at(3))
      let reached = Self.drain(&machine)
      #expect(Self.ends(machine).map { $0.rounded() } == [10, 20], "\(streams) streams")
      #expect(reached.map { (Double($0.time) / 1000).rounded() } == [20])
      #expect((machine.gpuBusyNanoseconds - 15_000).magnitude <= 4)
    }
  }

  @Test func smallKernelsOfTwoStreamsRunSideBySide() {
    var machine = GPUMachine(streams: 2)
    let table = machine.register([Self.kernel(10, need: 0.3)])
    machine.launch(table, tag: 0, stream: 0, ready: Self.at(0), spacing: .zero)
    machine.launch(table, tag: 1, stream: 1, ready: Self.at(0), spacing: .zero)
    _ = Self.drain(&machine)
    #expect(Self.ends(machine).allSatisfy { ($0 - 10).magnitude < 0.01 })
    #expect((machine.gpuBusyNanoseconds - 10_000).magnitude < 10)
  }

  @Test func aLaterKernelGetsWhatIsLeftOverAndNoFairShare() {
    var machine = GPUMachine(streams: 2)
    let full = machine.register([Self.kernel(10, need: 1)])
    let half = machine.register([Self.kernel(10, need: 0.5)])
    machine.launch(full, tag: 0, stream: 0, ready: Self.at(0), spacing: .zero)
    machine.launch(half, tag: 1, stream: 1, ready: Self.at(1), spacing: .zero)
    _ = Self.drain(&machine)
    // The first one is not slowed; the second starts when it ends.
    #expect(machine.kernels.map(\.burst) == [0, 1])
    #expect((Self.ends(machine)[0] - 10).magnitude < 0.01)
    #expect((Self.ends(machine)[1] - 20).magnitude < 0.01)
    // 0.8 taken: a kernel that wants 0.4 runs at half speed until the first one ends.
    machine = GPUMachine(streams: 2)
    let maximum = machine.register([Self.kernel(10, need: 0.8)])
    let some = machine.register([Self.kernel(10, need: 0.4)])
    machine.launch(maximum, tag: 0, stream: 0, ready: Self.at(0), spacing: .zero)
    machine.launch(some, tag: 1, stream: 1, ready: Self.at(0), spacing: .zero)
    _ = Self.drain(&machine)
    #expect((Self.ends(machine)[0] - 10).magnitude < 0.01)
    #expect((Self.ends(machine)[1] - 15).magnitude < 0.01)
  }

  @Test func theTailOfAKernelLeavesRoom() {
    var machine = GPUMachine(streams: 2)
    let tailed = machine.register([Self.kernel(10, need: 1, tail: 0.25, body: 0.5)])
    let small = machine.register([Self.kernel(4, need: 0.5)])
    machine.launch(tailed, tag: 0, stream: 0, ready: Self.at(0), spacing: .zero)
    machine.launch(small, tag: 1, stream: 1, ready: Self.at(0), spacing: .zero)
    _ = Self.drain(&machine)
    let ends = Dictionary(uniqueKeysWithValues: machine.kernels.map { ($0.burst, Double($0.end) / 1000) })
    #expect(((ends[0] ?? 0) - 10).magnitude < 0.01)
    #expect(((ends[1] ?? 0) - 9).magnitude < 0.01)
  }

  @Test func bandwidthIsShared() {
    var machine = GPUMachine(streams: 2)
    let table = machine.register([Self.kernel(10, need: 0.2, bandwidth: 0.8)])
    machine.launch(table, tag: 0, stream: 0, ready: Self.at(0), spacing: .zero)
    machine.launch(table, tag: 1, stream: 1, ready: Self.at(0), spacing: .zero)
    _ = Self.drain(&machine)
    #expect(Self.ends(machine).allSatisfy { ($0 - 16).magnitude < 0.02 })
  }

  @Test func oneEngineADirection() {
    var machine = GPUMachine(streams: 3)
    machine.copy(tag: 0, isUpload: true, lasting: .microseconds(10), stream: 0, ready: Self.at(0))
    machine.copy(tag: 1, isUpload: true, lasting: .microseconds(10), stream: 1, ready: Self.at(0))
    machine.copy(tag: 2, isUpload: false, lasting: .microseconds(10), stream: 2, ready: Self.at(0))
    _ = Self.drain(&machine)
    let ends = Dictionary(uniqueKeysWithValues: machine.copies.map { ($0.tag, $0.end / 1000) })
    #expect(ends == [0: 10, 1: 20, 2: 10])
  }

  @Test func aBurstWaitsForAnotherStreamsMarker() {
    var machine = GPUMachine(streams: 2)
    let table = machine.register([Self.kernel(5)])
    machine.copy(tag: 0, isUpload: true, lasting: .microseconds(30), stream: 1, ready: Self.at(0))
    machine.mark(42, stream: 1, ready: Self.at(0))
    machine.launch(table, tag: 1, stream: 0, ready: Self.at(0), spacing: .zero, after: 42)
    #expect(Self.drain(&machine).map(\.tag) == [42])
    #expect(machine.kernels.map { $0.start / 1000 } == [30])
  }

  @Test func workIsConserved() {
    // Whatever the mixture, every kernel runs once, none is shorter than alone, streams keep their order.
    for seed in UInt64(0)..<60 {
      var random = SplitMix64(seed: seed)
      let streams = 1 + Int(clamping: random.next() % 4)
      var machine = GPUMachine(streams: streams)
      var expected: [Int32: (count: Int, alone: [Double])] = [:]
      for tag in Int32(0)..<12 {
        let timings = (0..<(1 + Int(clamping: random.next() % 5))).map { _ in
          Self.kernel(
            1 + random.nextUnitDouble() * 20, need: 0.1 + 0.9 * random.nextUnitDouble(), tail: 0.2, body: random.nextUnitDouble(),
            bandwidth: random.nextUnitDouble())
        }
        expected[tag] = (timings.count, timings.map(\.nanoseconds))
        machine.launch(
          machine.register(timings), tag: tag, stream: Int(clamping: random.next() % UInt64(clamping: streams)),
          ready: Self.at(Double(random.next() % 50)),
          spacing: .microseconds(Int64(clamping: random.next() % 3)))
      }
      _ = Self.drain(&machine)
      #expect(machine.isIdle)
      var seen: [Int32: Int] = [:]
      for run in machine.kernels {
        seen[run.burst, default: 0] += 1
        let alone = expected[run.burst]?.alone[Int(run.kernel)] ?? .infinity
        #expect(Double(run.end - run.start) >= alone - 2, "seed \(seed)")
      }
      #expect(seen == expected.mapValues(\.count), "seed \(seed)")
    }
  }
}
