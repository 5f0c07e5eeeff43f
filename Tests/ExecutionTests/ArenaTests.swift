import Testing
import TimeBase

@testable import Execution

/// Buffers that live at the same time have memory of their own; the others share it.
@Suite struct ArenaTests {
  @Test func memoryIsUsedAgain() {
    var arena = Arena()
    let addresses = (0..<4).map { step in
      let address = arena.reserve(100, from: step)
      arena.use(address, at: step + 1)
      return address
    }
    let placement = arena.place()
    // Each lives with the next one alone: two places in turn.
    #expect(addresses.map { placement.offset(of: $0) } == [0, 128, 0, 128] && placement.bytes == 256)
    #expect(placement.offset(of: addresses[1] + 40) == 168)
  }

  @Test func livesThatOverlapDoNotShare() {
    var generator = SplitMix64(seed: 11)
    for _ in 0..<200 {
      var arena = Arena()
      var buffers: [(address: Int, bytes: Int, steps: ClosedRange<Int>)] = []
      var step = 0
      for _ in 0..<(1 + generator.next() % 40) {
        step += Int(clamping: generator.next() % 3)
        let (bytes, life) = (Int(clamping: generator.next() % 500), Int(clamping: generator.next() % 8))
        let address = arena.reserve(bytes, from: step)
        arena.use(address, at: step + life)
        buffers.append((address, bytes, step...(step + life)))
      }
      let placement = arena.place()
      for (index, one) in buffers.enumerated() {
        let start = placement.offset(of: one.address)
        #expect(start % 64 == 0 && start + one.bytes <= placement.bytes)
        for other in buffers[..<index] where other.steps.overlaps(one.steps) && one.bytes > 0 && other.bytes > 0 {
          let begin = placement.offset(of: other.address)
          #expect(start + one.bytes <= begin || begin + other.bytes <= start)
        }
      }
    }
  }

  /// What took half a minute for a chain of 100,000 nodes was looking at every buffer that had ever been.
  @Test func aLongChainIsPlacedInOnePass() {
    var arena = Arena()
    for step in 0..<100_000 { arena.use(arena.reserve(64, from: step), at: step + 1) }
    #expect(arena.place().bytes == 128)
  }
}
