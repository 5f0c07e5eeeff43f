import FileAccess
import Foundation
import JSONText
import ONNXFormat
import ProtobufWire
import Testing

@testable import Serving

@Suite struct RepositoryCheckTests {
  static let data = (#filePath as NSString).deletingLastPathComponent + "/../../Data"

  static func repository(_ files: [String: String]) throws -> String {
    let root = NSTemporaryDirectory() + "check-" + UUID().uuidString
    for (name, text) in files {
      let path = "\(root)/\(name)"
      try FileManager.default.createDirectory(atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try Files.write(path, text)
    }
    return root
  }

  @Test func theReportCountsAndHidesOnlyWhatIsAskedFor() throws {
    let root = try Self.repository([
      "good/config.pbtxt": ServerFixture.identity("good"), "good/1/x": "", "bad/config.pbtxt": "max_batch_size: -4",
    ])
    defer { try? FileManager.default.removeItem(atPath: root) }
    let report = RepositoryReport(try RepositoryCheck.check(root))
    let lines = report.lines(quiet: false)
    #expect(lines.contains("\(root)/good/config.pbtxt: accepted"))
    #expect(lines.contains { $0.hasPrefix("\(root)/bad/config.pbtxt:1") && $0.contains(": refused: ") })
    #expect(lines.last == "2 configurations: 1 accepted, 1 refused")
    #expect(!report.lines(quiet: true).contains { $0.hasSuffix(": accepted") })
    let json = report.json(version: "1.2.3")
    #expect(json["schema"]?.stringValue == "headroom.check/1" && json["headroom"]?.stringValue == "1.2.3")
    #expect(json["refused"]?.integerValue == 1 && json["accepted"]?.integerValue == 1)
    let verdicts = json["configurations"]?.arrayValue?.compactMap { $0["verdict"]?.stringValue }
    #expect(verdicts?.sorted() == ["accepted", "refused"])
  }

  @Test func aRepositoryIsCheckedModelByModel() throws {
    let root = try Self.repository([
      "good/config.pbtxt": ServerFixture.identity("good"), "good/1/x": "",
      "bad/config.pbtxt": "max_batch_size: 4\ndynamic_batching {\n  preferred_batch_size: 5\n}",
      "worse/config.pbtxt": "max_batch_size: 4\ninput {\n  nam: \"x\"\n}", "other/config.pbtxt": "name: \"another\"",
      ".git/config.pbtxt": "x",
      "image/config.pbtxt": "max_batch_size: 4 input { name: \"x\" data_type: TYPE_FP32 dims: [3, 4, 4]\n format: FORMAT_NCHW }",
    ])
    defer { try? FileManager.default.removeItem(atPath: root) }
    let results = try RepositoryCheck.check(root + "/")
    #expect(results.map(\.model) == ["bad", "good", "image", "other", "worse"])
    #expect(results.map(\.isAccepted) == [false, true, true, false, false])
    func lines(_ index: Int) -> [String] { results[index].remarks.map { $0.description.replacing(root, with: "R") } }
    #expect(lines(0) == ["R/bad/config.pbtxt:3:3: refused: dynamic batching preferred size must be <= max batch size for bad"])
    #expect(lines(1) == [])
    #expect(
      lines(2) == [
        "R/image/config.pbtxt:2:2: ignored: 'format' of ModelInput is ignored: tensors are read in the order of their dimensions",
        "R/image/config.pbtxt: note: no version folder (1, 2, ...): `headroom serve` refuses such a model; checked without a model",
      ])
    #expect(lines(3).first?.hasPrefix("R/other/config.pbtxt:1:1: refused: unexpected directory name 'other' for model 'another'") == true)
    #expect(lines(4).first?.hasPrefix("R/worse/config.pbtxt:3:3: refused: unknown field 'nam' in message ModelInput") == true)
    #expect(results[2].configuration?["input"]?.arrayValue?.first?["format"] == "FORMAT_NCHW")
    #expect(results[0].configuration == nil)
  }

  @Test func aFileAloneHasNoFolderToBeComparedWith() throws {
    let root = try Self.repository(["a.pbtxt": "name: \"m\" output { name: \"y\" label_filename: \"none\" }"])
    defer { try? FileManager.default.removeItem(atPath: root) }
    let results = try RepositoryCheck.check(root + "/a.pbtxt")
    #expect(results.map(\.model) == ["m"] && results.allSatisfy(\.isAccepted))
    #expect(throws: FileError.self) { try RepositoryCheck.check(root + "/none") }
    #expect(throws: FileError.self) { try RepositoryCheck.check(root) }
  }

  @Test func whatAServerWouldNotFindIsSaidAndAccepted() throws {
    let text = "max_batch_size: 4"
    let root = try Self.repository([
      "beside/config.pbtxt": text, "beside/model.onnx": "x", "other/config.pbtxt": text, "other/1/mlp.onnx": "x",
      "named/config.pbtxt": text + " default_model_filename: \"mine.onnx\"", "named/1/model.onnx": "x", "empty/config.pbtxt": text,
      "neither/README.md": "x", "text/config.txt": text,
    ])
    defer { try? FileManager.default.removeItem(atPath: root) }
    try FileManager.default.createDirectory(atPath: root + "/empty/1", withIntermediateDirectories: true)
    let results = try RepositoryCheck.check(root)
    #expect(results.map(\.model) == ["beside", "empty", "named", "neither", "other", "text"])
    #expect(results.allSatisfy { $0.isAccepted && $0.lacksModelFile && $0.remarks.last?.isKept == true && $0.remarks.last?.kind == .note })
    let reasons = results.map { $0.remarks.map(\.reason).joined(separator: " | ").replacing(root, with: "R") }
    let refuses = "no version folder (1, 2, ...): `headroom serve` refuses such a model; checked without a model"
    let without = ": `headroom serve` refuses it; checked without it"
    #expect(
      reasons == [
        "model.onnx lies beside config.pbtxt: move it to 1/model.onnx; " + refuses,
        "R/empty/1 has none of model.onnx, model.plan (it is empty)" + without,
        "R/named/1 has none of mine.onnx (it holds model.onnx)" + without, "no config.pbtxt and " + refuses,
        "R/other/1 has none of model.onnx, model.plan (it holds mlp.onnx)" + without,
        "R/text/config.txt is not read: a configuration is called config.pbtxt | no config.pbtxt and " + refuses,
      ])
    #expect(throws: FileError.self) { try RepositoryCheck.check("\(root)/other/1/mlp.onnx") }
  }

