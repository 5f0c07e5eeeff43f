import CheckedNumbers
import JSONReading
import Trace

/// One trace event as it stands in the text: what an importer needs of it, as numbers and places.
struct KinetoEvent {
  typealias Span = JSONCursor.Span

  /// What an event is, by its category: those of today, those of PyTorch before 1.12 (`Kernel`, `Runtime`, `Operator`).
  enum Category {
    case none, kernel, copy, memset, runtime, driver, synchronization, operation, pythonFunction, annotation, gpuAnnotation, overhead,
      trace,
      flow, instant, other
  }

  /// A number or a text, as `pid` and `tid` may be either.
  enum Identity {
    case none
    case number(Int64)
    case text(Span)
  }

  var phase: UInt8 = 0
  var category = Category.none
  var categoryText: Span?
  var name: Span?
  var process = Identity.none
  var thread = Identity.none
  /// Nanoseconds.
  var time: Int64?
  var duration: Int64?
  var hasDuration = false

  var correlation: Int64?
  var externalID: Int64?
  var device: Int64?
  var context: Int64?
  var stream: Identity = .none
  var bytes: Int64?
  var graphNode: Int64?
  var grid: (Int32, Int32, Int32)?
  var block: (Int32, Int32, Int32)?
  var registers: Int64?
  var sharedMemory: Int64?
  var blocksPerSM: Double?
  var kind: Span?
  var inputShapes: Span?
  var inputTypes: Span?
  var waitedCorrelation: Int64?
  var waitedEvent: Int64?
  /// `args.kernel_details`: geometry of a launch in one text, as JAX's profiler writes it.
  var launchDetails: Span?
  /// `args.name` and `args.labels` of metadata.
  var label: Span?
  /// Number of an arrow between two events.
  var flow: Int64?
  /// Rank that a merging tool wrote into the event.
  var rank: Int64?
  /// Of a counter: where its values stand.
  var arguments = 0

  /// Reads one event, from its opening brace.
  mutating func read(_ cursor: inout JSONCursor) throws(JSONFault) {
    self = KinetoEvent()
    guard cursor.consume(UInt8(ascii: "{")) else { throw JSONFault(reason: .valueInvalid, offset: cursor.position) }
    cursor.skipSpace()
    if cursor.consume(UInt8(ascii: "}")) { return }
    while true {
      cursor.skipSpace()
      let key = try cursor.string()
      cursor.skipSpace()
      guard cursor.consume(UInt8(ascii: ":")) else { throw JSONFault(reason: .missingColon, offset: cursor.position) }
      cursor.skipSpace()
      try member(key, &cursor)
      cursor.skipSpace()
      if cursor.consume(UInt8(ascii: ",")) { continue }
      if cursor.consume(UInt8(ascii: "}")) { return }
      throw JSONFault(reason: .missingCommaOrBrace, offset: cursor.position)
    }
  }

  private mutating func member(_ key: Span, _ cursor: inout JSONCursor) throws(JSONFault) {
    switch key.count {
    case 2:
      if cursor.matches(key, "ts") {
        time = try cursor.scaled(by: 3)
        return
      }
      if cursor.matches(key, "ph") {
        let span = try text(&cursor)
        phase = span.map { $0.count == 1 ? cursor.text[$0.first] : 0 } ?? 0
        return
      }
      if cursor.matches(key, "id") {
        flow = try cursor.integer()
        return
      }
    case 3:
      if cursor.matches(key, "dur") {
        hasDuration = true
        duration = try cursor.scaled(by: 3)
        return
      }
      if cursor.matches(key, "cat") {
        categoryText = try text(&cursor)
        category = categoryText.map { Self.category($0, cursor) } ?? .none
        return
      }
      if cursor.matches(key, "pid") {
        process = try identity(&cursor)
        return
      }
      if cursor.matches(key, "tid") {
        thread = try identity(&cursor)
        return
      }
    case 4:
      if cursor.matches(key, "name") {
        name = try text(&cursor)
        return
      }
      if cursor.matches(key, "args") {
        arguments = cursor.position
        try readArguments(&cursor)
        return
      }
    default: break
    }
    try cursor.skipValue()
  }

  private mutating func readArguments(_ cursor: inout JSONCursor) throws(JSONFault) {
    guard cursor.consume(UInt8(ascii: "{")) else { return try cursor.skipValue() }
    cursor.skipSpace()
    if cursor.consume(UInt8(ascii: "}")) { return }
    while true {
      cursor.skipSpace()
      let key = try cursor.string()
      cursor.skipSpace()
      guard cursor.consume(UInt8(ascii: ":")) else { throw JSONFault(reason: .missingColon, offset: cursor.position) }
      cursor.skipSpace()
      try argument(key, &cursor)
      cursor.skipSpace()
      if cursor.consume(UInt8(ascii: ",")) { continue }
      if cursor.consume(UInt8(ascii: "}")) { return }
      throw JSONFault(reason: .missingCommaOrBrace, offset: cursor.position)
    }
  }

