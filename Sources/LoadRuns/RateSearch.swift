import LoadModel

/// How the search for the highest rate that keeps a goal went.
package struct RateSearch {
  package struct Trial {
    package var rate: Double
    package var holds: Bool
    package var value: Double?
    package var verdict: ClientVerdict.Kind

    /// One rate that was tried.
    package init(rate: Double, holds: Bool, value: Double?, verdict: ClientVerdict.Kind) {
      self.rate = rate
      self.holds = holds
      self.value = value
      self.verdict = verdict
    }
  }

  package var condition: FailCondition
  package var goal: String { condition.text }
  package var trials: [Trial] = []
  package var best: Double?
  package var endedClientBound = false

  /// Nothing tried yet.
  package init(condition: FailCondition) { self.condition = condition }
}
