import Testing
import TimeBase

@Suite struct TimeBaseTests {
  /// The published test vector of the reference implementation for seed 1234567.
  @Test func splitMixMatchesThePublishedVector() {
    var generator = SplitMix64(seed: 1_234_567)
    let drawn = (0..<5).map { _ in generator.next() }
    #expect(
      drawn == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
      ])
  }

  @Test func unitDoublesStayBelowOne() {
    var generator = SplitMix64(seed: 7)
    for _ in 0..<10_000 {
      let value = generator.nextUnitDouble()
      #expect(value >= 0 && value < 1)
    }
  }

  @Test func splitStreamsDiffer() {
    var first = SplitMix64(seed: 1).split(1)
    var second = SplitMix64(seed: 1).split(2)
    #expect(first.next() != second.next())
  }

  @Test func numbersFromOutsideSaturateInsteadOfTrapping() {
    #expect(TimeSpan(clampingSeconds: .nan) == .zero)
    #expect(TimeSpan(clampingSeconds: .infinity).nanoseconds == .max)
    #expect(TimeSpan(clampingSeconds: -1e300).nanoseconds == .min)
    #expect(TimeSpan.microseconds(.max).nanoseconds == .max)
    #expect(TimeSpan(clampingSeconds: 0.5).milliseconds == 500)
  }

  @Test func timesSaturateWhereTheyWouldLeaveTheRange() {
    let now = Instant(nanoseconds: 1_000_000_000)
    let forEver = TimeSpan.microseconds(.max)
    #expect(now + forEver == .distantFuture)
    #expect(now + forEver + forEver == .distantFuture)
    #expect(Instant.distantFuture - Instant(nanoseconds: -1) == TimeSpan(nanoseconds: .max))
    #expect(Instant(nanoseconds: .min) - now == TimeSpan(nanoseconds: .min))
    #expect(forEver + forEver == TimeSpan(nanoseconds: .max))
    #expect(TimeSpan(nanoseconds: .min) - forEver == TimeSpan(nanoseconds: .min))
    #expect(TimeSpan.milliseconds(.min).nanoseconds == .min)
  }
}
