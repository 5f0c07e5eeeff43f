public import Trace

/// Traces on disk: SQLite files with Nsight Systems' tables and columns and a few of our own, so that other people's tools open ours and
/// ours opens theirs. Unknown is NULL; a table without rows is not written.
public enum TraceStore {
  /// Writes a trace so that readers see the old file or the new one, never half.
  public static func write(_ trace: Trace, to path: String) throws(TraceStoreError) {
    try TraceStoreWriter(trace, path).write()
  }

  /// Writes what Nsight Systems would have exported: its tables alone, none of ours. Requests, batches, operators and counters are left out, as no
  /// table of Nsight's holds them.
  public static func writeExport(_ trace: Trace, to path: String) throws(TraceStoreError) {
    try TraceStoreWriter(trace, path, isOwn: false).write()
  }

  /// Reads a trace written by `write` or exported by Nsight Systems. Tables and columns that are not there are unknown, others are
  /// passed over. The file is opened for reading only.
  public static func read(_ path: String) throws(TraceStoreError) -> Trace {
    var reader = try TraceStoreReader(path, path: path)
    return try reader.read()
  }
}
