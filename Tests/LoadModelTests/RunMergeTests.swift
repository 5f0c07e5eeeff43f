import LoadModel
import Testing
import TimeBase
import Workload

@Suite struct RunMergeTests {
  static func result(_ index: Int, of count: Int) throws -> LoadResult {
    var result = LoadResult(
      name: "m", load: .open(RateProfile(perSecond: 100), isPoisson: true), share: try #require(RunShare(text: "\(index)/\(count)")),
      seed: UInt64.max, warmUpSeconds: 1, windowSeconds: 2)
    for second in 0..<2 {
      var interval = IntervalSummary(
        startSeconds: Double(1 + second), lengthSeconds: 1, answers: 3, errors: 1, latencySeconds: 0.3, sinceSendSeconds: 0.25, users: 4)
      interval.percentiles = []
      result.intervals.append(interval)
    }
    for value in 1...6 { result.latency.record(Int64(value + 6 * index) * 10_000_000) }
    result.uncorrected = result.latency
    result.health.sendLag.record(1000, count: 6)
    result.health.schedulingLag.record(50_000, count: 200)
    result.health.lateCount = 1
    result.completed = 6
    result.rows = 12
    result.errors = [.timeout: 2]
    for (group, values) in [("large, slow", 1...2), ("small", 3...6)] {
      var own = RequestGroup(name: group)
      own.errors = 1
      for value in values { own.latency.record(Int64(value + 6 * index) * 10_000_000) }
      result.groups.append(own)
    }
    return result
  }

  static func log(_ result: LoadResult, lateSeconds: Double = 0, start: Double = 1_800_000_000) -> HistogramLog {
    var log = HistogramLog(startEpochSeconds: start)
    let kinds: [(RunPart.Tag?, Histogram)] = [
      (nil, result.latency), (.uncorrected, result.uncorrected), (.sendLag, result.health.sendLag),
      (.schedulingLag, result.health.schedulingLag),
    ]
    for (tag, histogram) in kinds { log.entries.append(.init(tag: tag?.rawValue, startSeconds: 1, lengthSeconds: 2, histogram: histogram)) }
    for (index, group) in result.groups.enumerated() {
      log.entries.append(.init(tag: RunPart.tag(ofGroup: index), startSeconds: 1, lengthSeconds: 2, histogram: group.latency))
    }
    log.part = RunPart(result, startEpochSeconds: start, lateSeconds: lateSeconds, plannedSeconds: 2)
    return log
  }

  static func problems(_ logs: [HistogramLog]) -> String {
    RunMerge.problems(logs.enumerated().compactMap { index, log in log.part.map { ("file\(index)", $0) } }).joined(separator: "\n")
  }

  @Test func aLogCarriesItsPart() throws {
    let log = Self.log(try Self.result(1, of: 3), lateSeconds: 0.02)
    let read = try HistogramLog(text: log.text)
    #expect(read.part == log.part)
    #expect(read.part?.result.seed == UInt64.max)
    #expect(read.part?.result.groups.map(\.name) == ["large, slow", "small"])
    #expect(read.entries.count == 6)
    // A part that never began has no histogram and says so.
    var empty = log
    empty.entries = []
    #expect(try HistogramLog(text: empty.text).part == log.part)
  }

  @Test func partsAddUpExactly() throws {
    let logs = try (0..<3).map { Self.log(try Self.result($0, of: 3)) }
    #expect(Self.problems(logs) == "")
    let merged = try #require(RunMerge.result(logs.compactMap { log in log.part.map { ($0, log) } }))
    var whole = Histogram()
    for value in 1...18 { whole.record(Int64(value) * 10_000_000) }
    #expect(merged.latency == whole)
    #expect(merged.completed == 18 && merged.rows == 36 && merged.errors == [.timeout: 6])
    #expect(merged.health.lateCount == 3 && merged.health.sendLag.count == 18 && merged.health.threads == 3)
    #expect(merged.intervals.count == 2 && merged.intervals[0].answers == 9 && merged.intervals[0].users == 12)
    #expect(merged.intervals[0].percentiles.last == whole.maximum)
    // Each kind of requests by itself, as in one process's report.
    #expect(merged.groups.map(\.name) == ["large, slow", "small"] && merged.groups.map(\.errors) == [3, 3])
    #expect(merged.groups.map(\.latency.count) == [6, 12])
    #expect(merged.groups[0].latency.maximum == logs[2].merged(tag: RunPart.tag(ofGroup: 0))?.maximum)
    #expect(merged.load == .open(RateProfile(perSecond: 100), isPoisson: true))
  }

