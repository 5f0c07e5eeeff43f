import CheckedNumbers

/// Two findings may ask for more and for less of one setting: fewer instances fill batches, more of them overlap copies. Nobody can do both.
/// Of each setting one direction is kept, the one whose effect on the goal is best; where no effect was computed, the one that is named
/// first.
struct OneDirection {
  let run: RunEvidence
  let goal: Goal

  init(of run: RunEvidence, goal: Goal) {
    self.run = run
    self.goal = goal
  }

  /// The findings, best first, less the fixes that go against a better one.
  func filtered(_ findings: [RankedFinding]) -> [RankedFinding] {
    var kept: [String: (rises: Bool, gain: Double?)] = [:]
    for fix in findings.flatMap(\.fixes) {
      let gain = (try? fix.gains.get()).map(goal.gain)
      for (setting, rises) in directions(fix.fix) {
        guard let known = kept[setting] else {
          kept[setting] = (rises, gain)
          continue
        }
        // A computed effect outweighs none; the first of equals stays.
        if let gain, gain > known.gain ?? -.infinity { kept[setting] = (rises, gain) }
      }
    }
    let all = findings.flatMap(\.fixes).flatMap { directions($0.fix) }
    let opposed = Set(all.filter { one in all.contains { $0.setting == one.setting && $0.rises != one.rises } }.map(\.setting))
    return findings.map { finding in
      var finding = finding
      finding.fixes.removeAll { fix in
        directions(fix.fix).contains { direction in
          guard opposed.contains(direction.setting) else { return false }
          if kept[direction.setting]?.rises != direction.rises { return true }
          // What stays of two directions must help: of a delay that is best left alone neither is advised.
          guard let estimate = try? fix.gains.get() else { return false }
          return goal.keys(estimate).allSatisfy { $0 <= 0 }
        }
      }
      return finding
    }
  }

  private func directions(_ fix: Fix) -> [(setting: String, rises: Bool)] {
    fix.changes.compactMap { change in change.rises(in: run).map { (change.setting, $0) } }
  }
}

extension Change {
  /// Whether it raises its setting above what the run had (false: lowers it); nil for a change that has no direction, or changes nothing.
  func rises(in run: RunEvidence) -> Bool? {
    let (new, old): (Int, Int?)
    switch self {
    case .instances(let count): (new, old) = (count, run.batching.instances ?? 1)
    case .batchDelay(let microseconds): (new, old) = (microseconds, run.batching.maximumQueueDelayMicroseconds)
    case .maximumBatchRows(let rows): (new, old) = (rows, run.batching.maximumRows)
    case .maximumQueueSize(let size): (new, old) = (size == 0 ? .max : size, run.batching.maximumQueueSize)
    case .queueTimeout(let microseconds): (new, old) = (microseconds == 0 ? .max : microseconds, run.batching.timeoutMicroseconds)
    case .clientCores(let cores): (new, old) = (cores, run.client.cores ?? 1)
    case .frontEndCores(let cores): (new, old) = (cores, run.frontEnd.cores ?? 1)
    default: return nil
    }
    guard let old, new != old else { return nil }
    return new > old
  }
}