  @Test func parametersAreJudgedForTheEngineThatWouldRunTheModel() throws {
    let text = "parameters { key: \"intra_op_thread_count\" value { string_value: \"four\" } }"
    let expected = "parameters[\"intra_op_thread_count\"] is \"four\": a number of threads from 0 to 1024 is expected"
    // divide.onnx is for ONNX Runtime, the other for the CPU device's own kernels, and of a file that is not there nobody knows.
    for (file, kind, reason) in [
      ("onnxruntime/divide.onnx", .refused, expected),
      ("onnx/seqlen-script-13.onnx", .ignored, "parameter 'intra_op_thread_count' is ignored: only ONNX Runtime acts on it"),
      (nil, .note, expected + "; `headroom serve` refuses it where ONNX Runtime runs the model"),
    ] as [(String?, RepositoryCheck.Remark.Kind, String)] {
      let root = try Self.repository(["m/config.pbtxt": "# threads\n" + text, "m/1/README": ""])
      defer { try? FileManager.default.removeItem(atPath: root) }
      if let file { try Files.write("\(root)/m/1/model.onnx", try Files.read("\(Self.data)/\(file)")) }
      let result = try #require(try RepositoryCheck.check(root).first)
      let remark = try #require(result.remarks.first { $0.reason.contains("intra_op") })
      #expect(remark.description == "\(root)/m/config.pbtxt:2:1: \(kind.rawValue): \(reason)")
      #expect(result.isAccepted == (kind != .refused))
    }
  }

