import Testing
import TimeBase

@Suite struct SelectionTests {
  @Test func aRankIsFoundWithoutSorting() {
    var random = SplitMix64(seed: 4)
    for count in 1...60 {
      // Few different values, and many.
      for limit in [UInt64(3), 1_000] {
        let values = (0..<count).map { _ in Int64(clamping: random.next() % limit) }
        for rank in values.indices {
          for order in [values, values.sorted(), values.sorted(by: >)] {
            var list = order
            #expect(Selection.value(&list, rank: rank) == values.sorted()[rank])
          }
        }
      }
    }
    var none: [Int64] = []
    #expect(Selection.value(&none, rank: 0) == nil)
  }

  @Test func whatStandsBeforeTheRankIsNotLargerAndBehindItNotSmaller() {
    var random = SplitMix64(seed: 9)
    var values = (0..<1_000).map { _ in Int64(clamping: random.next() % 50) }
    let found = Selection.value(&values, rank: 400)
    #expect(values[..<400].allSatisfy { $0 <= found ?? .min } && values[400...].allSatisfy { $0 >= found ?? .max })
  }
}
