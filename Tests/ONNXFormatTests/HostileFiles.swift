import FileAccess
import Glibc
import ModelGraph
import ProtobufWire
import Testing
import TimeBase

@testable import ONNXFormat

/// Files made to do harm: each must end in an error that says why, or in a model; never in a trap, a hang or a large allocation.
@Suite struct HostileFiles {
  static func small() throws -> [UInt8] { try ONNXWriter.write(try BuiltInHead.linear(layers: 1, hidden: 2).graph()) }

  /// A model of one MatMul over whatever initializer and nodes are given.
  static func model(opset: Int64 = 17, _ fill: (inout WireWriter) -> Void) -> [UInt8] {
    var model = WireWriter()
    model.integer(1, 8)
    model.message(7) { graph in fill(&graph) }
    model.message(8) { $0.integer(2, opset) }
    return model.bytes
  }

  static func node(_ graph: inout WireWriter, _ type: String, _ inputs: [String], _ outputs: [String], domain: String = "") {
    graph.message(1) { node in
      for input in inputs { node.text(1, input) }
      for output in outputs { node.text(2, output) }
      node.text(4, type)
      if !domain.isEmpty { node.text(7, domain) }
    }
  }

  static func value(_ graph: inout WireWriter, _ field: Int, _ name: String, _ sizes: [Int64]) {
    graph.message(field) { value in
      value.text(1, name)
      value.message(2) { type in
        type.message(1) { tensor in
          tensor.integer(1, 1)
          tensor.message(2) { shape in for size in sizes { shape.message(1) { $0.integer(1, size) } } }
        }
      }
    }
  }

  static func reason(_ bytes: [UInt8], file: String = "evil.onnx") -> String {
    do {
      _ = try ONNXReader.read(ArrayStorage(bytes), file: file)
      return "accepted"
    } catch { return error.description }
  }

  @Test func everyTruncationIsAnErrorOrAModel() throws {
    let bytes = try Self.small()
    for length in 0..<bytes.count { _ = Self.reason(Array(bytes[0..<length])) }
    #expect(Self.reason([]).contains("holds no graph"))
    #expect(Self.reason(Array(bytes[0..<(bytes.count / 2)])).contains("damaged"))
  }

