import DeviceModel
import Testing
import TimeBase

@Suite struct BatchDurationsTests {
  static func table(_ pairs: [(Int, Double)]) -> BatchDurations? {
    BatchDurations(pairs.map { BatchDurations.Point(rows: $0.0, nanoseconds: $0.1, quartiles: 0...1, batches: 1) })
  }

  @Test func measuredSizesAreGivenBack() throws {
    let table = try #require(Self.table([(1, 100), (8, 240), (2, 120)]))
    #expect([1, 2, 8].map { table.nanoseconds(rows: $0) } == [100, 120, 240])
    #expect(table.nanoseconds(rows: 5) == 180, "a straight line between")
    #expect(table.nanoseconds(rows: 14) == 360, "that goes on")
    #expect(table.nanoseconds(rows: 0) == 100)
  }

  @Test func onePointIsAFloorAndARate() throws {
    let table = try #require(Self.table([(4, 400)]))
    #expect(table.nanoseconds(rows: 1) == 400 && table.nanoseconds(rows: 4) == 400 && table.nanoseconds(rows: 8) == 800)
  }

  @Test func noiseNeverMakesLargerBatchesFaster() throws {
    let table = try #require(Self.table([(1, 100), (2, 130), (4, 110), (8, 90), (16, 300)]))
    #expect(table.nanoseconds(rows: 2) == 110 && table.nanoseconds(rows: 8) == 110, "three points share their mean")
    var random = SplitMix64(seed: 3)
    for _ in 0..<300 {
      let pairs = (0..<12).map { _ in (Int(clamping: random.next() % 300) + 1, Double(random.next() % 1_000_000) + 1) }
      let table = try #require(Self.table(pairs))
      var before = 0.0
      for rows in 0...700 {
        let time = table.nanoseconds(rows: rows)
        #expect(time >= before - 1e-6 && time.isFinite)
        before = time
      }
    }
  }

  @Test func senselessPointsAreNoTable() {
    #expect(Self.table([]) == nil)
    #expect(Self.table([(0, 10)]) == nil)
    #expect(Self.table([(1, 0)]) == nil)
    #expect(Self.table([(1, .nan)]) == nil)
    #expect(BatchDurations.Point(rows: 1, times: []) == nil)
    #expect(BatchDurations.Point(rows: 1, times: [.nan]) == nil)
  }

  @Test func pointsAreMediansAndQuartiles() throws {
    let point = try #require(BatchDurations.Point(rows: 3, times: [50, 10, 20, 40, 30]))
    #expect(point.nanoseconds == 30 && point.quartiles == 20...40 && point.batches == 5)
    let even = try #require(BatchDurations.Point(rows: 3, times: [1, 2]))
    #expect(even.nanoseconds == 1.5 && even.quartiles.contains(1.5))
  }

  @Test func batchesAreAsSpreadAsTheyWere() throws {
    let times = (0...100).map { 1000 + 10 * Double($0) }
    let point = try #require(BatchDurations.Point(rows: 8, times: times))
    let table = try #require(BatchDurations([point]))
    // The median is 1500; the shortest 1000, the longest 2000, a tenth below 1100.
    for (share, expected) in [(0.0, 1000.0), (0.1, 1100), (0.5, 1500), (0.75, 1750), (1, 2000), (7, 2000), (-1, 1000)] {
      #expect(abs(table.nanoseconds(rows: 8, at: share) - expected) < 1e-6)
    }
    // Between two sizes the spread is between theirs, too.
    let steady = BatchDurations.Point(rows: 16, nanoseconds: 3000, quartiles: 3000...3000, batches: 5)
    let both = try #require(BatchDurations(table.points + [steady]))
    #expect(both.nanoseconds(rows: 16, at: 1) == 3000)
    #expect(abs(both.nanoseconds(rows: 12, at: 1) / both.nanoseconds(rows: 12) - (4.0 / 3 + 1) / 2) < 1e-9)
  }

  @Test func sizes() {
    #expect(BatchDurations.sizes(maximum: 20) == [1, 2, 4, 8, 16, 20])
    #expect(BatchDurations.sizes(maximum: 16, preferred: [12, 16, 99, -1]) == [1, 2, 4, 8, 12, 16])
    #expect(BatchDurations.sizes(maximum: 0) == [1])
  }
}
