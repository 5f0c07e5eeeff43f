import Explanation
import Testing

@Suite struct PlantedTests {
  @Test func firstVerdictsOnPlantedLimitsAreRightAndHealthyWorldsRaiseNoAlarm() {
    var score = PlantedScore()
    for world in PlantedWorld.all(healthy: 12, seed: 7) {
      score.add(world, TraceExplanation(of: world.trace(steps: 40), name: world.cause.rawValue))
    }
    #expect(score.accuracy >= 0.9, "\(score.lines.joined(separator: "\n"))")
    #expect(score.falseAlarmShare <= 0.05)
    #expect(score.healthy.all == 12)
    #expect(score.byCause.values.reduce(0) { $0 + $1.all } == 15 * 3 + 12)
  }

  @Test func aWrongVerdictIsCountedAsWrong() {
    var score = PlantedScore()
    // A saturated world's explanation, given for a launch-bound one.
    let explanation = TraceExplanation(of: PlantedWorld(.healthySaturated, strength: 1, seed: 1).trace(steps: 20), name: "")
    score.add(PlantedWorld(.launchBound, strength: 1, seed: 1), explanation)
    #expect(score.accuracy == 0)
    // And a launch-bound one's, given for a healthy world: it claims a gain.
    let claims = TraceExplanation(of: PlantedWorld(.launchBound, strength: 1, seed: 1).trace(steps: 20), name: "")
    score.add(PlantedWorld(.healthySaturated, strength: 1, seed: 1), claims)
    #expect(score.falseAlarmShare == 1)
  }

  @Test func aWorldIsTheSameEachTime() {
    let world = PlantedWorld(.launchBound, strength: 2, seed: 3)
    #expect(world.trace(steps: 5) == world.trace(steps: 5))
    #expect(world.trace(steps: 5) != PlantedWorld(.launchBound, strength: 2, seed: 4).trace(steps: 5))
  }
}
