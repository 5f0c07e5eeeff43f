import Testing
import TimeBase
import Workload

@Suite struct WorkloadTests {
  @Test(arguments: ["constant:0.2", "uniform:0.1,0.5", "exponential:0.3"]) func thinkTimesHaveTheirMean(text: String) throws {
    let think = try #require(ThinkTime(text: text))
    #expect(ThinkTime(text: think.text) == think)
    var random = SplitMix64(seed: 3)
    let count = 200_000
    let mean = (0..<count).reduce(0.0) { sum, _ in sum + think.sample(&random).seconds } / Double(count)
    // 200,000 draws of an exponential time have a relative standard error of 0.22 %.
    #expect((mean / think.mean.seconds - 1).magnitude < 0.01)
    #expect((think.scaled(2).mean.seconds / think.mean.seconds - 2).magnitude < 1e-6)
  }

  @Test(arguments: [
    "", "uniform", "uniform:", "uniform:0.5,0.1", "uniform:0.1", "constant:-1", "constant:nan", "exponential:1,2", "constant:1e99",
    "think:1",
  ]) func badThinkTimesAreRefused(text: String) {
    #expect(ThinkTime(text: text) == nil)
  }

  @Test(arguments: ["", "0", "-1", "5-1", "1-2-3", "x", "99999999999999999999", "1:", "1:0", "0:1", "1:1,", "1:nan"])
  func badRowsAreRefused(text: String) {
    #expect(RowDistribution(text: text) == nil)
  }

  @Test func rowsStayInTheirRange() throws {
    let rows = try #require(RowDistribution(text: "2-9"))
    var random = SplitMix64(seed: 1)
    let drawn = Set((0..<10_000).map { _ in rows.sample(&random) })
    #expect(drawn == Set(2...9))
  }

  @Test func rowsComeAsOftenAsTheirShareSays() throws {
    let rows = try #require(RowDistribution(text: "1:60,8:30,32:10"))
    var random = SplitMix64(seed: 2)
    var counts: [Int: Int] = [:]
    for _ in 0..<10_000 { counts[rows.sample(&random), default: 0] += 1 }
    // Five standard deviations of the largest are 245.
    for (size, expected) in [1: 6000, 8: 3000, 32: 1000] { #expect((counts[size, default: 0] - expected).magnitude < 245) }
    #expect(counts.count == 3)
    #expect((rows.mean - 6.2).magnitude < 1e-9)
    #expect(rows.largest == 32)
    #expect(RowDistribution(text: rows.text) == rows)
    #expect([0, 0.59, 0.61, 0.89, 0.91, 1].map { rows.rows(at: $0) } == [1, 1, 8, 8, 32, 32])
  }

  @Test func poissonArrivalsKeepTheirRate() throws {
    var sequence = ArrivalSequence(.poisson(perSecond: 1000), seed: SplitMix64(seed: 9))
    var last = Instant.zero
    for _ in 0..<100_000 {
      let drawn = sequence.next()
      let next = try #require(drawn)
      #expect(next >= last)
      last = next
    }
    let seconds = Double(last.nanoseconds) / 1e9
    #expect((seconds - 100).magnitude < 2)
  }

  @Test func recordedArrivalsEnd() {
    var sequence = ArrivalSequence(.recorded([Instant(nanoseconds: 5), Instant(nanoseconds: 7)]), seed: SplitMix64(seed: 1))
    var times: [Int64] = []
    while let next = sequence.next() { times.append(next.nanoseconds) }
    #expect(times == [5, 7])
  }
}