  @Test func aRunWithoutAPartIsNone() throws {
    let logs = try [0, 2].map { Self.log(try Self.result($0, of: 4)) }
    #expect(Self.problems(logs) == "missing: part 1/4, 3/4")
  }

  @Test func aPartMayComeOnce() throws {
    let logs = try [0, 1, 1].map { Self.log(try Self.result($0, of: 2)) }
    #expect(Self.problems(logs) == "file2: part 1/2 is also in file1")
  }

  @Test func aLatePartIsNone() throws {
    let logs = [Self.log(try Self.result(0, of: 2)), Self.log(try Self.result(1, of: 2), lateSeconds: 3.2)]
    #expect(Self.problems(logs).contains("file1: part 1/2 was ready 3.2 s after the start instant"))
    #expect(Self.problems([logs[0], Self.log(try Self.result(1, of: 2), lateSeconds: 0.09)]) == "")
  }

  @Test func aPartThatWasCutShortIsNone() throws {
    var cut = try Self.result(1, of: 2)
    (cut.wasInterrupted, cut.windowSeconds) = (true, 1.5)
    #expect(Self.problems([Self.log(try Self.result(0, of: 2)), Self.log(cut)]) == "file1: part 1/2 ended after 1.5 s of 2.0 s")
  }

  @Test func partsOfOtherRunsAreTold() throws {
    let first = Self.log(try Self.result(0, of: 2))
    var other = try Self.result(1, of: 2)
    other.seed = 2
    #expect(Self.problems([first, Self.log(other)]).contains("its seed is 2"))
    other = try Self.result(1, of: 2)
    other.load = .open(RateProfile(perSecond: 200), isPoisson: true)
    #expect(Self.problems([first, Self.log(other)]).contains("its load is open 200.0 poisson"))
    #expect(Self.problems([first, Self.log(try Self.result(1, of: 2), start: 1_800_000_001)]).contains("its start instant"))
  }

  @Test func partsOfOtherRequestsAreTold() throws {
    var other = try Self.result(1, of: 2)
    other.groups.removeLast()
    #expect(Self.problems([Self.log(try Self.result(0, of: 2)), Self.log(other)]).contains("its list of requests is large, slow"))
  }

  @Test func loadsReadBack() throws {
    let loads: [OfferedLoad] = [
      .closed(users: 5, spawnRate: 2.5, think: .uniform(.milliseconds(100), .milliseconds(500))),
      .open(try #require(RateProfile(text: "0-100:30,100:60,50")), isPoisson: false),
    ]
    for load in loads { #expect(OfferedLoad(text: load.text) == load) }
    #expect(OfferedLoad(text: OfferedLoad.replay([.zero, .zero]).text) == .replay([.zero, .zero]))
    for text in ["", "closed 0 1 constant:0", "open x poisson", "open 5 often", "replay -1 0", "closed 1 1"] {
      #expect(OfferedLoad(text: text) == nil)
    }
  }

  @Test func brokenPartsAreRefused() throws {
    let text = Self.log(try Self.result(0, of: 2)).text
    for (old, new) in [
      ("\"share\":\"0/2\"", "\"share\":\"2/2\""), ("\"completed\":6", "\"completed\":-6"), ("\"timeout\":2", "\"sloth\":2"),
      ("\"lateSeconds\":0", "\"lateSeconds\":null"), ("load-part/2", "load-part/9"), ("load-result/2", "load-result/9"),
      ("{\"schema\"", "{schema"),
    ] {
      let broken = text.replacing(old, with: new)
      #expect(broken != text, "\(old)")
      #expect(throws: LoadInputError.self) { try HistogramLog(text: broken) }
    }
  }
}
