import Testing
import TimeBase

@Suite struct NearestRankTests {
  /// The definition, in whole numbers: the least rank r with r / count >= tenths / 1000.
  private func byDefinition(_ tenths: Int64, of count: Int64) -> Int64 { max(1, (tenths * count + 999) / 1000) }

  @Test func everyTenthOfAPercentIsTheRankOfTheDefinition() {
    for count in [1, 2, 3, 7, 10, 99, 100, 999, 1000, 1001, 123_457] as [Int64] {
      for tenths in 0...1000 as ClosedRange<Int64> {
        #expect(NearestRank.rank(percentile: Double(tenths) / 10, of: count) == byDefinition(tenths, of: count), "\(tenths) of \(count)")
      }
    }
  }

  @Test func valuesAreOnesOfTheirs() {
    #expect(NearestRank.value(percentile: 50, ofSorted: [1, 2, 3, 4]) == 2)
    #expect(NearestRank.value(percentile: 0, ofSorted: [1, 2]) == 1)
    #expect(NearestRank.value(percentile: 100, ofSorted: [1, 2]) == 2)
    #expect(NearestRank.value(percentile: 99.9, ofSorted: Array(1...1000)) == 999)
    #expect(NearestRank.value(percentile: 50, ofSorted: []) == nil)
  }

  @Test func noPercentileTraps() {
    for percentile in [-1, 101, .infinity, -.infinity, .nan] as [Double] {
      #expect((1...3).contains(NearestRank.rank(percentile: percentile, of: 3)))
    }
    #expect(NearestRank.rank(percentile: 50, of: .max) > 0)
    #expect(NearestRank.rank(percentile: 50, of: 0) == 0)
  }
}
