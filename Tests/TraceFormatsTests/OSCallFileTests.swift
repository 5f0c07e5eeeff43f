import Testing
import TimeBase
import Trace
import TraceFormats

/// Files as the interposer writes them, made by hand.
struct OSCallFileMaker {
  var bytes: [UInt8]

  init(
    process: UInt32 = 100, parent: UInt32 = 1, started: Int64 = 1_000_000, ended: Int64 = 0, functions: [String] = ["read", "epoll_wait"]
  ) {
    bytes = [UInt8](repeating: 0, count: 16_384)
    bytes.replaceSubrange(0..<8, with: "HROSCAL1".utf8)
    put(UInt32(0x0102_0304), 8)
    put(UInt32(16_384), 12)
    put(process, 16)
    put(parent, 20)
    put(started, 24)
    put(Int64(1_700_000_000_000_000_000), 32)
    put(ended, 40)
    put(Int64(1000), 48)
    put(UInt32(clamping: functions.count), 56)
    put(UInt32(24), 60)
    put(UInt64(16_384), 64)
    put(text: "/usr/bin/server", 80)
    for (index, name) in functions.enumerated() { put(text: name, 4352 + 32 * index) }
  }

  mutating func put<Number: FixedWidthInteger>(_ value: Number, _ offset: Int) {
    withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<(offset + $0.count), with: $0) }
  }

  mutating func put(text: String, _ offset: Int) { bytes.replaceSubrange(offset..<(offset + text.utf8.count), with: text.utf8) }

  mutating func note(_ index: Int, process: UInt32, state: UInt32, path: String) {
    put(UInt32(clamping: index + 1), 72)
    put(process, 8448 + 128 * index)
    put(state, 8448 + 128 * index + 4)
    put(text: path, 8448 + 128 * index + 8)
  }

  /// A chunk of a page; the thread's own record comes first.
  mutating func chunk(
    thread: UInt32, name: String, calls: [(function: UInt64, start: UInt64, duration: UInt64, returned: Int64)],
    open: (start: UInt64, function: UInt32)? = nil, below: [(function: Int, calls: UInt64, nanoseconds: UInt64)] = []
  ) {
    let at = bytes.count
    bytes += [UInt8](repeating: 0, count: 4096)
    put(UInt32(0x4B4E_4843), at)
    put(UInt32(4096), at + 4)
    put(UInt32(clamping: calls.count + 1), at + 8)
    if let open {
      put(open.start, at + 16)
      put(open.function, at + 24)
    }
    for tally in below {
      put(tally.calls, at + 32 + 16 * tally.function)
      put(tally.nanoseconds, at + 32 + 16 * tally.function + 8)
    }
    var halves = Array(name.utf8.prefix(15))
    halves += [UInt8](repeating: 0, count: 16 - halves.count)
    bytes.replaceSubrange((at + 2080)..<(at + 2088), with: halves[0..<8])
    put(UInt64(0xFFFF) << 48 | UInt64(thread), at + 2088)
    bytes.replaceSubrange((at + 2096)..<(at + 2104), with: halves[8..<16])
    for (index, call) in calls.enumerated() {
      let record = at + 2104 + 24 * index
      put(call.start, record)
      put(call.function << 48 | call.duration, record + 8)
      put(call.returned, record + 16)
    }
    put(UInt64(clamping: bytes.count), 64)
  }

  static var sample: OSCallFileMaker {
    var maker = OSCallFileMaker(ended: 9_000_000)
    maker.chunk(
      thread: 100, name: "main", calls: [(0, 2_000_000, 5000, 16), (1, 2_100_000, 700_000, 0)], below: [(0, 40, 9000)])
    maker.chunk(thread: 101, name: "a-name-of-15-by", calls: [(0, 2_050_000, 3000, -1)], open: (8_000_000, 1))
    maker.note(0, process: 100, state: 2, path: "/no/such")
    return maker
  }
}

@Suite struct OSCallFileTests {
  @Test func everythingIsRead() throws {
    let file = try OSCallFile(OSCallFileMaker.sample.bytes)
    #expect(file.process == 100 && file.parent == 1 && file.program == "/usr/bin/server" && file.ended == 9_000_000)
    #expect(file.functions == ["read", "epoll_wait"])
    #expect(file.calls.start == [2_000_000, 2_100_000, 2_050_000])
    #expect(file.calls.duration == [5000, 700_000, 3000])
    #expect(file.calls.thread == [100, 100, 101] && file.calls.returned == [16, 0, -1])
    #expect(file.threadNames == [100: "main", 101: "a-name-of-15-by"])
    #expect(file.below[0] == OSCallFile.Tally(calls: 40, nanoseconds: 9000) && file.below[1].calls == 0)
    #expect(file.open.map(\.start) == [8_000_000] && file.open.map(\.function) == [1] && file.open.map(\.thread) == [101])
    #expect(file.notes.map(\.path) == ["/no/such"] && file.notes.map(\.process) == [100] && file.notes.map(\.failed) == [true])
    #expect(file.damage.isEmpty)
  }

