/// What of the metrics page can be chosen (tritonserver's `--metrics-config`; core `src/metric_model_reporter.cc`).
public struct MetricsSettings: Sendable, Hashable {
  /// Durations as counters: `nv_inference_*_duration_us`.
  public var hasCounterLatencies = true
  /// Durations as histograms: `headroom_*_seconds`. The reference server's own histogram is of decoupled models alone, which there are none of.
  public var hasHistogramLatencies = true

  /// The defaults.
  public init() {}

  /// Why a setting is not taken.
  public struct Fault: Error, Hashable {
    /// What is wrong, with the option.
    public var message: String
  }

  /// Applies `SETTING=VALUE`.
  public mutating func apply(_ text: String) throws(Fault) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, !parts[0].contains(",") else {
      throw Fault(message: "--metrics-config option format is '<setting>=<value>'. Got \(text)")
    }
    func flag() throws(Fault) -> Bool {
      switch parts[1] {
      case "true": return true
      case "false": return false
      default: throw Fault(message: "--metrics-config \(text): \(parts[0]) is true or false")
      }
    }
    switch parts[0] {
    case "counter_latencies": hasCounterLatencies = try flag()
    case "histogram_latencies": hasHistogramLatencies = try flag()
    case "summary_latencies":
      if try flag() {
        throw Fault(
          message:
            "--metrics-config \(text): this server has no summaries (their quantiles cannot be added up over servers); histogram_latencies=true has the durations as histograms"
        )
      }
    case "summary_quantiles":
      throw Fault(message: "--metrics-config \(text): this server has no summaries; leave it out")
    default:
      throw Fault(
        message: "--metrics-config \(text): there is no such setting; there are counter_latencies and histogram_latencies")
    }
  }
}
