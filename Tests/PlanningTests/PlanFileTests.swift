import FileAccess
import GPUModel
import Glibc
import ModelGraph
import Testing
import TimeBase

@testable import Planning

@Suite struct PlanFileTests {
  /// FIPS 180-4's examples, and a million "a" in odd pieces.
  @Test func digestsAreThePublishedOnes() {
    func hexadecimal(_ bytes: [UInt8]) -> String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
    #expect(hexadecimal(SHA256.digest([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(hexadecimal(SHA256.digest(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      hexadecimal(SHA256.digest(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    var hash = SHA256()
    var left = 1_000_000
    var piece = 1
    while left > 0 {
      let take = min(piece, left)
      [UInt8](repeating: 0x61, count: take).withUnsafeBytes { hash.update($0) }
      left -= take
      piece = piece * 7 % 1009
    }
    #expect(hexadecimal(hash.finalize()) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  static func temporaryPath(_ name: String) -> String {
    (getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp") + "/headroom-\(getpid())-\(name).plan"
  }

  static func plan(_ head: BuiltInHead, gpu: String = "rtx-pro-6000") throws -> Plan {
    let gpu = try GPUCatalogue().find(gpu).gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    return try PlanBuilder(model: model, type: .fp16).plan(try head.graph())
  }

  @Test(arguments: [
    BuiltInHead.linear(layers: 2, hidden: 16), .stacked(layers: 2, hidden: 16, heads: 3), .seqlen(layers: 3, hidden: 16, sequence: 4),
    .encoder(layers: 1, hidden: 16, heads: 2, sequence: 4),
  ]) func readingGivesBackThePlan(head: BuiltInHead) throws {
    let path = Self.temporaryPath("round-trip-\(head.hashValue)")
    defer { unlink(path) }
    for gpu in ["rtx-pro-6000", "h200", "B300"] {
      let plan = try Self.plan(head, gpu: gpu)
      try PlanFile.write(plan, to: path)
      let back = try PlanFile.read(path)
      #expect(back.hasWeights && back.gpu == plan.gpu && back.type == plan.type && back.rewrites == plan.rewrites)
      #expect(back.weights == plan.weights && back.steps == plan.steps)
      for rows in [1, 7, 256] { #expect(try back.at(rows: rows).launches == plan.at(rows: rows).launches) }
      for (id, tensor) in plan.graph.constants {
        let read = try #require(back.graph.constants[id])
        #expect(read.storage.withBytes { Array($0) } == tensor.storage.withBytes { Array($0) })
      }
    }
  }

  @Test func weightsLieAtMultiplesOf64() throws {
    let path = Self.temporaryPath("aligned")
    defer { unlink(path) }
    try PlanFile.write(try Self.plan(.linear(layers: 2, hidden: 5)), to: path)
    let back = try PlanFile.read(path)
    // Mappings begin at a page, so an address that is a multiple of 64 is an offset that is one.
    for tensor in back.graph.constants.values { #expect(tensor.storage.withBytes { Int(bitPattern: $0.baseAddress) % 64 } == 0) }
  }

  @Test func weightsMayBeLeftOut() throws {
    let path = Self.temporaryPath("bare")
    defer { unlink(path) }
    let plan = try Self.plan(.seqlen(layers: 3, hidden: 64, sequence: 4))
    try PlanFile.write(plan, to: path, includingWeights: false)
    #expect(try Files.read(path).count < 30_000)
    let back = try PlanFile.read(path)
    #expect(!back.hasWeights)
    #expect(try back.at(rows: 9).launches == plan.at(rows: 9).launches)
  }

  @Test func everyTruncationAndEveryFlippedByteIsFound() throws {
    let path = Self.temporaryPath("damaged")
    defer { unlink(path) }
    try PlanFile.write(try Self.plan(.linear(layers: 1, hidden: 3)), to: path)
    let bytes = try Files.read(path)
    for length in stride(from: 0, to: bytes.count, by: 61) {
      try Files.write(path, Array(bytes[0..<length]))
      #expect(throws: PlanFileError.self) { try PlanFile.read(path) }
    }
    var unnoticed = 0
    for index in bytes.indices where index < 200 || index % 7 == 0 || index > bytes.count - 200 {
      var damaged = bytes
      damaged[index] ^= 0x40
      try Files.write(path, damaged)
      if (try? PlanFile.read(path)) != nil { unnoticed += 1 }
    }
    #expect(unnoticed == 0)
    try Files.write(path, bytes + [0])
    #expect(throws: PlanFileError.self) { try PlanFile.read(path) }
  }

  @Test func newerVersionsAndOtherFilesAreNamed() throws {
    let path = Self.temporaryPath("version")
    defer { unlink(path) }
    try PlanFile.write(try Self.plan(.linear(layers: 1, hidden: 3)), to: path)
    var bytes = try Files.read(path)
    bytes[8] = 9
    try Files.write(path, bytes)
    let newer = #expect(throws: PlanFileError.self) { try PlanFile.read(path) }
    #expect(newer?.reason == "version 9 is newer than 1, which this program reads; update it")
    try Files.write(path, [UInt8](repeating: 7, count: 500))
    let other = #expect(throws: PlanFileError.self) { try PlanFile.read(path) }
    #expect(other?.reason == "not a plan file: it does not begin with HEADPLAN")
  }
}
