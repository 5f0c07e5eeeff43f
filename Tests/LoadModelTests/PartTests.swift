import JSONText
import LoadModel
import Testing

@Suite struct PartTests {
  /// What --part writes, as far as a merge reads it.
  static func json(
    share: String, seed: String = "7", startAt: JSONValue = 1_800_000_000.25, late: Double = 0, values: [Int64] = [1_000_000],
    rate: Double = 100, window: Double = 10, users: Int64 = 4, interrupted: Bool = false
  ) -> JSONValue {
    var latency = Histogram()
    for value in values { latency.record(value) }
    return [
      "schema": "headroom.load/1", "name": "m", "load": ["kind": "closed", "users": .integer(users)], "warmUpSeconds": 1,
      "windowSeconds": .number(window), "interrupted": .bool(interrupted), "requestsPerSecond": .number(rate),
      "rowsPerSecond": .number(2 * rate), "bytesReceivedPerSecond": 1000, "errorsByKind": ["timeout": 2],
      "generator": ["lateCount": 3, "verdict": "not-client-bound"],
      "part": [
        "share": .string(share), "seed": .string(seed), "startAtEpochSeconds": startAt, "startedLateSeconds": .number(late),
        "histograms": [
          "latency": .string(latency.encoded), "latencySinceSend": .string(latency.encoded), "sendLag": .string(Histogram().encoded),
        ],
      ],
    ]
  }

  static func problems(_ parts: [JSONValue]) throws -> [String] {
    let named = try parts.enumerated().map { (file: "\($0.offset).json", part: try RunPart(json: $0.element)) }
    do throws(MergedRun.Invalid) {
      _ = try MergedRun(named)
      return []
    } catch { return error.problems.map(\.description) }
  }

  @Test func allPartsTogetherAreTheRun() throws {
    let first = try RunPart(json: Self.json(share: "0/2", values: [1_000_000, 5_000_000], rate: 100))
    let second = try RunPart(json: Self.json(share: "1/2", late: 0.02, values: [1_000_000, 77], rate: 50.5))
    let run = try MergedRun([("b", second), ("a", first)])
    var whole = Histogram()
    for value: Int64 in [1_000_000, 5_000_000, 1_000_000, 77] { whole.record(value) }
    #expect(run.latency == whole)
    #expect(run.answersPerSecond == 150.5)
    #expect(run.rowsPerSecond == 301)
    #expect(run.errors == ["timeout": 4])
    #expect(run.lateCount == 6)
    #expect(run.startedLateSeconds == 0.02)
    #expect(run.partCount == 2)
  }

  @Test func aMissingOrLatePartMakesTheRunInvalid() throws {
    let parts = (0..<3).map { Self.json(share: "\($0)/3") }
    #expect(try Self.problems(parts) == [])
    #expect(try Self.problems([parts[0], parts[2]]) == ["part 1/3 is missing: give its file too, or run all parts again"])
    let twice = try Self.problems([parts[0], parts[1], parts[1]])
    #expect(twice.count == 2)
    #expect(twice[0].contains("part 1/3 is given twice, in 1.json and 2.json"))
    #expect(twice[1].contains("part 2/3 is missing"))
    let late = try Self.problems([parts[0], Self.json(share: "1/3", late: 0.101), parts[2]])
    #expect(late.count == 1)
    #expect(late[0].contains("1.json (part 1/3) started 101 ms late"))
    #expect(try Self.problems([parts[0], Self.json(share: "1/3", late: 0.1), parts[2]]) == [])
    #expect(try Self.problems([parts[0], Self.json(share: "1/3", window: 4, interrupted: true), parts[2]]).count == 1)
  }

  @Test(arguments: [
    (json(share: "1/3"), "one of 3 parts, not of 2"), (json(share: "1/2", seed: "8"), "seed is 8, not 7"),
    (json(share: "1/2", startAt: 1_800_000_001), "--start-at is 1800000001.0, not 1800000000.25"),
    (json(share: "1/2", startAt: .null), "--start-at is not given"), (json(share: "1/2", users: 5), "its load is"),
    (json(share: "1/2", window: 9), "its load is"),
  ])
  func partsOfAnotherRunAreNamed(other: JSONValue, words: String) throws {
    let problems = try Self.problems([Self.json(share: "0/2"), other])
    #expect(problems.count == 2)
    #expect(problems[0].contains("1.json belongs to another run than 0.json"))
    #expect(problems[0].contains(words))
    #expect(problems[1].contains("part 1/2 is missing"))
  }

  @Test func partsThatStartedWheneverAreNoRun() throws {
    let problems = try Self.problems((0..<2).map { Self.json(share: "\($0)/2", startAt: .null, late: 5) })
    #expect(problems.count == 2)
    #expect(problems[0].contains("without --start-at"))
    // A whole run is a part of itself.
    #expect(try Self.problems([Self.json(share: "0/1", startAt: .null)]) == [])
  }

  @Test func badPartsNameTheField() {
    func error(_ change: (inout [JSONValue.Member]) -> Void) -> String? {
      guard var members = Self.json(share: "0/1").objectValue else { return nil }
      change(&members)
      do throws(LoadInputError) {
        _ = try RunPart(json: .object(members))
        return nil
      } catch { return error.description }
    }
    #expect(error { _ in } == nil)
    #expect(error { $0.removeAll { $0.name == "part" } }?.contains("part.share is missing") == true)
    #expect(error { $0[0].value = "other/1" } == "schema is not headroom.load/1")
    #expect(error { $0[6].value = -1 } == "requestsPerSecond is not what it should be")
    #expect(error { $0[10].value = ["verdict": "x"] }?.contains("generator.lateCount is missing") == true)
    #expect(error { $0[9].value = ["timeout": "many"] } == "errorsByKind.timeout is no count")
  }

  @Test func aStartThatHasPassedIsMissed() {
    #expect(RunStart(startAt: nil, now: 100) == .at(epochSeconds: 100.02))
    #expect(RunStart(startAt: 105, now: 100) == .at(epochSeconds: 105))
    #expect(RunStart(startAt: 100, now: 100.5) == .missed(bySeconds: 0.5))
  }
}
