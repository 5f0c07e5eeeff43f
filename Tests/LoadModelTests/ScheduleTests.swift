import LoadModel
import Testing
import TimeBase
import Workload

@Suite struct ScheduleTests {
  static func all(_ load: OfferedLoad, seconds: Double, share: RunShare = .whole, seed: UInt64 = 4) -> [Instant] {
    var schedule = ArrivalSchedule(load, seed: SplitMix64(seed: seed), share: share)
    var times: [Instant] = []
    while let next = schedule.next(), next.nanoseconds < Int64(seconds * 1e9) { times.append(next) }
    return times
  }

  static func profile(_ text: String) throws -> RateProfile { try #require(RateProfile(text: text)) }

  @Test func aConstantRateIsEvenlySpaced() throws {
    let times = Self.all(.open(try Self.profile("200"), isPoisson: false), seconds: 2)
    #expect(times.count == 400)
    #expect(times[1].nanoseconds == 5_000_000)
  }

  @Test func stepsAndRampsOfferTheirArea() throws {
    // 100 * 10 + 300 * 5, then a ramp's half of 200 * 10.
    let steps = try Self.profile("100:10,300:5,0-200:10")
    #expect(Self.all(.open(steps, isPoisson: false), seconds: 100).count == 3500)
    #expect(Self.all(.open(steps, isPoisson: false), seconds: 10).count == 1000)
    let poisson = Self.all(.open(steps, isPoisson: true), seconds: 100).count
    // Four standard deviations of a Poisson number.
    #expect((Double(poisson) - 3500).magnitude < 4 * (3500.0).squareRoot())
    let ramp = try Self.profile("0-1000:10")
    // Half the time holds a quarter of a ramp's area.
    #expect((Self.all(.open(ramp, isPoisson: false), seconds: 5).count - 1250).magnitude <= 1)
  }

  @Test func timesNeverGoBack() throws {
    for text in ["500", "0-1000:3,1000-0:3,5:1,700", "0:1,10:2"] {
      for isPoisson in [false, true] {
        let times = Self.all(.open(try Self.profile(text), isPoisson: isPoisson), seconds: 9)
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(!times.isEmpty)
      }
    }
  }

  @Test(arguments: ["50", "0-300:5", "20:2,80:2"]) func sharesTogetherAreTheWholeRun(text: String) throws {
    for isPoisson in [false, true] {
      let load = OfferedLoad.open(try Self.profile(text), isPoisson: isPoisson)
      let whole = Self.all(load, seconds: 4)
      var parts: [Instant] = []
      for index in 0..<3 {
        let share = try #require(RunShare(text: "\(index)/3"))
        // A thread's part of a machine's part.
        for thread in 0..<2 { parts += Self.all(load, seconds: 4, share: share.split(thread, of: 2)) }
      }
      #expect(parts.sorted() == whole)
    }
  }

  @Test func everyUserHasOneOwner() throws {
    let shares = try (0..<3).flatMap { index in
      let share = try #require(RunShare(text: "\(index)/3"))
      return (0..<4).map { share.split($0, of: 4) }
    }
    for user in 0..<500 { #expect(shares.count { $0.includes(user) } == 1) }
  }

  @Test func aRecordingIsReplayed() throws {
    let times = try RecordedArrivals.read("# seconds\n0\n0.5\n0.5 # twice\n\n2.25\n")
    #expect(times.map(\.nanoseconds) == [0, 500_000_000, 500_000_000, 2_250_000_000])
    #expect(Self.all(.replay(times), seconds: 10) == times)
  }

  @Test(arguments: ["", "# nothing", "1\n0.5", "x", "-1", "1e99", "nan"]) func badRecordingsAreRefused(text: String) {
    #expect(throws: LoadInputError.self) { try RecordedArrivals.read(text) }
  }

  @Test(arguments: ["", "0", "-1", "10:", "10,20", "1-2", "1:0", "1:-1", "5:1:1", "1-2-3:4", "nan", "1e99", "10:1,"])
  func badProfilesAreRefused(text: String) { #expect(RateProfile(text: text) == nil) }

  @Test(arguments: ["500", "0-1000:30", "100:10,200:10,400"]) func profilesReadBack(text: String) throws {
    let profile = try Self.profile(text)
    #expect(RateProfile(text: profile.text) == profile)
  }

  @Test(arguments: ["", "1/1", "-1/2", "2/2", "0/0", "1", "a/b", "0/1/2"]) func badSharesAreRefused(text: String) {
    #expect(RunShare(text: text) == nil)
  }
}
