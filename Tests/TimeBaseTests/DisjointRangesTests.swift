import Testing
import TimeBase

@Suite struct DisjointRangesTests {
  @Test func overlappingAndTouchingOnesBecomeOne() {
    #expect(DisjointRanges(merging: [5..<7, 0..<2, 1..<3, 3..<4]).ranges == [0..<4, 5..<7])
    #expect(DisjointRanges(merging: []).ranges.isEmpty)
  }

  @Test func whatTheyCoverIsTheirIntersection() {
    let ranges = DisjointRanges(merging: [0..<4, 6..<8, 10..<20])
    for (stretch, covered) in [(2..<7, 3), (4..<6, 0), (-5..<30, 16), (19..<19, 0), (20..<40, 0), (7..<11, 2)] as [(Range<Int64>, Int64)] {
      #expect(ranges.covered(stretch) == covered, "\(stretch)")
    }
    #expect(DisjointRanges(merging: [Int64.min..<Int64.max]).covered(Int64.min..<Int64.max) == .max)
  }
}
