import CheckedNumbers
import FileAccess
import Reporting
import TraceFormats

/// How long reading and explaining will take, said before it starts where it is more than a few seconds.
package struct ReadingTime: Sendable {
  /// Seconds.
  package var seconds = 0.0
  /// Bytes of the files.
  package var bytes: Int64 = 0

  /// Processor time of whole runs on files of about a gigabyte (Docs/benchmarks.md): 7.0 s for a Nsight export of 972 MB, 2.2 s for a PyTorch
  /// trace of 1,001 MB, 2.7 s for its 47 MB of gzip.
  package static let bytesPerSecond = (database: 139e6, text: 455e6, compressed: 17e6)
  /// Less is not worth a line.
  package static let shortest = 3.0

  /// Of files; standard input and what cannot be looked at count nothing.
  package init(of paths: [String]) {
    for path in paths where path != "-" && Files.isRegular(path) {
      guard let size = Files.stamp(of: path)?.byteCount, let source = try? TraceSource(path) else { continue }
      let isDatabase = source.contentHead.starts(with: "SQLite format 3\0".utf8)
      let rate = isDatabase ? Self.bytesPerSecond.database : source.isCompressed ? Self.bytesPerSecond.compressed : Self.bytesPerSecond.text
      bytes = bytes.addingSaturated(size)
      seconds += Double(size) / rate
    }
  }

  /// "1.0 GB to read and explain: about 7 s on two cores"; nil where it is short.
  package var text: String? {
    if seconds < Self.shortest { return nil }
    let size =
      Double(bytes) >= 1e9
      ? "\(NumberText.significant(Double(bytes) / 1e9, digits: 2)) GB" : "\(NumberText.significant(Double(bytes) / 1e6, digits: 2)) MB"
    return "\(size) to read and explain: about \(NumberText.time(nanoseconds: (seconds * 1e9).rounded()))"
  }
}