  @Test func aModelsFileIsComparedWithItsConfiguration() throws {
    let model = try Files.read("\(Self.data)/onnx/seqlen-script-13.onnx")
    for (text, expected) in [("max_batch_size: 4", nil), ("max_batch_size: 4 input { name: \"none\" }", "has no input 'none'")] {
      let root = try Self.repository(["m/config.pbtxt": text])
      defer { try? FileManager.default.removeItem(atPath: root) }
      try FileManager.default.createDirectory(atPath: "\(root)/m/1", withIntermediateDirectories: true)
      try Files.write("\(root)/m/1/model.onnx", model)
      let result = try #require(try RepositoryCheck.check(root).first)
      #expect(result.modelFile == "\(root)/m/1/model.onnx")
      #expect(result.isAccepted == (expected == nil))
      if let expected { #expect(result.remarks.last?.reason.contains(expected) == true) }
      try Files.write("\(root)/m/1/model.onnx", Array(model.prefix(100)))
      #expect(try RepositoryCheck.check("\(root)/m").first?.isAccepted == false)
    }
  }

  /// What a load refuses without asking an engine is refused here, in the same words.
  @Test(arguments: [
    (
      "max_batch_size: 4 model_warmup { name: \"w\" batch_size: 5 inputs { key: \"input\" value { dims: [ 1 ] zero_data: true } } }",
      "batch_size of 5"
    ),
    ("max_batch_size: 4 model_warmup { name: \"w\" batch_size: 2 }", "failed to run warmup sample 'w': it gives no input"),
  ])
  func warmUpIsChecked(text: String, reason: String) throws {
    let root = try Self.repository(["m/config.pbtxt": text])
    defer { try? FileManager.default.removeItem(atPath: root) }
    try FileManager.default.createDirectory(atPath: "\(root)/m/1", withIntermediateDirectories: true)
    try Files.write("\(root)/m/1/model.onnx", try Files.read("\(Self.data)/onnx/seqlen-script-13.onnx"))
    let result = try #require(try RepositoryCheck.check(root).first)
    #expect(!result.isAccepted && result.remarks.contains { $0.reason.contains(reason) }, "\(result.remarks)")
  }

  /// A model whose operators only an engine knows, with weights that lie elsewhere: refused, not left to the engine.
  @Test func weightsElsewhereAreRefusedWhoeverRunsTheModel() throws {
    var model = WireWriter()
    model.integer(1, 8)
    model.message(7) { graph in
      graph.message(1) { node in
        node.text(1, "w")
        node.text(2, "y")
        node.text(4, "NobodyKnowsThis")
      }
      graph.message(5) { tensor in
        tensor.integer(1, 4)
        tensor.integer(2, 2)
        tensor.text(8, "w")
        tensor.message(13) { entry in
          entry.text(1, "location")
          entry.text(2, "/etc/passwd")
        }
        tensor.integer(14, 1)
      }
    }
    let root = try Self.repository(["m/config.pbtxt": "max_batch_size: 0"])
    defer { try? FileManager.default.removeItem(atPath: root) }
    try FileManager.default.createDirectory(atPath: "\(root)/m/1", withIntermediateDirectories: true)
    try Files.write("\(root)/m/1/model.onnx", model.bytes)
    let result = try #require(try RepositoryCheck.check(root).first)
    #expect(!result.isAccepted && result.remarks.contains { $0.reason.contains("\"/etc/passwd\" is refused") }, "\(result.remarks)")
  }

  /// ONNX Runtime loads a graph without outputs, and each request then fails: it is refused where it lies, by the load and by the check.
  @Test func aGraphWithoutOutputsIsRefusedWhoeverRunsTheModel() throws {
    var model = WireWriter()
    model.integer(1, 8)
    model.message(7) { graph in
      graph.message(1) { node in
        node.text(1, "x")
        node.text(2, "y")
        node.text(4, "Relu")
      }
      graph.text(2, "silent")
    }
    model.message(8) { $0.integer(2, 17) }
    let root = try Self.repository(["m/config.pbtxt": "max_batch_size: 0"])
    defer { try? FileManager.default.removeItem(atPath: root) }
    let path = "\(root)/m/1/model.onnx"
    try FileManager.default.createDirectory(atPath: "\(root)/m/1", withIntermediateDirectories: true)
    try Files.write(path, model.bytes)
    let result = try #require(try RepositoryCheck.check(root).first)
    #expect(!result.isAccepted && result.remarks.contains { $0.reason.hasPrefix("graph: has no outputs") }, "\(result.remarks)")
    let error = #expect(throws: ONNXError.self) { try ModelFiles(path: path).check() }
    #expect(error?.file == path && error?.place == "graph")
  }
}
