import CheckedNumbers
import JSONText

/// One process's part of a run that several share, as its histogram log carries it: enough to tell whether all parts are there and belong
/// together, and to add them up.
public struct RunPart: Sendable, Equatable {
  /// Which part of how many.
  public var share: RunShare
  /// Of all draws.
  public var seed: UInt64
  /// When the run was to start, seconds since 1970.
  public var startEpochSeconds: Double
  /// How long after that this part was ready, seconds; 0 where it was in time.
  public var lateSeconds: Double
  /// What was asked.
  public var name: String
  /// What was offered, as `OfferedLoad.text` has it.
  public var load: String
  /// Cut off before the window, seconds.
  public var warmUpSeconds: Double
  /// How long the window was to be, seconds.
  public var plannedSeconds: Double
  /// How long it was, seconds.
  public var windowSeconds: Double
  /// Whether somebody ended it before its time.
  public var wasInterrupted = false
  /// As in `LoadResult`.
  public var completed: Int64 = 0
  /// As in `LoadResult`.
  public var rows: Int64 = 0
  /// As in `LoadResult`.
  public var bytesReceived: Int64 = 0
  /// As in `LoadResult`.
  public var errors: [LoadErrorKind: Int64] = [:]
  /// As in `LoadResult`.
  public var intervals: [IntervalSummary] = []
  /// Its own health, without the histograms, which are in the log.
  public var health = ClientHealth()
  /// `ClientVerdict.code`.
  public var verdict: String
  /// Kinds of requests, without their histograms, which are in the log by `tag(ofGroup:)`; empty where there is one kind.
  public var groups: [RequestGroup] = []

  /// Under what a kind's latencies stand in the log: names may have anything in them, a tag may not.
  public static func tag(ofGroup index: Int) -> String { "request-\(index)" }

  /// Histograms of a part, by their tag in its log.
  public enum Tag: String, Sendable, CaseIterable {
    /// `LoadResult.uncorrected`.
    case uncorrected
    /// `ClientHealth.sendLag`.
    case sendLag = "send-lag"
    /// `ClientHealth.schedulingLag`.
    case schedulingLag = "scheduling-lag"
  }

  /// The part that a result is.
  public init(_ result: LoadResult, startEpochSeconds: Double, lateSeconds: Double, plannedSeconds: Double) {
    (share, seed, name, load) = (result.share, result.seed, result.name, result.load.text)
    self.startEpochSeconds = startEpochSeconds
    self.lateSeconds = lateSeconds
    self.plannedSeconds = plannedSeconds
    (warmUpSeconds, windowSeconds, wasInterrupted) = (result.warmUpSeconds, result.windowSeconds, result.wasInterrupted)
    (completed, rows, bytesReceived, errors) = (result.completed, result.rows, result.bytesReceived, result.errors)
    (intervals, health, verdict) = (result.intervals, result.health, result.verdict.code)
    groups = result.groups.map { group in
      var bare = RequestGroup(name: group.name)
      bare.errors = group.errors
      return bare
    }
    health.sendLag = Histogram()
    health.schedulingLag = Histogram()
  }

  // MARK: As a comment of a log

  static let marker = "#[Headroom part: "

  /// The comment's line.
  var comment: String { Self.marker + json.serialized(pretty: false) + "]\n" }

