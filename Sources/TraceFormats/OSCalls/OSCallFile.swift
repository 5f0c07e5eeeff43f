import CheckedNumbers

/// One process image's file of an OS-call capture (`Sources/COSInterposer/include/COSInterposer.h` has the layout), as it could be read.
///
/// Whatever the bytes claim, nothing traps and memory grows with what is there alone. A process that was killed leaves a whole file; a file
/// that is cut short or damaged gives what could be read of it, and `damage` says what could not.
public struct OSCallFile: Sendable, Hashable {
  /// How often, and how long together.
  public struct Tally: Sendable, Hashable {
    /// Calls.
    public var calls: Int64
    /// Their durations, nanoseconds.
    public var nanoseconds: Int64

    /// A tally.
    public init(calls: Int64 = 0, nanoseconds: Int64 = 0) {
      self.calls = calls
      self.nanoseconds = nanoseconds
    }

    /// Both together.
    static func + (left: Tally, right: Tally) -> Tally {
      Tally(calls: clamping(left.calls, right.calls), nanoseconds: clamping(left.nanoseconds, right.nanoseconds))
    }

    private static func clamping(_ left: Int64, _ right: Int64) -> Int64 {
      let (sum, overflow) = left.addingReportingOverflow(right)
      return overflow ? .max : sum
    }
  }

  /// A call that had begun and not ended.
  public struct OpenCall: Sendable, Hashable {
    /// Start, CLOCK_MONOTONIC nanoseconds.
    public var start: Int64
    /// Position in `functions`.
    public var function: Int
    /// The system's number of the thread.
    public var thread: Int64
  }

  /// A program that the process started, in its own place or as a child.
  public struct Note: Sendable, Hashable {
    /// The process the program was to run in.
    public var process: Int64
    /// The path it was started by.
    public var path: String
    /// It could not be started.
    public var failed: Bool
  }

  /// The calls, as columns.
  public struct Calls: Sendable, Hashable {
    /// Starts, CLOCK_MONOTONIC nanoseconds.
    public var start: [Int64] = []
    /// Durations, nanoseconds.
    public var duration: [Int64] = []
    /// Positions in `functions`.
    public var function: [UInt16] = []
    /// The system's numbers of the threads.
    public var thread: [UInt32] = []
    /// What the calls returned.
    public var returned: [Int64] = []
  }

  /// The system's number of the process.
  public var process: Int64
  /// The one that started it.
  public var parent: Int64
  /// Path of the program.
  public var program: String
  /// When the interposer came up, CLOCK_MONOTONIC nanoseconds.
  public var started: Int64
  /// The same moment, nanoseconds since 1970.
  public var startedRealtime: Int64
  /// When the process ended by itself; nil where it was killed, replaced or is still there.
  public var ended: Int64?
  /// Shorter calls are counted alone.
  public var thresholdNanoseconds: Int64
  /// Names of the functions.
  public var functions: [String]
  /// Calls that ended.
  public var calls = Calls()
  /// Calls below the threshold, by function.
  public var below: [Tally]
  /// Calls that found no room, by function.
  public var dropped: [Tally]
  /// The last name of each thread.
  public var threadNames: [Int64: String] = [:]
  /// Calls that had begun and not ended.
  public var open: [OpenCall] = []
  /// Programs it started.
  public var notes: [Note] = []
  /// Notes that found no room.
  public var lostNotes = 0
  /// What could not be read, where and why.
  public var damage: [String] = []

  /// Reads a file.
  ///
  /// - Throws: `OSCallFileError` where not even the head can be read.
  public init(_ bytes: [UInt8]) throws(OSCallFileError) {
    let result = bytes.withUnsafeBytes { raw in Result { () throws(OSCallFileError) in try OSCallFile(raw) } }
    self = try result.get()
  }

  /// Reads a file from memory that stays unchanged meanwhile.
  ///
  /// - Throws: `OSCallFileError` where not even the head can be read.
  public init(_ bytes: UnsafeRawBufferPointer) throws(OSCallFileError) {
    let bytes = OSCallBytes(bytes)
    guard bytes.count >= Layout.headerBytes else { throw .cutShort }
    if bytes.isZero(0..<8) { throw .neverBegun }
    guard bytes.text(0, limit: 8) == "HROSCAL1" else { throw .notOne }
    guard bytes.uint32(8) == 0x0102_0304, Int(bytes.uint32(12)) == Layout.headerBytes, Int(bytes.uint32(60)) == Layout.recordBytes else {
      throw .otherVersion
    }
    process = Int64(bytes.uint32(16))
    parent = Int64(bytes.uint32(20))
    started = bytes.int64(24)
    startedRealtime = bytes.int64(32)
    let ended = bytes.int64(40)
    self.ended = ended > 0 ? ended : nil
    thresholdNanoseconds = bytes.int64(48)
    program = bytes.text(80, limit: 176)
    let count = min(Int(bytes.uint32(56)), Layout.functionLimit)
    functions = (0..<count).map { bytes.text(Layout.names + $0 * 32, limit: 32) }
    dropped = (0..<count).map { bytes.tally(Layout.dropped + 16 * $0) }
    below = (0..<count).map { bytes.tally(Layout.below + 16 * $0) }
    readNotes(bytes)
    readChunks(bytes)
  }

