/// What kind of file a trace came from.
public enum TraceFileFormat: String, Sendable, Hashable, CaseIterable {
  /// SQLite written by headroom.
  case headroom
  /// SQLite exported by Nsight Systems.
  case nsight = "nsight-sqlite"
  /// Trace events in JSON as PyTorch's profiler (Kineto) writes them.
  case kineto
  /// Nsight Systems' own report, not readable without `nsys`.
  case nsightReport = "nsight-report"

  /// What a person calls it.
  public var title: String {
    switch self {
    case .headroom: "headroom trace"
    case .nsight: "Nsight Systems export"
    case .kineto: "PyTorch (Kineto) trace"
    case .nsightReport: "Nsight Systems report"
    }
  }
}
