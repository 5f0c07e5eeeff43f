public import FileAccess
public import Trace

/// Traces as JSON that Perfetto and chrome://tracing open, with Kineto's names for categories, arguments and flows, so that tools for
/// PyTorch profiles read it too. Synchronization records are left out: the calls that caused them are there.
///
/// The format: "Trace Event Format", Google (docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
public enum ChromeTrace {
  /// Writes the file; `path` is replaced once all of it is there.
  public static func write(_ trace: Trace, to path: String) throws(FileError) {
    var writer = try ChromeTraceWriter(trace, path)
    try writer.write()
  }
}
