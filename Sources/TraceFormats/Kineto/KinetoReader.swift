import CheckedNumbers
import JSONReading
import Trace

/// Reads a document of trace events in one pass over a window of it: an object with a member `traceEvents`, or the list of events itself.
struct KinetoReader {
  private let source: TraceSource
  private let window: TextWindow
  private let longestValueBytes: Int
  /// Place in the window.
  private var position = 0
  private var builder = KinetoBuilder()
  private var header = KinetoHeader()
  private var notes: [ImportNote] = []
  private var unreadable = 0
  private var firstUnreadable = ""
  private var sawEvents = false
  private var eventsAreNoList = false

  /// Reads through a window of `windowBytes` that grows to `longestValueBytes`; a longer event is passed over.
  init(
    _ source: TraceSource, _ options: ImportOptions, windowBytes: Int = 4 << 20, longestValueBytes: Int = ImportLimits.longestValueBytes
  ) throws(TraceImportError) {
    self.longestValueBytes = longestValueBytes
    self.source = source
    let total = source.byteCount
    let report = options.progress
    window = TextWindow(
      try source.content(), size: windowBytes, largest: longestValueBytes, progress: report.map { report in { report($0, total) } })
  }

  mutating func read() throws(TraceImportError) -> ImportedTrace {
    _ = try window.next()
    // A byte order mark, as some editors leave it.
    if window.text.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    switch try nextByte() {
    case UInt8(ascii: "["):
      position += 1
      try events()
    case UInt8(ascii: "{"):
      position += 1
      try members()
    default: throw failure("not JSON: neither an object nor a list begins here")
    }
    if !sawEvents {
      if eventsAreNoList { throw TraceImportError(path: source.path, reason: "traceEvents is no list of events", remedy: Self.remedy) }
      if header.keys.contains("ph") {
        throw TraceImportError(
          path: source.path, reason: "an event at top level, as if each line held one",
          remedy: "Make a list of them: jq -s . \(source.path) | headroom explain -")
      }
      throw TraceImportError(
        path: source.path,
        reason: "JSON without traceEvents\(header.keys.isEmpty ? "" : "; it has \(header.keys.prefix(8).joined(separator: ", "))")",
        remedy: Self.remedy)
    }
    return finish()
  }

  private static let remedy = "Write a trace with torch.profiler's export_chrome_trace"

  // MARK: - The document

