import JSONText
import LoadModel
import Testing
import TimeBase
import Workload

/// A result is written and read in one place: nothing of it is lost between two processes.
@Suite struct ResultDocumentTests {
  /// Every field differs from its default, and from every other of its type.
  static func full() throws -> LoadResult {
    var result = LoadResult(
      name: "m \"quoted\" ü", load: .closed(users: 17, spawnRate: 2.5, think: .uniform(.milliseconds(100), .milliseconds(500))),
      share: try #require(RunShare(text: "2/5")), seed: .max, warmUpSeconds: 1.5, windowSeconds: 10.000000001)
    result.wasInterrupted = true
    for value in 1...100 { result.latency.record(Int64(value * value) * 1_000_003) }
    for value in 1...99 { result.uncorrected.record(Int64(value) * 999_983) }
    result.completed = 98
    result.rows = 197
    result.bytesReceived = 1 << 40
    for (index, kind) in LoadErrorKind.allCases.enumerated() {
      result.errors[kind] = Int64(index + 1)
      result.errorSamples[kind] = "sample of \(kind)"
    }
    var group = RequestGroup(name: "large, slow")
    group.latency.record(77_000_000, count: 3)
    group.errors = 4
    result.groups = [group, RequestGroup(name: "small")]
    for second in 0..<8 {
      var interval = IntervalSummary(
        startSeconds: 1.5 + Double(second), lengthSeconds: 1 / 3.0, answers: Int64(10 + second), errors: Int64(second),
        latencySeconds: 0.1 / 3,
        sinceSendSeconds: 0.2 / 3, users: 16 - second)
      interval.percentiles = [1, 2, Int64(second) << 33]
      result.intervals.append(interval)
    }
    result.health.threads = 3
    result.health.cpuSeconds = 4.125
    result.health.busiestThreadShare = 0.7
    result.health.schedulingLag.record(5_000, count: 6)
    result.health.sendLag.record(7_000, count: 9)
    result.health.lateCount = 11
    result.health.lateAfter = .microseconds(1234)
    result.health.connectionsOpened = 12
    result.health.connectionErrors = 13
    result.health.reachedConnectionLimit = true
    result.health.unsentAtEnd = 14
    result.health.thinkSeconds = 0.3
    result.server = ServerPhases(
      requests: 21, rows: 22, batches: 23, totalSeconds: 0.024, queueSeconds: 0.025, inputSeconds: 0.026, inferSeconds: 0.027,
      outputSeconds: 0.028)
    return result
  }

  @Test func everyFieldReadsBack() throws {
    let result = try Self.full()
    let document = result.document()
    #expect(try LoadResult(document: document) == result)
    // Through text, as between processes.
    let report: JSONValue = .object([.init("schema", "headroom.load/2"), .init(LoadResult.reportMember, document)])
    for pretty in [true, false] {
      let read = try LoadResult(report: Array(report.serialized(pretty: pretty).utf8))
      #expect(read == result)
      #expect(read.verdict == result.verdict && read.stability == result.stability)
    }
    let empty = LoadResult(
      name: "", load: .open(RateProfile(perSecond: 0.1), isPoisson: true), share: .whole, seed: 0, warmUpSeconds: 0, windowSeconds: 0)
    #expect(try LoadResult(document: empty.document()) == empty)
  }

  /// A member more or less on one side alone would be noticed: no field has the value that a missing one would give.
  @Test func noFieldIsLeftAtItsDefault() throws {
    let (result, empty) = (
      try Self.full(),
      LoadResult(
        name: "", load: .closed(users: 1, spawnRate: 1, think: .constant(.zero)), share: .whole, seed: 0, warmUpSeconds: 0, windowSeconds: 0
      )
    )
    func values(_ value: Any) -> [String: String] {
      var found: [String: String] = [:]
      for child in Mirror(reflecting: value).children { found[child.label ?? ""] = "\(child.value)" }
      return found
    }
    for (own, other) in [(values(result), values(empty)), (values(result.health), values(empty.health))] {
      #expect(own.count > 10)
      for (name, value) in own { #expect(value != other[name], "\(name) is tested with its default alone") }
    }
  }

  @Test func histogramsMayLieBesideIt() throws {
    let result = try Self.full()
    let read = try LoadResult(document: result.document(histograms: .beside))
    #expect(read.latency == Histogram() && read.health.sendLag == Histogram() && read.groups[0].latency == Histogram())
    #expect(read.completed == result.completed && read.intervals == result.intervals)
  }

  @Test func anotherSchemaNamesBoth() throws {
    let text = try Self.full().document().serialized(pretty: false)
    let other = try JSONValue.parse(text.replacing("headroom.load-result/2", with: "headroom.load-result/3"))
    let error = try #require(throws: LoadInputError.self) { try LoadResult(document: other) }
    #expect(error.description.contains("headroom.load-result/3") && error.description.contains("headroom.load-result/2"))
    #expect(throws: LoadInputError.self) { try LoadResult(document: .null) }
    #expect(throws: LoadInputError.self) { try LoadResult(report: Array("{}".utf8)) }
    #expect(throws: LoadInputError.self) { try LoadResult(report: Array("not json".utf8)) }
  }

  /// Whatever member is missing or of another kind, the error names it.
  @Test func everyMemberIsDemandedByName() throws {
    let document = try Self.full().document()
    let members = try #require(document.objectValue)
    // What follows from the rest is written for people alone; histograms may be beside it, and so may the server's part be missing.
    let optional: Set<String> = ["verdict", "stability", "latency", "latencySinceSend", "server"]
    for member in members where !optional.contains(member.name) {
      let without = JSONValue.object(members.filter { $0.name != member.name })
      let error = try #require(throws: LoadInputError.self) { try LoadResult(document: without) }
      #expect(error.description.contains(member.name), "\(error)")
      let wrong = JSONValue.object(members.map { $0.name == member.name ? .init($0.name, .array([.null])) : $0 })
      #expect(throws: LoadInputError.self) { try LoadResult(document: wrong) }
    }
  }

  @Test func sharesOfOneRunAddUp() throws {
    var results: [LoadResult] = []
    for index in 0..<2 {
      var result = try Self.full()
      result.share = try #require(RunShare(text: "\(index)/2"))
      results.append(result)
    }
    let sum = try #require(RunMerge.sum(results))
    #expect(sum.share == .whole && sum.completed == 196 && sum.latency.count == 200 && sum.health.threads == 6)
    #expect(sum.health.busiestThreadShare == 0.7 && sum.intervals[3].answers == 26 && sum.groups[0].errors == 8)
    #expect(sum.server == nil, "what the server counted belongs to all of them together")
    let whole = try #require(
      results.first.map {
        var whole = $0; whole.share = .whole; return whole
      })
    #expect(RunMerge.sum([whole]) == whole)
    #expect(RunMerge.sum([]) == nil)
  }
}
