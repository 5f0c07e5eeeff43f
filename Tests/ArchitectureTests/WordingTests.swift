import FileAccess
import Glibc
import Testing

/// Terms are the field's (Docs/glossary.md). Phrases and identifiers that were coined here and replaced stay out of sources, documents and so
/// of everything that is printed. The changelog tells of the past, and a Markdown quotation is somebody else's words.
@Suite struct WordingTests {
  /// In lower case, with what to write instead.
  static let phrases: [(banned: String, instead: String)] = [
    ("gpu-seconds a million", "GPU-seconds per million inferences"), ("issuing thread", "launch thread"), ("hand-over", "hand-off"),
    ("turned away", "rejected"), ("is no number", "is not a number; or: expected an integer 1 to 1,048,576"),
    ("asked over loopback", "driven over loopback"), ("without rights", "without root"), ("narrow waist", "stable interface"),
    ("the generator had room", "load generator not saturated"), ("forgets how late", "not corrected for coordinated omission"),
    ("may wait for company", "waits for its batch to fill"), ("for company", "for the batch to fill"),
    ("drop the copies", "remove redundant rows"),
    ("batch-diluted", "underfilled batches"), ("preferred-never-hit", "preferred_batch_size never reached"),
    ("serialized-loop", "no batch pipelining"), ("host-launch-paced", "launch-bound"), ("host-launch-bound", "launch-bound"),
    ("weight-streaming", "memory-bandwidth-bound (weights)"), ("small-gemm-underfill", "GEMM too small to fill the GPU"),
    ("wave-tail", "wave quantization"), ("copies alone", "non-overlapped memcpy"), ("unlock path", "cumulative improvement plan"),
    ("the stopwatch", "the measured latency; client-side latency"), ("client's stopwatch", "client-side latency"),
    ("same draws", "same random seed"), ("common draws", "the same random seed"), ("glue kernels", "unfused element-wise kernels"),
    ("source document", "the published case study"), ("serialized loop", "no batch pipelining"),
    ("in vain", "without effect; redundant"), ("dumb", "simple"), ("sm fill", "SMs with a resident block"),
    ("kernel-busy", "GPU busy time"),
    ("gpu s/m", "GPU s per million inferences"), ("planted world", "planted program"), ("no gain computed", "not quantified"),
  ]

  /// "50 rows a batch", "400 requests a second": "per" is meant.
  static let counted = [
    "rows", "requests", "kernels", "bytes", "cpu", "cores", "calls", "launches", "batches", "samples", "allocations",
    "gemms", "row", "request", "users", "responses", "weights", "copies", "wake-ups",
  ]
  static let units = ["batch", "request", "second", "kernel", "launch", "call", "connection", "instance", "block", "row", "variant"]

  /// Words of Swift sources: whole identifiers.
  static let identifiers: [(banned: String, instead: String)] = [
    ("brain", "bf16Scratch, bf16"), ("tenure", "generation"), ("beginTenure", "currentGeneration"), ("bodySilence", "readIdleTimeout"),
    ("writeSilence", "writeIdleTimeout"), ("pressedWriteSilence", "pressedWriteIdleTimeout"), ("closeSilence", "closeIdleTimeout"),
    ("shutdownPatience", "shutdownTimeout"), ("patience", "timeout"), ("carriers", "(delete)"), ("rowsWorthALook", "rowsToFormNext"),
    ("limitsTurns", "isRateLimited"), ("beginTurn", "acquireResources"), ("orElse", "fallback"), ("AnswerBox", "AnswerCallback"),
    ("ModelPlace", "ModelLocation"), ("PromptThread", "ShortSliceThread"), ("leanDurations", "rewrittenDurations"),
    ("Certainty", "Confidence"), ("certainty", "confidence"), ("cannotTell", "inconclusive"), ("Station", "PipelineStage"),
    ("Surroundings", "ServerContext"), ("Prose", "Sentence"), ("MeasuredTwin", "FittedSimulation"), ("twin", "fitted"),
    ("Together", "ConcurrentPair"), ("Rivals", "Hypotheses"), ("rivals", "hypotheses"),
    ("DepartureReason", "DispatchReason"), ("unlockPath", "improvementPlan"),
    ("starvedIdle", "noRequestsIdle"), ("heldIdle", "batchingDelayIdle"), ("stalledIdle", "hostOverheadIdle"),
    ("copyOnly", "nonOverlappedMemcpy"), ("issuingThread", "launchThread"), ("wouldDecide", "toConfirm"),
    ("timeOutsideStopwatch", "thinkAndClientQueueTime"), ("World", "SimulatedSystem"), ("WorldFit", "HypothesisFit"),
    ("UnlockStep", "ImprovementStep"), ("unlockSteps", "improvementSteps"), ("DocumentTable", "PublishedTable"),
    ("documentScheduler", "caseStudyScheduler"), ("batchHandOver", "batchHandOff"), ("answersInWindow", "responsesInWindow"),
    ("smFill", "residentSMShare"), ("smFillShare", "residentSMShare"), ("kernelBusy", "gpuBusy"), ("kernelBusyShare", "gpuBusyShare"),
    ("PlantedWorld", "PlantedProgram"), ("healthyWorlds", "healthyPrograms"),
  ]

