import CheckedNumbers

/// A log of histograms, one an interval, as HdrHistogram's log readers take it (HdrHistogram/HdrHistogram `HistogramLogWriter.java`, format
/// 1.3): comments, a legend, then start, length, maximum and the encoded histogram.
public struct HistogramLog: Sendable, Equatable {
  /// An interval's histogram.
  public struct Entry: Sendable, Equatable {
    /// Where its values come from; nil for the log's only kind.
    public var tag: String?
    /// Since the log's start.
    public var startSeconds: Double
    /// How long it was recorded.
    public var lengthSeconds: Double
    /// What was recorded.
    public var histogram: Histogram

    /// An entry.
    public init(tag: String? = nil, startSeconds: Double, lengthSeconds: Double, histogram: Histogram) {
      self.tag = tag
      self.startSeconds = startSeconds
      self.lengthSeconds = lengthSeconds
      self.histogram = histogram
    }
  }

  /// Seconds since 1970 at the log's start.
  public var startEpochSeconds: Double
  /// In the order they were recorded.
  public var entries: [Entry]
  /// Which part of a run it is, in a comment that other readers skip; nil where the log says nothing of it.
  public var part: RunPart?

  /// A log.
  public init(startEpochSeconds: Double, entries: [Entry] = []) {
    self.startEpochSeconds = startEpochSeconds
    self.entries = entries
  }

  /// The log as text. Maxima are in milliseconds when values are nanoseconds, as all writers have it.
  public var text: String {
    var text = "#[Histogram log format version 1.3]\n"
    text += "#[StartTime: \(Self.decimal(startEpochSeconds)) (seconds since epoch)]\n"
    if let part { text += part.comment }
    text += "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
    for entry in entries {
      if let tag = entry.tag { text += "Tag=\(tag)," }
      let maximum = Double(entry.histogram.maximum ?? 0) / 1_000_000
      text += "\(Self.decimal(entry.startSeconds)),\(Self.decimal(entry.lengthSeconds)),\(Self.decimal(maximum)),"
      text += entry.histogram.encoded + "\n"
    }
    return text
  }

  /// Reads a log; errors name the line.
  public init(text: String) throws(LoadInputError) {
    self.init(startEpochSeconds: 0)
    var number = 0
    for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
      number += 1
      if line.hasPrefix("#[StartTime:") {
        let words = line.dropFirst("#[StartTime:".count).split(separator: " ")
        startEpochSeconds = words.first.flatMap { Double($0) } ?? 0
      }
      do throws(LoadInputError) { if let part = try RunPart(comment: line) { self.part = part } } catch {
        throw LoadInputError("line \(number): \(error)")
      }
      if line.isEmpty || line.hasPrefix("#") || line.hasPrefix("\"StartTimestamp\"") { continue }
      var fields = line.split(separator: ",", omittingEmptySubsequences: false)
      var tag: String?
      if let first = fields.first, first.hasPrefix("Tag=") {
        tag = String(first.dropFirst("Tag=".count))
        fields.removeFirst()
      }
      guard fields.count == 4, let start = Double(fields[0]), let length = Double(fields[1]), start.isFinite, length.isFinite else {
        throw LoadInputError("line \(number): want start, length, maximum and a histogram, separated by commas")
      }
      do throws(LoadInputError) {
        entries.append(Entry(tag: tag, startSeconds: start, lengthSeconds: length, histogram: try Histogram(encoded: fields[3])))
      } catch { throw LoadInputError("line \(number): \(error)") }
    }
    // A part that never began has none, and still says who it is.
    if entries.isEmpty, part == nil { throw LoadInputError("there is no histogram in it") }
  }

  /// Everything with that tag as one histogram; nil where there is nothing.
  public func merged(tag: String? = nil) -> Histogram? {
    var merged: Histogram?
    for entry in entries where entry.tag == tag {
      if merged == nil { merged = entry.histogram } else { merged?.add(entry.histogram) }
    }
    return merged
  }

  /// Three decimals, never an exponent.
  static func decimal(_ value: Double) -> String {
    let clamped = value.isFinite ? max(0, min(value, 9e15)) : 0
    let thousandths = Int64(saturating: (clamped * 1000).rounded())
    let fraction = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
  }
}