  @Test func aCaptureIsATraceSortedByStart() throws {
    let capture = OSCallCapture([try OSCallFile(OSCallFileMaker.sample.bytes)], end: 10_000_000, running: [], thresholdNanoseconds: 1000)
    let calls = capture.trace.osCalls
    #expect(calls.start == [2_000_000, 2_050_000, 2_100_000, 8_000_000])
    #expect(calls.thread.map(GlobalID.threadNumber) == [100, 101, 100, 101])
    #expect(calls.end.last == 9_000_000 && calls.returnValue.last == Trace.unknown, "cut off where the process ended")
    #expect(capture.cutCalls == 1 && capture.belowCalls == 40 && capture.threads == 2)
    #expect(capture.trace.threads.count == 2 && capture.trace.run["kind"] == "measured")
    #expect(capture.unseen.isEmpty, "what failed to start was not missed")
  }

  @Test func anImageEndsWithTheNextOneOrItsLastCall() throws {
    func end(_ make: (inout OSCallFileMaker) -> Void, others: [OSCallFile] = [], running: Set<Int64> = []) throws -> Int64? {
      var maker = OSCallFileMaker()
      maker.chunk(thread: 100, name: "main", calls: [(0, 2_000_000, 500_000, 0)], open: (2_600_000, 1))
      make(&maker)
      let capture = OSCallCapture([try OSCallFile(maker.bytes)] + others, end: 7_000_000, running: running, thresholdNanoseconds: 0)
      return capture.trace.osCalls.first { $0.returnValue == Trace.unknown }?.end
    }
    #expect(try end { $0.put(Int64(3_000_000), 40) } == 3_000_000)
    #expect(try end({ _ in }, running: [100]) == 7_000_000)
    // Killed: nobody knows, and no call ends before it began.
    #expect(try end { _ in } == 2_600_000)
    let next = try OSCallFile(OSCallFileMaker(started: 4_000_000).bytes)
    #expect(try end({ _ in }, others: [next], running: [100]) == 4_000_000)
  }

  @Test func programsWithoutAFileAreUnseen() throws {
    var maker = OSCallFileMaker()
    maker.note(0, process: 100, state: 1, path: "/bin/static")
    maker.note(1, process: 200, state: 3, path: "/bin/child")
    maker.note(2, process: 300, state: 3, path: "/bin/seen")
    maker.note(3, process: 100, state: 0, path: "half written")
    let child = try OSCallFile(OSCallFileMaker(process: 300, started: 5).bytes)
    let capture = OSCallCapture([try OSCallFile(maker.bytes), child], end: 9, running: [], thresholdNanoseconds: 0, command: (["x"], 900))
    #expect(Set(capture.unseen.map(\.path)) == ["/bin/static", "/bin/child", "x"])
  }

  @Test func filesCutAnywhereGiveWhatIsThere() throws {
    let whole = OSCallFileMaker.sample.bytes
    for length in stride(from: 0, through: whole.count, by: 8) {
      guard let file = try? OSCallFile(Array(whole.prefix(length))) else {
        #expect(length < 16_384)
        continue
      }
      #expect(file.calls.start.count <= 3)
      if length < whole.count { #expect(!file.damage.isEmpty) }
    }
    #expect(throws: OSCallFileError.cutShort) { try OSCallFile([]) }
    #expect(throws: OSCallFileError.neverBegun) { try OSCallFile([UInt8](repeating: 0, count: 16_384)) }
    #expect(throws: OSCallFileError.notOne) { try OSCallFile([UInt8](repeating: 1, count: 16_384)) }
    #expect(throws: OSCallFileError.otherVersion) {
      var maker = OSCallFileMaker.sample
      maker.put(UInt32(32), 60)
      return try OSCallFile(maker.bytes)
    }
  }

  @Test func hostileFilesNeitherTrapNorGrow() {
    var random = SplitMix64(seed: 11)
    let whole = OSCallFileMaker.sample.bytes
    let extremes: [UInt64] = [0, 1, .max, 1 << 63, 1 << 62, 1 << 48, 0xFFFF_FFFF, 4096, 24]
    for _ in 0..<4000 {
      var maker = OSCallFileMaker.sample
      for _ in 0..<(1 + random.next() % 8) {
        // Heads of files and chunks more often than their insides.
        func draw(below limit: Int) -> Int { Int(clamping: random.next() % UInt64(clamping: limit)) }
        let places = [draw(below: 80), 16_384 + draw(below: 40), 20_480 + draw(below: 40), draw(below: whole.count - 8)]
        let place = places[draw(below: 4)] & ~7
        maker.put(random.next() % 2 == 0 ? extremes[Int(clamping: random.next() % 9)] : random.next(), min(place, whole.count - 8))
      }
      guard let file = try? OSCallFile(maker.bytes) else { continue }
      #expect(file.calls.start.count <= whole.count / 24 && file.damage.count < 100)
      let capture = OSCallCapture([file, file], end: .max, running: [file.process], thresholdNanoseconds: 1)
      #expect(capture.recordedCalls <= whole.count)
    }
  }
}