  /// What a text has that it should not, by line.
  static func faults(in text: String, isSwift: Bool) -> [(line: Int, fault: String)] {
    // Ends in a zero, which no source has: the C library's search wants one, and a copy per phrase would take minutes.
    var exact = Array(text.utf8) + [0]
    // Another's words.
    if !isSwift { blankQuotations(&exact) }
    let lower = exact.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    var found: [(offset: Int, fault: String)] = []
    for (banned, instead) in phrases {
      for offset in places(of: banned, in: lower) { found.append((offset, "\"\(banned)\": write \(instead)")) }
    }
    for unit in units {
      for article in [" a ", " an "] {
        for offset in places(of: article + unit, in: lower) where isEnd(lower, offset + article.utf8.count + unit.utf8.count) {
          let word = word(before: offset, in: lower)
          if counted.contains(word) { found.append((offset, "\"\(word)\(article)\(unit)\": write \(word) per \(unit)")) }
        }
      }
    }
    if isSwift {
      for (banned, instead) in identifiers {
        for offset in places(of: banned, in: exact)
        where (offset == 0 || !isLetter(exact[offset - 1])) && isEnd(exact, offset + banned.utf8.count) {
          found.append((offset, "\(banned): write \(instead)"))
        }
      }
      // Bounds are minimumX and maximumX, not fewestX, mostX, leastX.
      for bound in ["fewest", "most", "least"] {
        for offset in places(of: bound, in: exact) where isBoundName(exact, offset, bound.utf8.count) {
          found.append((offset, "\(bound)...: write minimum... or maximum..."))
        }
      }
    }
    return found.map { (exact.prefix($0.offset).count { $0 == UInt8(ascii: "\n") } + 1, $0.fault) }
  }

  /// Regular expressions over all sources take seconds in a debug build; the C library's search does not.
  private static func places(of needle: String, in bytes: [UInt8]) -> [Int] {
    var places: [Int] = []
    bytes.withUnsafeBytes { all in
      guard let start = all.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
      var from = start
      while let found = strstr(from, needle) {
        places.append(UnsafePointer(found) - start)
        from = UnsafePointer(found) + needle.utf8.count
      }
    }
    return places
  }

  /// "fewestBatches", and "fewest" where it names a parameter or a constant; not the English word in a comment, nor "almost".
  private static func isBoundName(_ bytes: [UInt8], _ offset: Int, _ length: Int) -> Bool {
    guard offset == 0 || !isLetter(bytes[offset - 1]) && bytes[offset - 1] != UInt8(ascii: "."), offset + length < bytes.count else {
      return false
    }
    let next = bytes[offset + length]
    if (0x41...0x5A).contains(next) { return true }
    // "most: 3)" as a label or a constant with its type; "at most: three" is English.
    return next == UInt8(ascii: ":") && (offset == 0 || bytes[offset - 1] == UInt8(ascii: "(")) && !isComment(bytes, offset)
  }