  private var json: JSONValue {
    [
      "schema": "headroom.load-part/1", "share": .string(share.text), "seed": .string(String(seed)), "start": JSONValue(startEpochSeconds),
      "lateSeconds": JSONValue(lateSeconds), "name": .string(name), "load": .string(load), "warmUpSeconds": JSONValue(warmUpSeconds),
      "plannedSeconds": JSONValue(plannedSeconds), "windowSeconds": JSONValue(windowSeconds), "interrupted": .bool(wasInterrupted),
      "completed": JSONValue(completed), "rows": JSONValue(rows), "bytesReceived": JSONValue(bytesReceived),
      "errors": .object(errors.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init($0.key.rawValue, JSONValue($0.value)) }),
      "intervals": .array(
        intervals.map {
          [
            JSONValue($0.startSeconds), JSONValue($0.lengthSeconds), JSONValue($0.answers), JSONValue($0.errors),
            JSONValue($0.latencySeconds), JSONValue($0.sinceSendSeconds), JSONValue($0.users),
          ]
        }),
      "threads": JSONValue(health.threads), "cpuSeconds": JSONValue(health.cpuSeconds),
      "busiestThreadShare": JSONValue(health.busiestThreadShare), "lateCount": JSONValue(health.lateCount),
      "lateAfterNanoseconds": JSONValue(health.lateAfter.nanoseconds), "connectionsOpened": JSONValue(health.connectionsOpened),
      "connectionErrors": JSONValue(health.connectionErrors), "reachedConnectionLimit": .bool(health.reachedConnectionLimit),
      "unsentAtEnd": JSONValue(health.unsentAtEnd), "thinkSeconds": JSONValue(health.thinkSeconds), "verdict": .string(verdict),
      "groups": .array(groups.map { ["name": .string($0.name), "errors": JSONValue($0.errors)] }),
    ]
  }

  /// Reads a comment's line; nil for any other comment.
  init?(comment line: some StringProtocol) throws(LoadInputError) {
    guard line.hasPrefix(Self.marker), line.hasSuffix("]") else { return nil }
    let text = String(line.dropFirst(Self.marker.count).dropLast())
    guard let tree = try? JSONValue.parse(text), tree["schema"]?.stringValue == "headroom.load-part/1" else {
      throw LoadInputError("the line that says which part of a run this is cannot be read")
    }
    func value<T>(_ name: String, _ convert: (JSONValue) -> T?) throws(LoadInputError) -> T {
      guard let value = tree[name].flatMap(convert) else { throw LoadInputError("the part of a run has no \(name) that can be read") }
      return value
    }
    func count(_ name: String) throws(LoadInputError) -> Int64 {
      try value(name) { $0.integerValue.flatMap { (0...(1 << 53)).contains($0) ? $0 : nil } }
    }
    func seconds(_ name: String) throws(LoadInputError) -> Double {
      try value(name) { $0.doubleValue.flatMap { (0...1e11).contains($0) ? $0 : nil } }
    }
    share = try value("share") { $0.stringValue.flatMap { RunShare(text: $0) } }
    seed = try value("seed") { $0.stringValue.flatMap { UInt64($0) } }
    startEpochSeconds = try seconds("start")
    lateSeconds = try seconds("lateSeconds")
    name = try value("name", \.stringValue)
    load = try value("load", \.stringValue)
    warmUpSeconds = try seconds("warmUpSeconds")
    plannedSeconds = try seconds("plannedSeconds")
    windowSeconds = try seconds("windowSeconds")
    wasInterrupted = try value("interrupted", \.boolValue)
    completed = try count("completed")
    rows = try count("rows")
    bytesReceived = try count("bytesReceived")
    for member in try value("errors", \.objectValue) {
      guard let kind = LoadErrorKind(rawValue: member.name), let count = member.value.integerValue, count >= 0, count < 1 << 53 else {
        throw LoadInputError("the part of a run counts errors of the kind \"\(member.name)\", which is none")
      }
      errors[kind] = count
    }
    for entry in try value("intervals", \.arrayValue) {
      let numbers = (entry.arrayValue ?? []).compactMap(\.doubleValue)
      guard numbers.count == 7, numbers.allSatisfy({ (0...1e15).contains($0) }) else {
        throw LoadInputError("an interval of the part of a run is not seven numbers")
      }
      intervals.append(
        IntervalSummary(
          startSeconds: numbers[0], lengthSeconds: numbers[1], answers: Int64(saturating: numbers[2]),
          errors: Int64(saturating: numbers[3]),
          latencySeconds: numbers[4], sinceSendSeconds: numbers[5], users: Int(saturating: numbers[6])))
    }
    health.threads = Int(try count("threads"))
    health.cpuSeconds = try seconds("cpuSeconds")
    health.busiestThreadShare = try seconds("busiestThreadShare")
    health.lateCount = try count("lateCount")
    health.lateAfter = .nanoseconds(try count("lateAfterNanoseconds"))
    health.connectionsOpened = Int(try count("connectionsOpened"))
    health.connectionErrors = try count("connectionErrors")
    health.reachedConnectionLimit = try value("reachedConnectionLimit", \.boolValue)
    health.unsentAtEnd = Int(try count("unsentAtEnd"))
    health.thinkSeconds = tree["thinkSeconds"]?.doubleValue
    verdict = try value("verdict", \.stringValue)
    for entry in tree["groups"]?.arrayValue ?? [] {
      guard let name = entry["name"]?.stringValue, let errors = entry["errors"]?.integerValue, (0...(1 << 53)).contains(errors) else {
        throw LoadInputError("a kind of requests of the part of a run has no name, or no count of errors")
      }
      var group = RequestGroup(name: name)
      group.errors = errors
      groups.append(group)
    }
  }
}
