import Testing

@testable import Capture

/// What recording costs, from runs in turn.
@Suite struct RecordingCostTests {
  @Test func theCostIsTheMedianAgainstTheSameRound() throws {
    var cost = RecordingCost()
    cost.launches = 1000
    cost.add([nil: 1_000_000, .some(.listed): 3_000_000, .some(.all): 4_000_000, .some(CUDARecording.Calls.none): 2_500_000])
    // A slow round is slow for all of its runs.
    cost.add([nil: 9_000_000, .some(.listed): 11_000_000, .some(.all): 12_000_000, .some(CUDARecording.Calls.none): 9_500_000])
    cost.add([nil: 1_000_000, .some(.listed): 3_200_000, .some(.all): 4_000_000, .some(CUDARecording.Calls.none): 1_700_000])
    let listed = try #require(cost.costs.first { $0.mode == .listed })
    #expect(listed.added == 2_000_000 && listed.addedPerLaunch == 2000 && listed.range == 2_000_000...2_200_000)
    #expect(cost.cheapest == .some(CUDARecording.Calls.none))
    cost.launches = 0
    #expect(cost.costs[0].addedPerLaunch == nil && RecordingCost().costs.isEmpty && RecordingCost().cheapest == nil)
  }

  /// No mode is always first, and each round has all of them.
  @Test func theOrderTurns() {
    let orders = (0..<8).map { RecordingCost.order(round: $0) }
    #expect(orders.allSatisfy { Set($0) == Set(RecordingCost.modes) })
    #expect(Set(orders.map { $0[0] }).count > 2)
  }

  @Test func descendantsAreFoundThroughTheirParents() {
    let parents: [Int64: Int64] = [10: 1, 11: 10, 12: 11, 13: 1, 20: 20]
    #expect(UnrecordedProcesses.isBelow(12, 10, parents) && UnrecordedProcesses.isBelow(10, 10, parents))
    #expect(!UnrecordedProcesses.isBelow(13, 10, parents) && !UnrecordedProcesses.isBelow(20, 10, parents))
  }
}
