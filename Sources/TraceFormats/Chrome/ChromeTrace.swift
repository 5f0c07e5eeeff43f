public import FileAccess
public import Trace

/// Traces as JSON that Perfetto and chrome://tracing open, with Kineto's names for categories, arguments and flows, so that tools for
/// PyTorch profiles read it too. Synchronization records are left out: the calls that caused them are there.
///
/// The format: "Trace Event Format", Google (docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
public enum ChromeTrace {
  /// Above this many bytes a viewer in a browser takes minutes or gives up: what is written unless all is asked for.
  public static let usualLimit = 100_000_000

  /// Writes the file; `path` is replaced once all of it is there.
  ///
  /// - Parameter size: what was said of the trace beforehand, its cut included; nil: all of it.
  public static func write(_ trace: Trace, to path: String, size: ChromeTraceSize? = nil) throws(FileError) {
    var writer = try ChromeTraceWriter(size?.cutoff.map { trace.begun(by: $0) } ?? trace, path)
    try writer.write()
  }
}
