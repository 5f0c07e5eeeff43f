import ModelConfiguration
import Testing
import TimeBase

@testable import Scheduling

@Suite struct ExecutionRateLimiterTests {
  @Test(arguments: [
    ("r:4", ExecutionRateLimiter.Limit(name: "r", count: 4)), ("r:0:2", .init(name: "r", count: 0, device: 2)), ("r", nil), (":4", nil),
    ("r:x", nil), ("r:-1", nil), ("r:4:-1", nil), ("r:4:x", nil), ("r:4:1:1", nil), ("r:4:", nil), ("r:99999999999999999999", nil),
  ]) func anAmountAsAnOptionGivesIt(text: String, limit: ExecutionRateLimiter.Limit?) {
    #expect(ExecutionRateLimiter.Limit(text: text) == limit)
  }

  private static func needs(_ resources: RateLimiter.Resource..., priority: Int = 0) -> RateLimiter {
    RateLimiter(resources: resources, priority: priority)
  }

  @Test func instancesWithoutResourcesRunAtOnce() throws {
    var limiter = ExecutionRateLimiter()
    let (first, second) = (try limiter.add(nil, device: 0), try limiter.add(nil, device: 0))
    #expect(limiter.stage(first) == [first])
    #expect(limiter.stage(second) == [second])
  }

  /// Without a stated amount there is as much as the largest need: every instance can run alone, two of the largest cannot.
  @Test func theLargestNeedIsWhatThereIs() throws {
    var limiter = ExecutionRateLimiter()
    let large = try limiter.add(Self.needs(.init(name: "R", count: 4)), device: 0)
    let small = try limiter.add(Self.needs(.init(name: "R", count: 2)), device: 0)
    let other = try limiter.add(Self.needs(.init(name: "R", count: 2)), device: 0)
    #expect(limiter.stage(large) == [large])
    #expect(limiter.stage(small) == [])
    #expect(limiter.stage(other) == [])
    #expect(limiter.release(large) == [small, other])
  }

  @Test func resourcesOfDevicesAreApartUnlessGlobal() throws {
    var limiter = ExecutionRateLimiter()
    let near = try limiter.add(Self.needs(.init(name: "R", count: 1)), device: 0)
    let far = try limiter.add(Self.needs(.init(name: "R", count: 1)), device: 1)
    #expect(limiter.stage(near) + limiter.stage(far) == [near, far])
    var shared = ExecutionRateLimiter()
    let one = try shared.add(Self.needs(.init(name: "G", isGlobal: true, count: 1)), device: 0)
    let two = try shared.add(Self.needs(.init(name: "G", isGlobal: true, count: 1)), device: 1)
    #expect(shared.stage(one) + shared.stage(two) == [one])
  }

  /// Priority 2 gets half the turns of priority 1.
  @Test func turnsFollowPriority() throws {
    var limiter = ExecutionRateLimiter()
    let often = try limiter.add(Self.needs(.init(name: "R", count: 1), priority: 1), device: 0)
    let rarely = try limiter.add(Self.needs(.init(name: "R", count: 1), priority: 2), device: 0)
    var turns: [Int: Int] = [:]
    var running = limiter.stage(often) + limiter.stage(rarely)
    for _ in 0..<300 {
      let current = try #require(running.first)
      turns[current, default: 0] += 1
      // It has its next batch before it gives the turn back, so that both ask.
      #expect(limiter.stage(current) == [])
      running = limiter.release(current)
    }
    #expect(turns[often] == 200 && turns[rarely] == 100)
  }

  @Test func aNeedThatDoesNotFitIsNotOvertakenForEver() throws {
    var limiter = ExecutionRateLimiter(limits: [.init(name: "R", count: 2)])
    let small = try limiter.add(Self.needs(.init(name: "R", count: 1)), device: 0)
    let large = try limiter.add(Self.needs(.init(name: "R", count: 2)), device: 0)
    let late = try limiter.add(Self.needs(.init(name: "R", count: 1)), device: 0)
    #expect(limiter.stage(small) == [small])
    #expect(limiter.stage(large) == [])
    #expect(limiter.stage(late) == [])
    #expect(limiter.release(small) == [large])
    #expect(limiter.release(large) == [late])
  }

