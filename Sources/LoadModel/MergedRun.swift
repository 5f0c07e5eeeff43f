/// The parts of a run as one: exact counts, summed rates. There is none when a part is missing or late: the rest would look like a smaller
/// run, which it is not.
public struct MergedRun: Sendable {
  /// Why parts are no run.
  public enum Problem: Error, Sendable, Hashable, CustomStringConvertible {
    /// Nobody brought it.
    case missing(share: String)
    /// Two files bring the same part.
    case twice(share: String, first: String, second: String)
    /// It was run with something else.
    case anotherRun(file: String, what: String, other: String)
    /// Several parts without an instant at which all started.
    case unscheduled(file: String, share: String)
    /// It started after the others.
    case late(file: String, share: String, seconds: Double)
    /// Somebody ended it early.
    case interrupted(file: String, share: String)

    /// What is wrong and what to do.
    public var description: String {
      switch self {
      case .missing(let share): "part \(share) is missing: give its file too, or run all parts again"
      case .twice(let share, let first, let second): "part \(share) is given twice, in \(first) and \(second): give each part once"
      case .anotherRun(let file, let what, let other): "\(file) belongs to another run than \(other): \(what)"
      case .unscheduled(let file, let share): "\(file) (part \(share)) was run without --start-at: parts must start together"
      case .late(let file, let share, let seconds):
        "\(file) (part \(share)) started \(Int((seconds * 1000).rounded())) ms late, more than \(Int(RunStart.toleranceSeconds * 1000)) ms: "
          + "run all parts again with a later --start-at"
      case .interrupted(let file, let share): "\(file) (part \(share)) was interrupted: run all parts again"
      }
    }
  }

  /// All the reasons at once.
  public struct Invalid: Error, Sendable, Hashable {
    /// At least one.
    public var problems: [Problem]
  }

  /// What was asked.
  public private(set) var name: String
  /// How many parts.
  public private(set) var partCount: Int
  /// Of all draws.
  public private(set) var seed: String
  /// Answers without a fault a second, all parts together.
  public private(set) var answersPerSecond = 0.0
  /// Rows a second.
  public private(set) var rowsPerSecond = 0.0
  /// Bytes received a second.
  public private(set) var bytesReceivedPerSecond = 0.0
  /// Faults by kind.
  public private(set) var errors: [String: Int64] = [:]
  /// Requests sent late.
  public private(set) var lateCount: Int64 = 0
  /// The latest start.
  public private(set) var startedLateSeconds = 0.0
  /// Parts whose figures are the generator's own.
  public private(set) var clientBound: [String] = []
  /// Latencies, ns.
  public private(set) var latency: Histogram
  /// Latencies since send, ns.
  public private(set) var uncorrected: Histogram
  /// How late requests were sent, ns.
  public private(set) var sendLag: Histogram

  /// All faults.
  public var errorCount: Int64 { errors.values.reduce(0, &+) }

  /// The run of these parts; their order does not matter.
  public init(_ parts: [(file: String, part: RunPart)]) throws(Invalid) {
    let sorted = parts.sorted { ($0.part.share.index, $0.file) < ($1.part.share.index, $1.file) }
    guard let first = sorted.first else { throw Invalid(problems: [.missing(share: "0/1")]) }
    let problems = Self.problems(sorted, first)
    if !problems.isEmpty { throw Invalid(problems: problems) }
    name = first.part.name
    partCount = first.part.share.count
    seed = first.part.seed
    (latency, uncorrected, sendLag) = (Histogram(), Histogram(), Histogram())
    for (_, part) in sorted {
      answersPerSecond += part.answersPerSecond
      rowsPerSecond += part.rowsPerSecond
      bytesReceivedPerSecond += part.bytesReceivedPerSecond
      for (kind, count) in part.errors { errors[kind, default: 0] &+= count }
      lateCount &+= part.lateCount
      startedLateSeconds = max(startedLateSeconds, part.startedLateSeconds)
      if part.verdict == "client-bound" { clientBound.append(part.share.text) }
      latency.add(part.latency)
      uncorrected.add(part.uncorrected)
      sendLag.add(part.sendLag)
    }
  }

  private static func problems(_ parts: [(file: String, part: RunPart)], _ first: (file: String, part: RunPart)) -> [Problem] {
    var problems: [Problem] = []
    var seen: [Int: String] = [:]
    for (file, part) in parts {
      let share = part.share.text
      if let what = difference(part, first.part) {
        problems.append(.anotherRun(file: file, what: what, other: first.file))
        continue
      }
      if let other = seen[part.share.index] {
        problems.append(.twice(share: share, first: other, second: file))
      } else {
        seen[part.share.index] = file
      }
      if part.startAtEpochSeconds == nil, part.share.count > 1 { problems.append(.unscheduled(file: file, share: share)) }
      if part.startAtEpochSeconds != nil, part.startedLateSeconds > RunStart.toleranceSeconds {
        problems.append(.late(file: file, share: share, seconds: part.startedLateSeconds))
      }
      if part.wasInterrupted { problems.append(.interrupted(file: file, share: share)) }
    }
    let count = first.part.share.count
    for index in 0..<count where seen[index] == nil { problems.append(.missing(share: "\(index)/\(count)")) }
    return problems
  }

  /// In words; nil for parts of one run.
  private static func difference(_ part: RunPart, _ first: RunPart) -> String? {
    if part.share.count != first.share.count { return "it is one of \(part.share.count) parts, not of \(first.share.count)" }
    if part.seed != first.seed { return "its seed is \(part.seed), not \(first.seed)" }
    if part.startAtEpochSeconds != first.startAtEpochSeconds {
      func text(_ instant: Double?) -> String { instant.map { "\($0)" } ?? "not given" }
      return "its --start-at is \(text(part.startAtEpochSeconds)), not \(text(first.startAtEpochSeconds))"
    }
    if part.name != first.name { return "it asked \(part.name), not \(first.name)" }
    if !part.wasInterrupted, !first.wasInterrupted, part.load != first.load { return "its load is \(part.load), not \(first.load)" }
    return nil
  }
}
