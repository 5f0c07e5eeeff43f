import CheckedNumbers
import Diagnosis
import Glibc
import Testing
import TimeBase

@Suite struct SteadinessTests {
  /// Answers at random, so many in a window on average, in 24 slices; from `later` on so many times as many.
  private func window(_ answers: Double, seed: UInt64, later: Double = 1) -> [Int] {
    var random = SplitMix64(seed: seed)
    var counts = [Int](repeating: 0, count: 24)
    var time = 0.0
    while true {
      let rate = answers * (time < 0.5 ? 1 : later)
      time += -log(1 - random.nextUnitDouble()) / rate
      guard time < 1 else { return counts }
      counts[min(23, Int(saturating: time * 24))] += 1
    }
  }

  @Test("a steady load at random is no step", arguments: [30.0, 60, 120, 400, 4000])
  func steady(_ answers: Double) {
    let found = (0..<1000).count { Steadiness(stepIn: window(answers, seed: UInt64(clamping: $0)), kind: .measured) != nil }
    // By chance: one in a thousand, as the rule is made; five of it would be an error of the rule.
    #expect(found <= 5, "\(found) of 1000 windows")
  }

  @Test("a load that doubles or triples within the window is one", arguments: [(120.0, 3.0), (400, 2), (4000, 2)])
  func step(_ answers: Double, _ later: Double) {
    let found = (0..<100).count { Steadiness(stepIn: window(answers, seed: UInt64(clamping: $0), later: later), kind: .measured) != nil }
    #expect(found >= 95, "\(found) of 100 windows")
  }

  @Test("why nothing follows from a window is one sentence for each defect")
  func reasons() {
    func figure(_ value: Double) -> Figure { Figure(value, .share, .measured, source: "test") }
    #expect(Steadiness(defects: []).unsteadyBecause == nil)
    #expect(
      Steadiness(defects: [.ramp(share: figure(0.25))]).unsteadyBecause
        == "the window is not steady: users were still being added during 25 % of it")
    #expect(Steadiness(defects: [.warmUp(share: figure(0.1))]).unsteadyBecause == "the window is not steady: warm-up takes 10 % of it")
    // A change is given over the mean; what is said is the end against the start.
    for (change, text) in [(-1.0, "falls by 67 %"), (0.4, "rises by 50 %"), (1.9, "rises by a factor of 39")] {
      #expect(
        Steadiness(defects: [.trend(change: figure(change))]).unsteadyBecause
          == "the window is not steady: throughput \(text) from its start to its end")
    }
    #expect(Steadiness(defects: [.trend(change: figure(2))]).unsteadyBecause == "the window is not steady: hardly a request at its start")
    #expect(Steadiness(defects: [.trend(change: figure(-2))]).unsteadyBecause == "the window is not steady: hardly a request at its end")
  }
}
