import DeviceModel
import Testing
import TimeBase

@Suite struct ProcessorMachineTests {
  static func at(_ nanoseconds: Int64) -> Instant { Instant(nanoseconds: nanoseconds) }

  @Test func aBatchAloneTakesItsTime() {
    var machine = ProcessorMachine(threads: 2, cores: 2)
    #expect(machine.nextEnd == nil && machine.isIdle)
    _ = machine.advance(to: Self.at(100))
    machine.start(7, lasting: 1000)
    #expect(machine.nextEnd == Self.at(1100))
    #expect(machine.advance(to: Self.at(600)).isEmpty)
    #expect(machine.advance(to: Self.at(1100)) == [7] && machine.isIdle)
    #expect(machine.busyNanoseconds == 1000)
  }

  @Test func batchesShareItEqually() {
    var machine = ProcessorMachine(threads: 2, cores: 0)
    machine.start(1, lasting: 1000)
    _ = machine.advance(to: Self.at(500))
    machine.start(2, lasting: 1000)
    // 500 are left of the first, at half speed.
    #expect(machine.nextEnd == Self.at(1500))
    #expect(machine.advance(to: Self.at(1500)) == [1])
    #expect(machine.nextEnd == Self.at(2000))
    #expect(machine.advance(to: Self.at(2000)) == [2])
    #expect(machine.busyNanoseconds == 2000)
  }

  @Test func theHostsWorkIsTakenFromBatches() {
    var machine = ProcessorMachine(threads: 2, cores: 2)
    machine.start(1, lasting: 1000)
    machine.hostWorked(nanoseconds: 400)
    // 400 of one core are 200 of both.
    #expect(machine.advance(to: Self.at(1000)).isEmpty)
    #expect(machine.nextEnd == Self.at(1200))
    #expect(machine.advance(to: Self.at(1200)) == [1])
  }

  @Test func spareCoresAreTakenFirst() {
    var machine = ProcessorMachine(threads: 1, cores: 2)
    machine.start(1, lasting: 1000)
    machine.hostWorked(nanoseconds: 900)
    #expect(machine.advance(to: Self.at(1000)) == [1], "the second core had room for it")
    machine.start(2, lasting: 1000)
    machine.hostWorked(nanoseconds: 1500)
    #expect(machine.advance(to: Self.at(2000)).isEmpty)
    #expect(machine.nextEnd == Self.at(2500))
  }

  @Test func aHostWithCoresOfItsOwnTakesNothing() {
    var machine = ProcessorMachine(threads: 2, cores: 0)
    machine.start(1, lasting: 1000)
    machine.hostWorked(nanoseconds: 5000)
    #expect(machine.advance(to: Self.at(1000)) == [1])
  }

  @Test func moreThanThereIsIsTakenFromWhatFollows() {
    var machine = ProcessorMachine(threads: 1, cores: 1)
    machine.start(1, lasting: 1000)
    machine.hostWorked(nanoseconds: 1500)
    #expect(machine.advance(to: Self.at(1000)).isEmpty)
    #expect(machine.advance(to: Self.at(2000)).isEmpty)
    #expect(machine.advance(to: Self.at(2500)) == [1])
  }
}
