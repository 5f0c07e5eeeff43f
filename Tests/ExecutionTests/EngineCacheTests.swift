import Execution
import FileAccess
import Glibc
import Testing

/// Which models have proven themselves, across starts of the server.
@Suite struct EngineCacheTests {
  private static let digest = ModelDigest.sha256(Array("model".utf8))

  @Test func digestsAreSHA256() throws {
    // FIPS 180-4's examples, and one that ends inside the padding.
    #expect(ModelDigest.sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(ModelDigest.sha256(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      ModelDigest.sha256(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      ModelDigest.sha256([UInt8](repeating: 97, count: 1_000_000)) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func aModelIsItsFileAndTheFilesOfItsWeights() throws {
    let folder = try TemporaryFolder("cache-test")
    try folder.write("a", [1, 2])
    try folder.write("b", [3])
    try folder.write("c", [2, 3])
    try folder.write("d", [1])
    func digest(_ names: String...) throws -> String { try ModelDigest.sha256(of: names.map { "\(folder.path)/\($0)" }) }
    #expect(try digest("a", "b") != digest("a"))
    #expect(try digest("a", "b") != digest("d", "c"), "where one file ends and the next begins counts")
    #expect(throws: FileError.self) { try digest("a", "missing") }
  }

  @Test func whatIsRememberedIsFoundByModelAndEngine() throws {
    let folder = try TemporaryFolder("cache-test")
    let cache = EngineCache(folder: "\(folder.path)/made/when/needed", engine: "onnxruntime-1.23.2")
    #expect(try !cache.isProven(Self.digest))
    try cache.remember(Self.digest)
    #expect(try cache.isProven(Self.digest))
    #expect(try !cache.isProven(ModelDigest.sha256([1])))
    #expect(try !EngineCache(folder: cache.folder, engine: "onnxruntime-1.24.0").isProven(Self.digest))
    #expect(try Files.entries(of: cache.folder).count == 1, "nothing half-written stays")
  }

  @Test(arguments: ["", "headroom engine record 1\n", "\u{0}\u{0}", "headroom engine record 2\nmodel x\n"])
  func aRecordThatIsNotAsItWasWrittenIsNotBelieved(_ text: String) throws {
    let folder = try TemporaryFolder("cache-test")
    let cache = EngineCache(folder: folder.path, engine: "onnxruntime-1.23.2")
    try cache.remember(Self.digest)
    let name = try #require(try Files.entries(of: folder.path).first)
    try Files.write("\(folder.path)/\(name)", text)
    let error = #expect(throws: FileError.self) { try cache.isProven(Self.digest) }
    #expect(error?.path == "\(folder.path)/\(name)")
  }

  @Test func aPlaceThatCannotBeWrittenIsAnErrorAndNoTrap() throws {
    let cache = EngineCache(folder: "/proc/nowhere", engine: "onnxruntime-1.23.2")
    #expect(try !cache.isProven(Self.digest))
    #expect(throws: FileError.self) { try cache.remember(Self.digest) }
  }

  @Test func anEnginesVersionNamesNoOtherFolder() {
    #expect(EngineCache(folder: "/f", engine: "../../x y").engine == ".._.._x_y")
  }

  @Test func sentFilesStayInTheirFolder() throws {
    var path = ""
    do {
      let folder = try TemporaryFolder("sent-test")
      path = folder.path
      try folder.write("1/model.onnx/weights/w.bin", [1])
      #expect(try Files.read("\(path)/1/model.onnx/weights/w.bin") == [1])
      for name in ["../x", "/x", "1/../../x", "1//x", "1/./x", "", "a\u{0}b", String(repeating: "a/", count: 40) + "x"] {
        #expect(throws: FileError.self, "\(name)") { try folder.write(name, [1]) }
      }
    }
    #expect(Files.kind(of: path) == nil, "it goes with its owner")
  }
}
