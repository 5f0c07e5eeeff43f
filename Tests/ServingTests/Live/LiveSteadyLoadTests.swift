import DeviceModel
import Diagnosis
import Simulation
import Testing
import TimeBase
import Workload

@testable import Serving
@testable import ServingDiagnosis

/// A steady load does not change how much more a server can take: whatever window of it is looked at, what is said must agree, and hold.
@Suite("Live headroom of a steady load")
struct LiveSteadyLoadTests {
  /// A server whose batches take `fixed` + `perRow` each, in ten seconds of Poisson arrivals: one batch at a time, of what is queued.
  struct Server {
    var rate: Double
    var fixed = 3_000.0
    var perRow = 150.0
    var maximumRows = 32
    /// One batch in so many takes three times as long: another program had the core.
    var slowOneIn = 50

    /// Shorter than what nobody asks for, so that a trial of the search is: it lasts three goals at least.
    static let goal = LatencyGoal(p99Milliseconds: 50)
    /// Of a trial: five above the 99th percentile.
    static let requests = 500.0

    func window(_ seed: UInt64) -> LiveWorld {
      var random = SplitMix64(seed: seed)
      var world = LiveWorld(rows: maximumRows)
      var arrivals: [Double] = []
      var time = 0.0
      while time < 9_900_000 {
        time += -Logarithm.natural(1 - random.nextUnitDouble()) * 1e6 / rate
        arrivals.append(time)
      }
      var (next, free) = (0, 0.0)
      while next < arrivals.count {
        let gather = max(free, arrivals[next] + 40)
        guard gather < 9_950_000 else { break }
        let end = min(next + maximumRows, arrivals[next...].firstIndex { $0 > gather - 20 } ?? arrivals.count)
        let rows = arrivals[next..<max(next + 1, end)]
        var kernels = (fixed + perRow * Double(rows.count)) * (0.9 + 0.2 * random.nextUnitDouble())
        if random.nextUnitDouble() < 1 / Double(slowOneIn) { kernels *= 3 }
        world.batch(arrivals: Array(rows), gather: gather, kernels: kernels, reason: .zeroDelay)
        (next, free) = (rows.endIndex, gather + 20 + kernels)
      }
      return world
    }

    /// The highest rate by the batch times as they are.
    func truth() throws -> Double {
      let world = window(1)
      let diagnosis = world.diagnosis()
      var events = LiveTrace.Events()
      events.requests = world.events.requests
      events.batches = world.events.batches
      var system = try #require(try LiveSimulation(diagnosis, events, .init())).configuration
      func point(_ rows: Int) -> BatchDurations.Point? {
        let time = fixed + perRow * Double(rows)
        let times = (0..<200).map { index -> Double in
          let multiple: Double = index % slowOneIn == 0 ? 3 : 0.9 + 0.001 * Double(index)
          return time * 1000 * multiple
        }
        return BatchDurations.Point(rows: rows, times: times)
      }
      system.processor?.durations = try #require(BatchDurations([point(1), point(maximumRows)].compactMap { $0 }))
      system.scales[.kernels] = nil
      return try LiveHeadroom.search(system, Self.goal, requests: Self.requests).run(from: rate).rate.lowerBound
    }

    /// What is said of so many windows: of each alone, and of each with what the ones before it showed in mind. Of the first they are one.
    func headrooms(_ count: Int) -> (alone: [Headroom], remembering: [Headroom]) {
      var (alone, remembering): ([Headroom], [Headroom]) = ([], [])
      var earlier: LiveHeadroom.Found?
      for index in 0..<count {
        let world = window(UInt64(clamping: 100 + index))
        let diagnosis = world.diagnosis()
        func found(_ earlier: LiveHeadroom.Found?) -> LiveHeadroom.Found {
          LiveHeadroom.find(
            of: diagnosis, events: world.events, serverContext: .init(), goal: Self.goal, isPatient: true, earlier: earlier,
            requests: Self.requests)
        }
        let fresh = found(nil)
        let known = earlier == nil ? fresh : found(earlier)
        alone.append(fresh.headroom)
        remembering.append(known.headroom)
        earlier = known
      }
      return (alone, remembering)
    }
  }

  /// From what is said to what may be: an "at least" ends nowhere.
  private static func range(_ headroom: Headroom) throws -> ClosedRange<Double> {
    let rate = try #require(headroom.maximumRate, "\(headroom.text)")
    if headroom.isLowerBound { return rate.value...Double.infinity }
    return (rate.interval?.lowerBound ?? rate.value)...(rate.interval?.upperBound ?? rate.value)
  }

  @Test(
    "what windows of a steady load say agrees, and holds what is so",
    arguments: [Server(rate: 200), Server(rate: 20, fixed: 2_000, perRow: 400)])
  func agrees(_ server: Server) throws {
    let truth = try server.truth()
    let (alone, remembering) = server.headrooms(3)
    try check(alone, truth)
    try check(remembering, truth)
    // With what earlier windows showed in mind, the figure itself stands still; what is sure grows with what was seen.
    for (before, after) in zip(remembering, remembering.dropFirst()) {
      let ratio = try #require(after.maximumRate).value / (try #require(before.maximumRate).value)
      #expect(ratio > 0.77 && (ratio < 1.3 || after.isLowerBound), "\(remembering.map(\.text))")
    }
  }

  private func check(_ said: [Headroom], _ truth: Double) throws {
    let ranges = try said.map(Self.range)
    let texts = said.map(\.text).joined(separator: "\n") + "\ntruth: \(truth)"
    // A search ends with two rates 3 % apart, and a window's own noise is in its batch times.
    for range in ranges { #expect(range.lowerBound <= truth * 1.06 && range.upperBound >= truth * 0.94, "\(texts)") }
    for (left, right) in zip(ranges, ranges.dropFirst()) { #expect(left.overlaps(right), "\(texts)") }
  }

  @Test("where batches of one size alone were seen, what larger ones take is not guessed: at least")
  func oneSize() throws {
    let headroom = try #require(Server(rate: 4, slowOneIn: 1_000_000).headrooms(1).alone.first)
    #expect(headroom.isLowerBound && headroom.text.hasPrefix("at least "), "\(headroom.text)")
  }

  @Test("batches that have become slower are another situation: what was seen before is forgotten")
  func forgets() {
    let fast = LiveBatchTimes(Server(rate: 200).window(1).events.batches)
    let slow = LiveBatchTimes(Server(rate: 200, fixed: 6_000).window(2).events.batches, earlier: fast)
    let alone = LiveBatchTimes(Server(rate: 200, fixed: 6_000).window(2).events.batches)
    #expect(slow.tables(maximumRows: 64)?.likely == alone.tables(maximumRows: 64)?.likely)
    #expect(LiveBatchTimes([]).tables(maximumRows: 8) == nil)
  }
}