  /// Offsets of the header and sizes; the C side asserts them.
  private enum Layout {
    static let headerBytes = 16_384
    static let functionLimit = 128
    static let dropped = 256
    static let below = 2304
    static let names = 4352
    static let notes = 8448
    static let noteLimit = 56
    static let noteBytes = 128
    static let chunkHeaderBytes = 2080
    static let recordBytes = 24
    static let chunkMagic: UInt32 = 0x4B4E_4843
    static let page = 4096
    static let threadMark: UInt64 = 0xFFFF
  }

  private mutating func readNotes(_ bytes: OSCallBytes) {
    let count = Int(bytes.uint32(72))
    lostNotes = max(0, count - Layout.noteLimit)
    for index in 0..<min(count, Layout.noteLimit) {
      let at = Layout.notes + index * Layout.noteBytes
      let state = bytes.uint32(at + 4)
      // 0: the process was killed while it wrote the note.
      if state == 0 { continue }
      notes.append(Note(process: Int64(bytes.uint32(at)), path: bytes.text(at + 8, limit: 120), failed: state == 2))
    }
  }

  private mutating func readChunks(_ bytes: OSCallBytes) {
    let used = Int(clamping: bytes.uint64(64))
    if used > bytes.count { damage.append("cut short: \(bytes.count) bytes of \(used)") }
    let end = min(used, bytes.count)
    var at = Layout.headerBytes
    while at < end {
      guard end - at >= Layout.chunkHeaderBytes, bytes.uint32(at) == Layout.chunkMagic else {
        // Chunks begin at multiples of a page: the next good one is found again.
        if end - at >= Layout.chunkHeaderBytes { damage.append("no chunk at byte \(at)") }
        at += Layout.page
        continue
      }
      let size = Int(bytes.uint32(at + 4))
      guard size >= Layout.page, size % Layout.page == 0 else {
        damage.append("a chunk of \(size) bytes at byte \(at)")
        at += Layout.page
        continue
      }
      readChunk(bytes, at, size: min(size, end - at))
      at += size
    }
  }

  private mutating func readChunk(_ bytes: OSCallBytes, _ at: Int, size: Int) {
    for function in functions.indices {
      let tally = bytes.tally(at + 32 + 16 * function)
      if tally.calls > 0 { below[function] = below[function] + tally }
    }
    let room = (size - Layout.chunkHeaderBytes) / Layout.recordBytes
    let claimed = Int(bytes.uint32(at + 8))
    if claimed > room { damage.append("\(claimed) records in a chunk with room for \(room) at byte \(at)") }
    var thread: UInt32 = 0
    var bad = 0
    for index in 0..<min(claimed, room) {
      let record = at + Layout.chunkHeaderBytes + index * Layout.recordBytes
      let tagged = bytes.uint64(record + 8)
      let function = tagged >> 48
      if function == Layout.threadMark {
        thread = UInt32(truncatingIfNeeded: tagged)
        // The name's halves stand before and behind the number.
        threadNames[Int64(thread)] = bytes.text([record..<(record + 8), (record + 16)..<(record + 24)])
        continue
      }
      let (start, duration) = (bytes.uint64(record), tagged & 0xFFFF_FFFF_FFFF)
      guard function < functions.count, start > 0, start < UInt64(clamping: Int64.max) >> 1 else {
        bad += 1
        continue
      }
      calls.start.append(Int64(clamping: start))
      calls.duration.append(Int64(clamping: duration))
      calls.function.append(UInt16(clamping: function))
      calls.thread.append(thread)
      calls.returned.append(bytes.int64(record + 16))
    }
    if bad > 0 { damage.append("\(bad) records without a sense in the chunk at byte \(at)") }
    let (open, function) = (bytes.uint64(at + 16), Int(bytes.uint32(at + 24)))
    if open > 0, open < UInt64(clamping: Int64.max) >> 1, function < functions.count {
      self.open.append(OpenCall(start: Int64(clamping: open), function: function, thread: Int64(thread)))
    }
  }
}

/// Why a file of an OS-call capture could not be read at all.
public enum OSCallFileError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Shorter than its head.
  case cutShort
  /// The process was killed before its head was written.
  case neverBegun
  /// Something else.
  case notOne
  /// Of another version, or another machine's byte order.
  case otherVersion

  /// What is wrong, and what to do.
  public var description: String {
    switch self {
    case .cutShort: "shorter than the head of an OS-call file; the disk may be full"
    case .neverBegun: "an empty head: the process was killed before it made its first call"
    case .notOne: "not a file of an OS-call capture"
    case .otherVersion: "an OS-call file of another version or byte order; capture and read with the same headroom"
    }
  }
}