  private static func isComment(_ bytes: [UInt8], _ offset: Int) -> Bool {
    let line = bytes[..<offset].reversed().prefix { $0 != UInt8(ascii: "\n") }
    return String(decoding: line.reversed(), as: UTF8.self).contains("//")
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
      || byte >= 0x80
  }

  /// No letter follows, and no hyphen: "one request a second-level cache serves".
  private static func isEnd(_ bytes: [UInt8], _ offset: Int) -> Bool {
    offset >= bytes.count || !isLetter(bytes[offset]) && bytes[offset] != UInt8(ascii: "-")
  }

  private static func word(before offset: Int, in bytes: [UInt8]) -> String {
    var start = offset
    while start > 0, isLetter(bytes[start - 1]) { start -= 1 }
    return String(decoding: bytes[start..<offset], as: UTF8.self)
  }

  private static func blankQuotations(_ bytes: inout [UInt8]) {
    var isQuoted = false
    for index in bytes.indices {
      if index == 0 || bytes[index - 1] == UInt8(ascii: "\n") { isQuoted = bytes[index] == UInt8(ascii: ">") }
      if isQuoted, bytes[index] != UInt8(ascii: "\n") { bytes[index] = UInt8(ascii: " ") }
    }
  }

  static func faults(ofFile path: String) throws -> [String] {
    faults(in: try Files.readText(path), isSwift: path.hasSuffix(".swift") || path.hasSuffix(".json")).map {
      "\(path):\($0.line): \($0.fault)"
    }
  }

  @Test func whatWasReplacedStaysOut() throws {
    let root = ArchitectureTests.root
    var paths = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map { root + "/" + $0 }
    // Pages, schemas of what programs read, and answers as they are printed.
    paths += try Self.documents(root + "/Docs") + Self.documents(root + "/Tests/Data/answers")
    for target in try ArchitectureTests.entries(root + "/Sources") {
      paths += try ArchitectureTests.swiftFiles(root + "/Sources/" + target)
    }
    #expect(paths.count > 300, "the test looked in the wrong folder")
    let swept = paths.filter { path in !Self.unswept.contains { path.hasPrefix(root + $0) } }
    let faults = try swept.flatMap(Self.faults(ofFile:))
    #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
  }

  /// Not looked at. The list only gets shorter.
  static let unswept: [String] = []

  private static func documents(_ folder: String) throws -> [String] {
    try ArchitectureTests.entries(folder).flatMap { name -> [String] in
      let path = folder + "/" + name
      if Files.kind(of: path) == .folder { return try documents(path) }
      return [".md", ".json", ".txt"].contains { name.hasSuffix($0) } ? [path] : []
    }
  }

  @Test func theRuleItselfCatchesOffenders() {
    #expect(Self.faults(in: "50 rows a request, 400 requests a second", isSwift: false).count == 2)
    #expect(Self.faults(in: "50 rows per request, a request a user makes", isSwift: false).isEmpty)
    #expect(Self.faults(in: "The issuing thread's hand-over", isSwift: false).count == 2)
    #expect(Self.faults(in: "let tenure = brain(value)", isSwift: true).count == 2)
    #expect(Self.faults(in: "let brainElements = tenures", isSwift: true).isEmpty)
    #expect(Self.faults(in: "tenure", isSwift: false).isEmpty)
    #expect(Self.faults(in: "static let fewestRows = 1; func list(fewest: Int)", isSwift: true).count == 2)
    #expect(Self.faults(in: "// at most: three, almostEqual, .leastNormalMagnitude", isSwift: true).isEmpty)
    #expect(Self.faults(in: "a serialized-loop, by the client's stopwatch", isSwift: false).count == 2)
    #expect(Self.faults(in: "one\n> 50 rows a batch\n50 rows a batch", isSwift: false).map(\.line) == [3])
  }
}
