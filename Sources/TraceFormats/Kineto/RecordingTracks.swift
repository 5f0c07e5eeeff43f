import CheckedNumbers
import JSONReading
import Trace

/// Which recording an event comes from, in a file that several were merged into, and which of its tracks.
///
/// PyTorch records one process per file. Tools join the files of several ranks: SGLang's profiler and its predecessors put a rank before each
/// process ("[TP01] 4711"; sgl-project/sglang, python/sglang/srt/utils/profile_merger.py), TraceLens adds `args.rank` and shifts the numbers
/// (AMD-AGI/TraceLens, TraceLens/TraceFusion/trace_fuse.py), others concatenate. Correlations are counted anew in each process.
struct RecordingTracks {
  /// A track of device work: the process it is drawn under, and the recording it was merged from.
  struct Track: Hashable {
    /// Position in `labels`; -1 where the file does not say.
    var recording: Int32
    /// `pid` as written, or a number for a text.
    var process: Int64
  }

  /// Names of the recordings, as the file has them: "TP01", "rank 3".
  private(set) var labels: [String] = []
  private(set) var tracks: [Track] = []
  private var positions: [Track: Int64] = [:]
  private var byText = SpanInterner()
  private var texts = NameTable()
  /// By position in `texts`.
  private var recordingsOfTexts: [NameID: Int32] = [:]
  private var recordingsOfLabels: [String: Int32] = [:]
  private var recordingsOfRanks: [Int64: Int32] = [:]
  private var last: (process: Int64, rank: Int64?, track: Int64)?

  /// More recordings than any job has ranks are a file's mistake.
  private static let maximumRecordings = 1 << 20

  /// The recording of an event; -1 where the file does not say.
  mutating func recording(_ event: KinetoEvent, _ cursor: JSONCursor) -> Int32 {
    if let rank = event.rank {
      if let known = recordingsOfRanks[rank] { return known }
      let recording = add("rank \(rank)")
      recordingsOfRanks[rank] = recording
      return recording
    }
    guard case .text(let span) = event.process else { return -1 }
    let id = byText.id(of: span, in: cursor, names: &texts)
    if let known = recordingsOfTexts[id] { return known }
    let label = Self.label(texts[id] ?? "")
    let recording = label.isEmpty ? -1 : add(label)
    recordingsOfTexts[id] = recording
    return recording
  }

  /// A number for the track of an event of device work.
  mutating func track(_ event: KinetoEvent, _ cursor: JSONCursor) -> Int64 {
    let process: Int64
    switch event.process {
    case .none: process = Trace.unknown
    case .number(let number):
      process = number
      if let last, last.process == number, last.rank == event.rank { return last.track }
    case .text(let span): process = Int64(byText.id(of: span, in: cursor, names: &texts).rawValue)
    }
    let track = Track(recording: recording(event, cursor), process: process)
    let position = positions[track] ?? Int64(tracks.count)
    if positions[track] == nil {
      positions[track] = position
      tracks.append(track)
    }
    if case .number = event.process { last = (process, event.rank, position) } else { last = nil }
    return position
  }

  private mutating func add(_ label: String) -> Int32 {
    if let known = recordingsOfLabels[label] { return known }
    guard labels.count < Self.maximumRecordings else { return -1 }
    let recording = Int32(clamping: labels.count)
    labels.append(label)
    recordingsOfLabels[label] = recording
    return recording
  }

  /// What stands before a process's number: "[TP01] 4711" gives "TP01". Empty where no number ends the text.
  static func label(_ text: String) -> String {
    let bytes = Array(text.utf8.suffix(200))
    let digits = bytes.reversed().prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }.count
    if digits == 0 { return "" }
    let front = bytes.dropLast(digits)
    let separators: Set<UInt8> = Set(" []()_-:/.|#".utf8)
    let inside = front.drop { separators.contains($0) }
    let end = inside.lastIndex { !separators.contains($0) }
    return end.map { String(decoding: inside[...$0], as: UTF8.self) } ?? ""
  }
}