  @Test func whatCanNeverRunIsRefused() throws {
    var limiter = ExecutionRateLimiter(limits: [.init(name: "R", count: 1), .init(name: "S", count: 9, device: 1)])
    let error = #expect(throws: ExecutionRateLimiter.Refusal.self) {
      try limiter.add(Self.needs(.init(name: "R", count: 2)), device: 0)
    }
    #expect(
      error?.description
        == "Resource count for \"R\" is limited to 1 which will prevent scheduling of one or more model instances, the minimum required count is 2"
    )
    var free = ExecutionRateLimiter()
    _ = try free.add(Self.needs(.init(name: "T", count: 1)), device: 0)
    let both = #expect(throws: ExecutionRateLimiter.Refusal.self) {
      try free.add(Self.needs(.init(name: "T", isGlobal: true, count: 1)), device: 0)
    }
    #expect(both?.description.contains("both global and device-specific") == true)
  }

  /// Once an amount is stated, what is not stated is not there; for a device what is stated for all or for it, for a shared resource for any.
  @Test(arguments: [
    ("R", false, 0, 1), ("R", false, 1, 6), ("S", false, 3, 2), ("T", false, 0, 0), ("R", true, 0, 6), ("S", true, 0, 2), ("T", true, 0, 0),
  ])
  func amountsThatAreStated(name: String, isGlobal: Bool, device: Int, amount: Int) throws {
    let limits: [ExecutionRateLimiter.Limit] = [
      .init(name: "R", count: 1), .init(name: "R", count: 6, device: 1), .init(name: "S", count: 2, device: 3),
    ]
    var limiter = ExecutionRateLimiter(limits: limits)
    if amount > 0 { _ = try limiter.add(Self.needs(.init(name: name, isGlobal: isGlobal, count: amount)), device: device) }
    let error = #expect(throws: ExecutionRateLimiter.Refusal.self) {
      try limiter.add(Self.needs(.init(name: name, isGlobal: isGlobal, count: amount + 1)), device: device)
    }
    #expect(error?.description.hasPrefix("Resource count for \"\(name)\" is limited to \(amount) which") == true)
  }

  @Test func whatIsRemovedHoldsNothing() throws {
    var limiter = ExecutionRateLimiter()
    let first = try limiter.add(Self.needs(.init(name: "R", count: 1)), device: 0)
    let second = try limiter.add(Self.needs(.init(name: "R", count: 1)), device: 0)
    #expect(limiter.stage(first) + limiter.stage(second) == [first])
    #expect(limiter.remove(first) == [second])
    #expect(limiter.release(first) == [])
  }

  /// Any order of events: the amount is never exceeded, and nobody waits while everything is free.
  @Test func amountsHoldUnderAnyOrder() throws {
    var random = SplitMix64(seed: 7)
    for _ in 0..<60 {
      var limiter = ExecutionRateLimiter(limits: [.init(name: "R", count: 5)])
      var needs: [Int: Int] = [:]
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let count = Int.random(in: 0...5, using: &random)
        needs[try limiter.add(Self.needs(.init(name: "R", count: count)), device: 0)] = count
      }
      var (staged, running): (Set<Int>, Set<Int>) = ([], [])
      for _ in 0..<60 {
        let ticket = Int.random(in: 1...needs.count, using: &random)
        let granted: [Int]
        if running.contains(ticket) {
          running.remove(ticket)
          granted = limiter.release(ticket)
        } else {
          staged.insert(ticket)
          granted = limiter.stage(ticket)
        }
        for granted in granted {
          #expect(staged.remove(granted) != nil)
          running.insert(granted)
        }
        #expect(running.reduce(0) { $0 + (needs[$1] ?? 0) } <= 5)
        #expect(!running.isEmpty || staged.isEmpty)
      }
    }
  }
}
