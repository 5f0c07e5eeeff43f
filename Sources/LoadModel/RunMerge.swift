/// The parts of a run put together again. A run of which a part is missing, late or cut short is not a smaller run but none.
public enum RunMerge {
  /// A part that was ready this much after the start instant has not taken part in the same run.
  public static let lateLimitSeconds = 0.1

  /// What keeps these parts from being one run; empty where nothing does. `name` says where a part was read from.
  public static func problems(_ parts: [(name: String, part: RunPart)]) -> [String] {
    guard let first = parts.first else { return ["there is no part"] }
    var problems: [String] = []
    var owners: [Int: String] = [:]
    func requests(_ part: RunPart) -> String { part.groups.map(\.name).joined(separator: ", ") }
    for (name, part) in parts {
      // One that never began knows only its own lateness.
      let others = part.windowSeconds > 0 && first.part.windowSeconds > 0 ? requests(first.part) : requests(part)
      let pairs: [(String, String, String)] = [
        ("number of parts", "\(part.share.count)", "\(first.part.share.count)"), ("seed", "\(part.seed)", "\(first.part.seed)"),
        ("start instant", "\(part.startEpochSeconds)", "\(first.part.startEpochSeconds)"), ("requests", part.name, first.part.name),
        ("load", part.load, first.part.load), ("warm-up", "\(part.warmUpSeconds)", "\(first.part.warmUpSeconds)"),
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
      } else if part.wasInterrupted || part.windowSeconds < part.plannedSeconds * 0.999 {
        problems.append("\(name): part \(part.share.text) ended after \(part.windowSeconds) s of \(part.plannedSeconds) s")
      }
    }
    if OfferedLoad(text: first.part.load) == nil { problems.append("\(first.name): nobody offers a load of \"\(first.part.load)\"") }
    let missing = (0..<first.part.share.count).filter { owners[$0] == nil }
    if !missing.isEmpty {
      let names = missing.prefix(8).map { "\($0)/\(first.part.share.count)" }.joined(separator: ", ")
      problems.append("missing: part \(names)\(missing.count > 8 ? " and \(missing.count - 8) more" : "")")
    }
    return problems
  }

  /// The run of these parts, which have no problems.
  public static func result(_ parts: [(part: RunPart, log: HistogramLog)]) -> LoadResult? {
    guard let first = parts.first?.part, let load = OfferedLoad(text: first.load) else { return nil }
    var result = LoadResult(
      name: first.name, load: load, share: .whole, seed: first.seed, warmUpSeconds: first.warmUpSeconds, windowSeconds: first.windowSeconds)
    result.groups = first.groups.map { RequestGroup(name: $0.name) }
    result.health.threads = 0
    result.health.lateAfter = first.health.lateAfter
    result.health.thinkSeconds = first.health.thinkSeconds
    for (part, log) in parts {
      func add(_ tag: RunPart.Tag?, _ histogram: inout Histogram) { if let own = log.merged(tag: tag?.rawValue) { histogram.add(own) } }
      add(nil, &result.latency)
      add(.uncorrected, &result.uncorrected)
      add(.sendLag, &result.health.sendLag)
      add(.schedulingLag, &result.health.schedulingLag)
      for index in result.groups.indices where part.groups.indices.contains(index) {
        result.groups[index].errors += part.groups[index].errors
        if let own = log.merged(tag: RunPart.tag(ofGroup: index)) { result.groups[index].latency.add(own) }
      }
      result.completed += part.completed
      result.rows += part.rows
      result.bytesReceived += part.bytesReceived
      result.errors.merge(part.errors, uniquingKeysWith: +)
      result.health.threads += part.health.threads
      result.health.cpuSeconds += part.health.cpuSeconds
      result.health.busiestThreadShare = max(result.health.busiestThreadShare, part.health.busiestThreadShare)
      result.health.lateCount += part.health.lateCount
      result.health.connectionsOpened += part.health.connectionsOpened
      result.health.connectionErrors += part.health.connectionErrors
      result.health.reachedConnectionLimit = result.health.reachedConnectionLimit || part.health.reachedConnectionLimit
      result.health.unsentAtEnd += part.health.unsentAtEnd
      for (index, interval) in part.intervals.enumerated() {
        if result.intervals.indices.contains(index) { result.intervals[index].add(interval) } else { result.intervals.append(interval) }
      }
    }
    for index in result.intervals.indices {
      var latency = Histogram()
      for (_, log) in parts {
        // Seconds begin alike in all parts; their logs have them to a thousandth.
        for entry in log.entries where entry.tag == nil && (entry.startSeconds - result.intervals[index].startSeconds).magnitude < 0.01 {
          latency.add(entry.histogram)
        }
      }
      result.intervals[index].percentiles = IntervalSummary.keptPercentiles.compactMap { latency.value(atPercentile: $0) }
    }
    return result
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
