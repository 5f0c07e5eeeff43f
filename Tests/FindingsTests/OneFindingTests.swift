import Diagnosis
import Testing

/// Notes what it is asked.
private final class NotedEstimator: GainEstimator {
  var (whole, atThisLoad, prepared): ([[Change]], [[Change]], [Bool]) = ([], [], [])

  private static var gains: GainEstimate {
    GainEstimate(throughput: Gain(before: Runs.simulated(100, .requestsPerSecond), after: Runs.simulated(110, .requestsPerSecond)))
  }

  func estimate(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    whole.append(changes)
    return Self.gains
  }

  func estimateAtThisLoad(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    atThisLoad.append(changes)
    return Self.gains
  }

  func prepare(_ lists: [[Change]], forMaximumRate: Bool) { prepared.append(forMaximumRate) }
}

/// What `bench --apply HRxxx --prove` asks of an assessment: one finding's gains, at this load.
@Suite struct OneFindingTests {
  @Test func onlyItsOwnFixesAreWorkedOutAndNoHighestRateIsSearchedFor() throws {
    let all = Assessment(of: DirectionTests.diluted, estimator: NotedEstimator())
    #expect(all.ranked.count > 1 && !all.improvementPlan.isEmpty)
    let estimator = NotedEstimator()
    let one = Assessment(of: DirectionTests.diluted, only: .HR121, estimator: estimator)
    let own = try #require(one.ranked.first { $0.finding.code == .HR121 })
    let changes = own.fixes.map(\.fix.changes).filter { !$0.isEmpty }
    #expect(!changes.isEmpty && Set(estimator.atThisLoad) == Set(changes) && estimator.atThisLoad.count == Set(changes).count)
    #expect(estimator.whole.isEmpty && estimator.prepared == [false] && one.improvementPlan.isEmpty)
    #expect(own.bestGains?.throughput != nil)
    // The others are named, so that a code that the run does not show can be answered with those that it does.
    #expect(Set(one.ranked.map(\.finding.code)) == Set(Findings(of: DirectionTests.diluted).found.map(\.code)))
    #expect(one.ranked.filter { $0.finding.code != .HR121 }.allSatisfy { $0.bestGains == nil })
  }

  @Test func aFindingThatDoesNotHoldCostsNothing() {
    let estimator = NotedEstimator()
    let one = Assessment(of: DirectionTests.diluted, only: .HR211, estimator: estimator)
    #expect(estimator.whole.isEmpty && estimator.atThisLoad.isEmpty && !one.ranked.isEmpty)
  }
}