  @Test func everyFlippedBitIsAnErrorOrAModel() throws {
    let bytes = try Self.small()
    for index in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << UInt8(clamping: bit)
        _ = Self.reason(damaged)
      }
    }
  }

  @Test(arguments: 0..<300) func randomBytesAreRefused(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    let bytes = (0..<Int(clamping: generator.next() % 400)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    #expect(Self.reason(bytes) != "accepted")
  }

  @Test func otherFormatsAreNamedAsNotONNX() {
    #expect(Self.reason(Array("PK\u{3}\u{4}zip".utf8)).contains("not an ONNX model"))
    #expect(Self.reason(Array("{\"json\": 1}".utf8)).contains("not an ONNX model"))
  }

  @Test func claimsOfGigabytesAreNotBelieved() {
    // raw_data that claims 2 GiB in a message of a few bytes.
    let lying: [UInt8] = [0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0x2A]
    #expect(Self.reason(lying).contains("claims 2147483647 bytes where 1 are left"))
    let huge = Self.model { graph in
      graph.message(5) { tensor in
        tensor.integer(1, 1 << 31)
        tensor.integer(2, 1)
        tensor.text(8, "w")
      }
    }
    #expect(Self.reason(huge).contains("needs 2147483648 elements, but the file holds 0"))
    let filled = Self.model { graph in
      Self.value(&graph, 11, "x", [1])
      graph.message(5) { tensor in
        tensor.integer(1, 2)
        tensor.integer(2, 7)
        tensor.text(8, "s")
        tensor.bytes(9, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
      }
      Self.node(&graph, "ConstantOfShape", ["s"], ["z"])
      Self.value(&graph, 12, "z", [1])
    }
    #expect(Self.reason(filled) != "accepted")
  }

  @Test(arguments: [
    (Int64(-1), "has the size -1"), (1 << 62, "too large"), (3, "needs 12 bytes, but raw_data holds 4"),
  ]) func sizesMustFitTheBytes(size: Int64, expected: String) {
    let bytes = Self.model { graph in
      graph.message(5) { tensor in
        tensor.integer(1, size)
        tensor.integer(1, size == 1 << 62 ? 4 : 1)
        tensor.integer(2, 1)
        tensor.text(8, "w")
        tensor.bytes(9, [0, 0, 0, 0])
      }
    }
    #expect(Self.reason(bytes).contains("initializer \"w\""))
    #expect(Self.reason(bytes).contains(expected))
  }

  @Test func cyclesDanglingNamesAndDuplicatesAreTold() {
    let cycle = Self.model { graph in
      Self.value(&graph, 11, "x", [1])
      Self.node(&graph, "Add", ["x", "b"], ["a"])
      Self.node(&graph, "Relu", ["a"], ["b"])
      Self.value(&graph, 12, "b", [1])
    }
    #expect(Self.reason(cycle).contains("reads \"b\", which node \"b\" writes only later: the graph has a cycle or is not in order"))
    let dangling = Self.model { graph in
      Self.node(&graph, "Relu", ["nowhere"], ["b"])
      Self.value(&graph, 12, "b", [1])
    }
    #expect(Self.reason(dangling).contains("reads \"nowhere\", which nothing writes"))
    let twice = Self.model { graph in
      Self.value(&graph, 11, "x", [1])
      Self.node(&graph, "Relu", ["x"], ["x"])
      Self.value(&graph, 12, "x", [1])
    }
    #expect(Self.reason(twice).contains("already has a value"))
  }

  @Test func unknownOperatorsAreNamed() {
    let bytes = Self.model { graph in
      Self.value(&graph, 11, "x", [1])
      Self.node(&graph, "Resize", ["x"], ["y"])
      Self.value(&graph, 12, "y", [1])
    }
    let reason = Self.reason(bytes)
    #expect(reason.hasPrefix("evil.onnx: node \"y\": operator Resize is not supported by this program's own kernels"))
    let custom = Self.model { graph in
      Self.value(&graph, 11, "x", [1])
      Self.node(&graph, "Relu", ["x"], ["y"], domain: "com.microsoft")
      Self.value(&graph, 12, "y", [1])
    }
    #expect(Self.reason(custom).contains("operator com.microsoft.Relu is not supported"))
  }

  @Test(arguments: [Int64(10), 26, 0, -5]) func otherOpsetsAreRefused(opset: Int64) {
    let bytes = Self.model(opset: opset) { Self.value(&$0, 11, "x", [1]) }
    #expect(Self.reason(bytes).contains("opset \(opset) is not supported; 11 to 25 are"))
  }

  @Test(arguments: ["../secret", "/etc/passwd", "a/../../secret", "a\\b", ""]) func externalDataStaysInTheFolder(location: String) {
    let bytes = Self.model { graph in
      graph.message(5) { tensor in
        tensor.integer(1, 1)
        tensor.integer(2, 1)
        tensor.text(8, "w")
        tensor.message(13) {
          $0.text(1, "location")
          $0.text(2, location)
        }
        tensor.integer(14, 1)
      }
    }
    let reason = Self.reason(bytes)
    #expect(reason.contains("refused") || reason.contains("without a location"))
  }

  @Test func externalDataIsReadAndLinksOutOfTheFolderAreRefused() throws {
    let base = (getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp") + "/headroom-onnx-\(getpid())"
    mkdir(base, 0o755)
    mkdir(base + "/model", 0o755)
    defer {
      for name in ["/model/w.bin", "/model/link.bin", "/secret.bin"] { unlink(base + name) }
      rmdir(base + "/model")
      rmdir(base)
    }
    let one: [UInt8] = [0, 0, 0x80, 0x3F]
    try Files.write(base + "/model/w.bin", [9, 9, 9, 9] + one)
    try Files.write(base + "/secret.bin", one)
    symlink(base + "/secret.bin", base + "/model/link.bin")
    func model(_ location: String, offset: String) -> [UInt8] {
      Self.model { graph in
        graph.message(5) { tensor in
          tensor.integer(1, 1)
          tensor.integer(2, 1)
          tensor.text(8, "w")
          for (key, value) in [("location", location), ("offset", offset), ("length", "4")] {
            tensor.message(13) {
              $0.text(1, key)
              $0.text(2, value)
            }
          }
          tensor.integer(14, 1)
        }
        Self.value(&graph, 11, "x", [1])
        Self.node(&graph, "Add", ["x", "w"], ["y"])
        Self.value(&graph, 12, "y", [1])
      }
    }
    let graph = try ONNXReader.read(ArrayStorage(model("w.bin", offset: "4")), file: base + "/model/m.onnx")
    #expect(graph.constants.values.first?.doubles == [1])
    #expect(Self.reason(model("link.bin", offset: "0"), file: base + "/model/m.onnx").contains("leads outside the model's folder"))
    #expect(Self.reason(model("w.bin", offset: "5"), file: base + "/model/m.onnx").contains("has 8 bytes; 4 from offset 5 were claimed"))
    #expect(Self.reason(model("w.bin", offset: "-1"), file: base + "/model/m.onnx").contains("offset is \"-1\""))
  }

  @Test func dynamicAxesOtherThanTheRowsAreExplained() {
    let bytes = Self.model { graph in
      graph.message(11) { value in
        value.text(1, "ids")
        value.message(2) { type in
          type.message(1) { tensor in
            tensor.integer(1, 7)
            tensor.message(2) { shape in
              shape.message(1) { $0.text(2, "batch") }
              shape.message(1) { $0.text(2, "sequence") }
            }
          }
        }
      }
      Self.node(&graph, "Identity", ["ids"], ["y"])
      Self.value(&graph, 12, "y", [1])
    }
    #expect(
      Self.reason(bytes).contains(
        "axis 1 (\"sequence\") is dynamic; only the first (\"batch\"), which is taken for the batch, may be. Give its size with --dimension sequence=SIZE"
      ))
    let options = ONNXReader.Options(dynamicSizes: ["sequence": 7])
    #expect(throws: Never.self) { try ONNXReader.read(ArrayStorage(bytes), file: "m", options: options) }
  }

  @Test func committedSeedsNeverTrap() throws {
    var folder = dataFolder.split(separator: "/").map(String.init)
    folder.removeLast(3)
    let seeds = "/" + folder.joined(separator: "/") + "/Fuzz/seeds/onnx"
    let names = try Files.entries(of: seeds)
    for name in names { _ = Self.reason(try Files.read("\(seeds)/\(name)")) }
    #expect(names.count >= 5)
  }
}
