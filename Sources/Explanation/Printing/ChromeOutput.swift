import Reporting
import Trace
import TraceFormats

/// `--chrome`: a trace as JSON for Perfetto. Its size is said beforehand, and more than a viewer can load is cut unless `--all` is given.
package enum ChromeOutput {
  /// Writes `trace` to `path`; `note` is told beforehand of what is large or cut.
  package static func write(_ trace: Trace, to path: String, all: Bool, note: (String) -> Void) throws {
    let size = ChromeTraceSize(trace, limit: all ? nil : ChromeTrace.usualLimit)
    if let line = line(path, size) { note(line) }
    try ChromeTrace.write(trace, to: path, size: size)
  }

  /// What is said before; nil for a file that is there in a moment. What is cut is always said.
  package static func line(_ path: String, _ size: ChromeTraceSize) -> String? {
    func bytes(_ count: Int) -> String { NumberText.scaled(Double(count), unit: "B") }
    if size.cutoff != nil {
      return
        "\(path): the first \(NumberText.time(nanoseconds: Double(size.writtenNanoseconds))) of \(NumberText.time(nanoseconds: Double(size.nanoseconds))), about \(bytes(size.writtenBytes)); all of it would be \(bytes(size.bytes)): --all"
    }
    return size.bytes >= 20_000_000 ? "\(path): about \(bytes(size.bytes)) ..." : nil
  }
}
