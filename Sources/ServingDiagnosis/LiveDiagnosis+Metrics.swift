import Diagnosis
import Serving

extension LiveDiagnosis {
  /// What the metrics page says of the model, with the rate that a simulation fitted to the window found.
  func metrics(headroom: Headroom?) -> LiveMetrics {
    let maximum = headroom.flatMap { headroom in
      headroom.maximumRate.map { LiveMetrics.Maximum(goal: headroom.goal.text, requestsPerSecond: $0.value) }
    }
    return LiveMetrics(model: state.name, version: state.version, verdict: verdictLabel, maximum: maximum)
  }

  /// The regime as a label's value ("batching_bound"); "inconclusive" where the evidence does not decide, "no_requests" where nothing ran.
  private var verdictLabel: String {
    guard let verdict = assessment?.verdict else { return answered + failed == 0 ? "no_requests" : "inconclusive" }
    guard let claim = verdict.claims.first, claim.confidence != .inconclusive else { return "inconclusive" }
    // One value whatever computes: what limits is the same on a processor.
    if claim.regime == .deviceBound { return "device_bound" }
    return String(claim.regime.rawValue.map { $0 == "-" || $0 == " " ? "_" : $0 })
  }
}
