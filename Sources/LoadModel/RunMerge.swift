/// The parts of a run put together again. A run of which a part is missing, late or cut short is not a smaller run but none.
public enum RunMerge {
  /// A part that was ready this much after the start instant has not taken part in the same run.
  public static let lateLimitSeconds = 0.1

  /// What keeps these parts from being one run; empty where nothing does. `name` says where a part was read from.
  public static func problems(_ parts: [(name: String, part: RunPart)]) -> [String] {
    guard let first = parts.first else { return ["there is no part"] }
    var problems: [String] = []
    var owners: [Int: String] = [:]
    func requests(_ part: RunPart) -> String { part.result.groups.map(\.name).joined(separator: ", ") }
    for (name, part) in parts {
      // One that never began knows only its own lateness.
      let others = part.result.windowSeconds > 0 && first.part.result.windowSeconds > 0 ? requests(first.part) : requests(part)
      let pairs: [(String, String, String)] = [
        ("number of parts", "\(part.share.count)", "\(first.part.share.count)"),
        ("seed", "\(part.result.seed)", "\(first.part.result.seed)"),
        ("start instant", "\(part.startEpochSeconds)", "\(first.part.startEpochSeconds)"),
        ("requests", part.result.name, first.part.result.name),
        ("load", part.result.load.text, first.part.result.load.text),
        ("warm-up", "\(part.result.warmUpSeconds)", "\(first.part.result.warmUpSeconds)"),
        ("duration", "\(part.plannedSeconds)", "\(first.part.plannedSeconds)"),
        ("list of requests", requests(part), others),
      ]
      for (what, own, others) in pairs where own != others {
        problems.append("\(name): its \(what) is \(own), that of \(first.name) \(others): they are of different runs")
      }
      if let owner = owners[part.share.index] {
        problems.append("\(name): part \(part.share.text) is also in \(owner)")
      } else {
        owners[part.share.index] = name
      }
      if part.lateSeconds > lateLimitSeconds {
        problems.append(
          "\(name): part \(part.share.text) was ready \((part.lateSeconds * 1000).rounded() / 1000) s after the start instant; choose a later --start-at"
        )
      } else if part.result.wasInterrupted || part.result.windowSeconds < part.plannedSeconds * 0.999 {
        problems.append("\(name): part \(part.share.text) ended after \(part.result.windowSeconds) s of \(part.plannedSeconds) s")
      }
    }
    let missing = (0..<first.part.share.count).filter { owners[$0] == nil }
    if !missing.isEmpty {
      let names = missing.prefix(8).map { "\($0)/\(first.part.share.count)" }.joined(separator: ", ")
      problems.append("missing: part \(names)\(missing.count > 8 ? " and \(missing.count - 8) more" : "")")
    }
    return problems
  }

  /// The run of these parts, which have no problems.
  public static func result(_ parts: [(part: RunPart, log: HistogramLog)]) -> LoadResult? {
    let results = parts.map { part, log in
      var result = part.result
      func take(_ tag: RunPart.Tag?, _ histogram: inout Histogram) { histogram = log.merged(tag: tag?.rawValue) ?? Histogram() }
      take(nil, &result.latency)
      take(.uncorrected, &result.uncorrected)
      take(.sendLag, &result.health.sendLag)
      take(.schedulingLag, &result.health.schedulingLag)
      for index in result.groups.indices {
        if let own = log.merged(tag: RunPart.tag(ofGroup: index)) { result.groups[index].latency = own }
      }
      return result
    }
    guard var sum = sum(results) else { return nil }
    for index in sum.intervals.indices {
      var latency = Histogram()
      for (_, log) in parts {
        // Seconds begin alike in all parts; their logs have them to a thousandth.
        for entry in log.entries where entry.tag == nil && (entry.startSeconds - sum.intervals[index].startSeconds).magnitude < 0.01 {
          latency.add(entry.histogram)
        }
      }
      sum.intervals[index].percentiles = IntervalSummary.keptPercentiles.compactMap { latency.value(atPercentile: $0) }
    }
    return sum
  }

  /// The whole run of these shares of it: counts and histograms add up, and the busiest thread is that
  /// of all. Percentiles of single seconds cannot be added up and are left out of a run of several shares.
  public static func sum(_ results: [LoadResult]) -> LoadResult? {
    guard let first = results.first else { return nil }
    if results.count == 1, first.share == .whole { return first }
    var sum = LoadResult(
      name: first.name, load: first.load, share: .whole, seed: first.seed, warmUpSeconds: first.warmUpSeconds,
      windowSeconds: first.windowSeconds)
    sum.groups = first.groups.map { RequestGroup(name: $0.name) }
    sum.health.threads = 0
    sum.health.lateAfter = first.health.lateAfter
    sum.health.thinkSeconds = first.health.thinkSeconds
    for part in results {
      sum.latency.add(part.latency)
      sum.uncorrected.add(part.uncorrected)
      for (index, group) in part.groups.enumerated() where sum.groups.indices.contains(index) { sum.groups[index].add(group) }
      sum.wasInterrupted = sum.wasInterrupted || part.wasInterrupted
      sum.completed += part.completed
      sum.rows += part.rows
      sum.bytesReceived += part.bytesReceived
      sum.errors.merge(part.errors, uniquingKeysWith: +)
      sum.errorSamples.merge(part.errorSamples) { first, _ in first }
      sum.health.add(part.health)
      for (index, interval) in part.intervals.enumerated() {
        if sum.intervals.indices.contains(index) { sum.intervals[index].add(interval) } else { sum.intervals.append(interval) }
      }
    }
    if results.count > 1 { for index in sum.intervals.indices { sum.intervals[index].percentiles = [] } }
    return sum
  }
}

extension ClientHealth {
  /// Counts another process's.
  mutating func add(_ other: ClientHealth) {
    sendLag.add(other.sendLag)
    schedulingLag.add(other.schedulingLag)
    threads += other.threads
    cpuSeconds += other.cpuSeconds
    busiestThreadShare = max(busiestThreadShare, other.busiestThreadShare)
    lateCount += other.lateCount
    connectionsOpened += other.connectionsOpened
    connectionErrors += other.connectionErrors
    reachedConnectionLimit = reachedConnectionLimit || other.reachedConnectionLimit
    unsentAtEnd += other.unsentAtEnd
  }
}

extension IntervalSummary {
  /// Counts another part's same second.
  mutating func add(_ other: IntervalSummary) {
    lengthSeconds = max(lengthSeconds, other.lengthSeconds)
    answers += other.answers
    errors += other.errors
    latencySeconds += other.latencySeconds
    sinceSendSeconds += other.sinceSendSeconds
    users += other.users
  }
}