  private mutating func argument(_ key: Span, _ cursor: inout JSONCursor) throws(JSONFault) {
    switch key.count {
    case 4:
      if cursor.matches(key, "grid") {
        grid = try triple(&cursor)
        return
      }
      if cursor.matches(key, "kind") {
        kind = try text(&cursor)
        return
      }
      if cursor.matches(key, "rank") {
        rank = try cursor.integer()
        return
      }
      if cursor.matches(key, "name") {
        label = try text(&cursor)
        return
      }
    case 5:
      if cursor.matches(key, "block") {
        block = try triple(&cursor)
        return
      }
      if cursor.matches(key, "bytes") {
        bytes = try cursor.integer()
        return
      }
    case 6:
      if cursor.matches(key, "device") {
        device = try cursor.integer()
        return
      }
      if cursor.matches(key, "stream") {
        stream = try identity(&cursor)
        return
      }
      if cursor.matches(key, "labels") {
        label = try text(&cursor)
        return
      }
    case 7:
      if cursor.matches(key, "context") {
        context = try cursor.integer()
        return
      }
    case 10:
      if cursor.matches(key, "Input Dims") || cursor.matches(key, "Input dims") {
        inputShapes = try raw(&cursor)
        return
      }
      if cursor.matches(key, "Input type") {
        inputTypes = try raw(&cursor)
        return
      }
    case 11:
      if cursor.matches(key, "correlation") {
        correlation = try cursor.integer()
        return
      }
      if cursor.matches(key, "External id") || cursor.matches(key, "external id") {
        externalID = try cursor.integer()
        return
      }
    case 13:
      if cursor.matches(key, "graph node id") || cursor.matches(key, "graph_node_id") {
        graphNode = try cursor.integer()
        return
      }
      if cursor.matches(key, "shared memory") {
        sharedMemory = try cursor.integer()
        return
      }
      if cursor.matches(key, "blocks per SM") {
        blocksPerSM = try cursor.double()
        return
      }
    case 14:
      if cursor.matches(key, "cuda_sync_kind") {
        kind = try text(&cursor)
        return
      }
      if cursor.matches(key, "correlation_id") {
        correlation = try cursor.integer()
        return
      }
      if cursor.matches(key, "kernel_details") {
        launchDetails = try text(&cursor)
        return
      }
    case 20:
      if cursor.matches(key, "registers per thread") {
        registers = try cursor.integer()
        return
      }
    default:
      if cursor.matches(key, "wait_on_cuda_event_record_corr_id") {
        waitedCorrelation = try cursor.integer()
        return
      }
      if cursor.matches(key, "wait_on_cuda_event_id") {
        waitedEvent = try cursor.integer()
        return
      }
    }
    try cursor.skipValue()
  }

  private func text(_ cursor: inout JSONCursor) throws(JSONFault) -> Span? {
    if cursor.peek == UInt8(ascii: "\"") { return try cursor.string() }
    try cursor.skipValue()
    return nil
  }

  /// A value as it is written.
  private func raw(_ cursor: inout JSONCursor) throws(JSONFault) -> Span? {
    let first = cursor.position
    try cursor.skipValue()
    return Span(first: first, count: cursor.position - first, isEscaped: false)
  }

  /// A number, a number in quotes or a text.
  private func identity(_ cursor: inout JSONCursor) throws(JSONFault) -> Identity {
    let start = cursor.position
    if let number = try cursor.integer() { return .number(number) }
    let end = cursor.position
    guard start < cursor.text.count, cursor.text[start] == UInt8(ascii: "\"") else { return .none }
    cursor.position = start
    let span = try cursor.string()
    cursor.position = max(end, cursor.position)
    return .text(span)
  }

  /// `[8, 12, 1]`.
  private func triple(_ cursor: inout JSONCursor) throws(JSONFault) -> (Int32, Int32, Int32)? {
    guard cursor.consume(UInt8(ascii: "[")) else {
      try cursor.skipValue()
      return nil
    }
    var values: (Int32, Int32, Int32) = (Trace.unknown32, Trace.unknown32, Trace.unknown32)
    var index = 0
    cursor.skipSpace()
    if cursor.consume(UInt8(ascii: "]")) { return nil }
    while true {
      cursor.skipSpace()
      let value = try cursor.integer().flatMap { Int32(exactly: $0) } ?? Trace.unknown32
      if index == 0 { values.0 = value } else if index == 1 { values.1 = value } else if index == 2 { values.2 = value }
      index += 1
      cursor.skipSpace()
      if cursor.consume(UInt8(ascii: ",")) { continue }
      if cursor.consume(UInt8(ascii: "]")) { return index == 3 ? values : nil }
      throw JSONFault(reason: .missingCommaOrBracket, offset: cursor.position)
    }
  }

  private static let categories: [(StaticString, Category)] = [
    ("kernel", .kernel), ("cpu_op", .operation), ("ac2g", .flow), ("cuda_runtime", .runtime), ("python_function", .pythonFunction),
    ("cuda_driver", .driver), ("gpu_memcpy", .copy), ("gpu_memset", .memset), ("cuda_sync", .synchronization),
    ("cpu_instant_event", .instant), ("user_annotation", .annotation), ("gpu_user_annotation", .gpuAnnotation), ("overhead", .overhead),
    ("Trace", .trace), ("fwdbwd", .flow), ("async", .flow), ("Kernel", .kernel), ("Memcpy", .copy), ("Memset", .memset),
    ("Runtime", .runtime), ("Operator", .operation), ("hip_runtime", .runtime), ("privateuse1_runtime", .runtime),
    ("xpu_runtime", .runtime), ("forward_backward", .flow), ("async_cpu_to_gpu", .flow),
  ]

  private static func category(_ span: Span, _ cursor: JSONCursor) -> Category {
    for (name, category) in categories where cursor.matches(span, name) { return category }
    return .other
  }
}
