import LoadModel

/// How the search for the highest rate that keeps a goal went.
struct RateSearch {
  struct Trial {
    var rate: Double
    var holds: Bool
    var value: Double?
    var verdict: ClientVerdict.Kind
  }

  var condition: FailCondition
  var goal: String { condition.text }
  var trials: [Trial] = []
  var best: Double?
  var endedClientBound = false
}