  /// The members of the document.
  private mutating func members() throws(TraceImportError) {
    while true {
      guard let byte = try nextByte() else { return incomplete("the document ends before its closing brace") }
      if byte == UInt8(ascii: "}") { return }
      if byte == UInt8(ascii: ",") {
        position += 1
        continue
      }
      guard byte == UInt8(ascii: "\""), try completeValue() else { return incomplete("a member's name is missing") }
      var cursor = JSONCursor(window.text, position: position)
      guard let span = try? cursor.string() else { return incomplete("a member's name is missing") }
      let key = cursor.string(span)
      position = cursor.position
      guard try nextByte() == UInt8(ascii: ":") else { return incomplete("a colon is missing behind \"\(key.prefix(40))\"") }
      position += 1
      guard let first = try nextByte() else { return incomplete("the value of \"\(key.prefix(40))\" is missing") }
      if key == "traceEvents", first == UInt8(ascii: "[") {
        position += 1
        try events()
        continue
      }
      if key == "traceEvents" { eventsAreNoList = true }
      header.note(key: key)
      if KinetoHeader.isWanted(key), try completeValue() {
        var value = JSONCursor(window.text, position: position)
        let start = position
        guard (try? value.skipValue()) != nil else { return incomplete("the value of \"\(key.prefix(40))\" cannot be read") }
        header.read(key, UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: window.text[start..<value.position])))
        position = value.position
      } else if try !passValue() {
        return incomplete("the document ends inside \"\(key.prefix(40))\"")
      }
    }
  }

  /// The events, from behind the opening bracket.
  private mutating func events() throws(TraceImportError) {
    sawEvents = true
    var event = KinetoEvent()
    while true {
      guard let byte = try nextByte() else { return incomplete("the list of events has no end") }
      if byte == UInt8(ascii: ",") {
        position += 1
        continue
      }
      if byte == UInt8(ascii: "]") {
        position += 1
        return
      }
      guard byte == UInt8(ascii: "{") else {
        if byte == UInt8(ascii: "}") || byte == UInt8(ascii: ":") {
          return incomplete("'\(Character(Unicode.Scalar(byte)))' stands between events")
        }
        try pass("an event that is no object")
        continue
      }
      var cursor = JSONCursor(window.text, position: position)
      do throws(JSONFault) {
        try event.read(&cursor)
      } catch {
        // Either the window ends inside the event or the event is no JSON: finding its end tells which.
        if try completeValue() {
          cursor = JSONCursor(window.text, position: position)
          do throws(JSONFault) {
            try event.read(&cursor)
          } catch {
            try pass("\(error.reason.rawValue.prefix { $0 != "." }) (byte \(window.base + error.offset))")
            continue
          }
        } else {
          try pass(window.isLast ? "an event that is no JSON" : "an event of more than \(longestValueBytes) bytes")
          continue
        }
      }
      builder.add(event, cursor)
      position = cursor.position
    }
  }

  // MARK: - Moving on

  /// The next byte that is no space; nil at the end.
  private mutating func nextByte() throws(TraceImportError) -> UInt8? {
    while true {
      let text = window.text
      while position < text.count, text[position] <= 0x20 { position += 1 }
      if position < text.count { return text[position] }
      if window.isLast { return nil }
      let more = try window.next()
      position = 0
      if !more { return nil }
    }
  }

  /// Brings the whole of the value at the position into the window. False when it is too long or has no end.
  private mutating func completeValue() throws(TraceImportError) -> Bool {
    while true {
      var cursor = JSONCursor(window.text, position: position)
      if (try? cursor.skipValue()) != nil { return true }
      // At the end of the text the window stays where it is.
      let base = window.base
      let more = try window.advance(from: position)
      position -= window.base - base
      if !more { return false }
    }
  }

  /// Passes an event that cannot be used.
  private mutating func pass(_ reason: String) throws(TraceImportError) {
    let place = window.base + position
    // A text that ends inside an event is said once, as that.
    guard try passValue() else { return incomplete("the text ends inside an event") }
    if unreadable == 0 { firstUnreadable = "at byte \(place): \(reason)" }
    unreadable += 1
  }

  /// Passes a value of any length in constant memory. False when the text ends inside it.
  private mutating func passValue() throws(TraceImportError) -> Bool {
    var depth = 0
    var isInString = false
    var isEscaped = false
    var isFirst = true
    while true {
      let text = window.text
      while position < text.count {
        let byte = text[position]
        if isInString {
          position += 1
          if isEscaped {
            isEscaped = false
          } else if byte == UInt8(ascii: "\\") {
            isEscaped = true
          } else if byte == UInt8(ascii: "\"") {
            isInString = false
            if depth == 0 { return true }
          }
          continue
        }
        let opens = byte | 0x20 == UInt8(ascii: "{")
        let closes = byte | 0x20 == UInt8(ascii: "}")
        // A number or a word ends before what follows it.
        if depth == 0, !isFirst, closes || byte == UInt8(ascii: ",") || byte <= 0x20 { return true }
        if isFirst, closes || byte == UInt8(ascii: ",") { return true }
        position += 1
        isFirst = false
        if byte == UInt8(ascii: "\"") {
          isInString = true
        } else if opens {
          depth += 1
        } else if closes {
          depth -= 1
          if depth <= 0 { return true }
        }
      }
      if window.isLast { return false }
      _ = try window.next()
      position = 0
    }
  }

  private mutating func incomplete(_ reason: String) {
    let end = window.cutShort.map { "\($0); " } ?? ""
    if notes.isEmpty {
      notes.append(
        ImportNote(
          .warning, .incomplete, "\(end)\(reason) (byte \(window.base + position) of the text); \(builder.events) events were read"))
    }
  }

  private func failure(_ reason: String) -> TraceImportError {
    TraceImportError(
      path: source.path, place: "byte \(window.base + position)", reason: window.cutShort.map { "\($0); \(reason)" } ?? reason)
  }

  // MARK: - The end

  private mutating func finish() -> ImportedTrace {
    if let cut = window.cutShort, notes.isEmpty { notes.append(ImportNote(.warning, .incomplete, "\(cut); what came before it was read")) }
    if unreadable > 0 {
      notes.append(ImportNote(.warning, .unreadable, "\(unreadable) events could not be read; the first \(firstUnreadable)"))
    }
    if builder.withoutTime > 0 {
      notes.append(ImportNote(.warning, .unreadable, "\(builder.withoutTime) events have no usable time and were passed over"))
    }
    if builder.withBadDuration > 0 {
      notes.append(
        ImportNote(
          .warning, .impossibleTimes, "\(builder.withBadDuration) events last less than nothing or more than 13 days and were passed over"))
    }
    header.apply(to: &builder.trace)
    var trace = builder.finish()
    trace.run["source"] = TraceFileFormat.kineto.rawValue
    if builder.processes > 1 {
      notes.append(
        ImportNote(
          .information, .merged,
          "recordings of \(builder.processes) processes are merged in the file: device work belongs to the process whose launch precedes it"
        ))
    }
    if builder.unpaired > 0 {
      notes.append(
        ImportNote(
          .warning, .incomplete,
          "\(builder.unpaired) spans have a begin without an end or an end without a begin (\"B\", \"E\"); they last no time, or are left out"
        ))
    }
    if builder.isWholeMicroseconds, !trace.kernels.isEmpty {
      trace.run["timeResolutionNanoseconds"] = "1000"
      notes.append(ImportNote(.information, .resolution, "times are whole microseconds: a kernel of 1 us may have lasted 0.5 to 1.5"))
    }
    if builder.gpuAnnotations > 0 {
      notes.append(
        ImportNote(.information, .notWork, "\(builder.gpuAnnotations) annotations on GPU tracks are no work and do not count as busy"))
    }
    notes += TraceChecks.clean(&trace)
    notes += TraceChecks.describe(trace)
    return ImportedTrace(trace: trace, format: .kineto, path: source.path, writer: header.writer, notes: notes)
  }
}
