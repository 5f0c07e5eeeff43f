import FileAccess
import Foundation
import KServe
import ModelConfiguration
import NIOCore
import Testing

@testable import Serving

/// What a model's folder holds besides its model, as loading takes it.
@Suite struct ConfigurationFilesTests {
  static let labelled = """
    backend: "identity" max_batch_size: 8
    input [ { name: "x" data_type: TYPE_FP32 dims: [4] } ]
    output [ { name: "y" data_type: TYPE_FP32 dims: [4] label_filename: "names.txt" } ]
    """

  /// A repository with a model folder `m`, its files by path.
  static func repository(_ files: [String: String]) throws -> String {
    let root = NSTemporaryDirectory() + "configurations-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: "\(root)/m/1", withIntermediateDirectories: true)
    for (name, text) in files { try Files.write("\(root)/m/\(name)", text) }
    return root
  }

  /// The first problem that loading has, of the configuration in `files`.
  static func problem(_ files: [String: String], link: (from: String, to: String)? = nil) throws -> String? {
    let root = try repository(files)
    defer { try? FileManager.default.removeItem(atPath: root) }
    if let link { try FileManager.default.createSymbolicLink(atPath: "\(root)/m/\(link.from)", withDestinationPath: link.to) }
    do throws(ModelConfigurationError) {
      guard var configuration = try ConfigurationReader.read(folder: "\(root)/m")?.configuration else { return "no configuration" }
      try ConfigurationReader.name(&configuration, "m")
      try ConfigurationReader.validate(configuration, version: 1, at: .folder("\(root)/m"))
      try ConfigurationReader.checkFiles(configuration, at: .folder("\(root)/m"))
      return nil
    } catch {
      return "\(error)".replacing(root, with: "ROOT")
    }
  }

  @Test(arguments: [
    ("cat\n\nbird\n", ["cat", "", "bird"]), ("cat\r\ndog\r\nbird\r\nfish\r\n", ["cat", "dog", "bird", "fish"]), ("cat", ["cat"]),
  ]) func labelsAreThoseOfTheirLines(text: String, names: [String]) async throws {
    let root = try Self.repository(["config.pbtxt": Self.labelled, "names.txt": text])
    defer { try? FileManager.default.removeItem(atPath: root) }
    let fixture = try ServerFixture([:]) { $0.repositories = [root] }
    var request = ServerFixture.request("m", [1, 2, 3, 4])
    request.outputs = [InferenceRequest.Output(name: "y", classification: 4)]
    let response = try await fixture.infer(request).get()
    let data = try #require(response.outputs.first?.data)
    var bytes = Array(data.readableBytesView)
    var found: [String] = []
    while bytes.count >= 4 {
      let count = Int(bytes[0]) | Int(bytes[1]) << 8
      found.append(String(decoding: bytes[4..<4 + count], as: UTF8.self))
      bytes.removeFirst(4 + count)
    }
    let expected = (0..<4).reversed().map { index in
      "\(index + 1).000000:\(index)" + (names.indices.contains(index) && !names[index].isEmpty ? ":\(names[index])" : "")
    }
    #expect(found == expected)
  }

  @Test func aLabelFileMustBeThereAndInTheModelsFolder() throws {
    #expect(
      try Self.problem(["config.pbtxt": Self.labelled])
        == "ROOT/m/config.pbtxt:3:53: the label file of output 'y' cannot be read: cannot open ROOT/m/names.txt: No such file or directory")
    for name in ["../../etc/passwd", "../m2/names.txt", "../nothing"] {
      #expect(
        try Self.problem(["config.pbtxt": Self.labelled.replacing("names.txt", with: name)])
          == "ROOT/m/config.pbtxt:3:53: label file path 'ROOT/m/\(name)' for output 'y' in model 'm' is outside model directory")
    }
    #expect(
      try Self.problem(["config.pbtxt": Self.labelled], link: ("names.txt", "/etc/passwd"))?.contains("is outside model directory") == true)
    #expect(try Self.problem(["config.pbtxt": Self.labelled, "other.txt": "a"], link: ("names.txt", "other.txt")) == nil)
  }

  @Test func aModelsFileStaysInItsFolder() throws {
    let root = try Self.repository(["1/a.onnx": "a"])
    defer { try? FileManager.default.removeItem(atPath: root) }
    try Files.write("\(root)/secret", "s")
    try FileManager.default.createSymbolicLink(atPath: "\(root)/m/1/link", withDestinationPath: "../../secret")
    #expect(throws: Never.self) { try ConfigurationReader.modelFile("a.onnx", version: 1, in: "\(root)/m") }
    for name in ["../../secret", "link", "../../../etc/passwd"] {
      let error = #expect(throws: FileError.self) { try ConfigurationReader.modelFile(name, version: 1, in: "\(root)/m") }
      #expect(error?.reason.hasPrefix("it is outside") == true, "\(name): \(String(describing: error))")
    }
  }

  @Test func aVersionFolderMayBeALink() throws {
    let root = try Self.repository([:])
    defer { try? FileManager.default.removeItem(atPath: root) }
    try FileManager.default.createDirectory(atPath: "\(root)/store", withIntermediateDirectories: true)
    try Files.write("\(root)/store/a.onnx", "a")
    try FileManager.default.createSymbolicLink(atPath: "\(root)/m/2", withDestinationPath: "../store")
    #expect(throws: Never.self) { try ConfigurationReader.modelFile("a.onnx", version: 2, in: "\(root)/m") }
  }

  @Test(arguments: ["../../x", "/etc/x", "1/../../x", "1//x", "..", "a\0b"]) func filesSentStayInTheModelsFolder(name: String) {
    let error = #expect(throws: ModelLoader.Failure.self) { try ConfigurationReader.checkSent([name: [], "1/model.onnx": []]) }
    #expect(error?.description.hasPrefix("Invalid file parameter 'file:") == true)
  }

  @Test func aWarmUpsFileStaysInTheModelsFolder() throws {
    let warmup =
      "\nmodel_warmup { name: \"w\" batch_size: 1 inputs { key: \"x\" value { data_type: TYPE_FP32 dims: 4 input_data_file: \"FILE\" } } }"
    let text = Self.labelled.replacing("label_filename: \"names.txt\"", with: "") + warmup
    let reason = try Self.problem(["config.pbtxt": text.replacing("FILE", with: "../../../etc/passwd")])
    #expect(reason?.contains("ROOT/m/config.pbtxt:4:1: the data of input 'x' in model_warmup 'w': ") == true, "\(reason ?? "")")
    #expect(reason?.contains("it is outside ROOT/m") == true)
  }

  @Test(arguments: [
    ("model.py", "python"), ("model.pt", "pytorch"), ("model.plan", "tensorrt"), ("model.savedmodel", "tensorflow"),
    ("model.graphdef", "tensorflow"), ("model.xml", "openvino"),
  ]) func aFolderOfAnotherBackendsModelSaysWhose(file: String, backend: String) throws {
    let reason = try Self.problem(["config.pbtxt": "max_batch_size: 4", "1/\(file)": "x"])
    #expect(reason?.contains("\(file): this server has no backend '\(backend)'") == true, "\(reason ?? "")")
    #expect(try Self.problem(["config.pbtxt": "max_batch_size: 4", "1/\(file)": "x", "1/model.onnx": ""]) == nil)
  }

  @Test func aPlanOfOursIsNoTensorRTEngine() throws {
    for text in ["platform: \"tensorrt_plan\"", "backend: \"tensorrt\"", ""] {
      #expect(try Self.problem(["config.pbtxt": text, "1/model.plan": "HEADPLAN..."]) == nil)
      #expect(
        try Self.problem(["config.pbtxt": text, "1/model.plan": "ftrt..."])?.contains("this server has no backend 'tensorrt'") == true)
    }
  }

  @Test func theLoadCallSaysWhy() throws {
    let fixture = try ServerFixture([:])
    for (text, expected) in [
      ("max_batch_size: four", "failed to load 'm', failed to poll from model repository: ROOT/m/config.pbtxt:1:17: 'max_batch_size'"),
      (
        "backend: \"python\"",
        "load failed for model 'm': version 1 is at UNAVAILABLE state: ROOT/m/config.pbtxt:1:1: this server has no backend"
      ),
    ] {
      let folder = "\(fixture.folder)/m"
      try FileManager.default.createDirectory(atPath: "\(folder)/1", withIntermediateDirectories: true)
      try Files.write("\(folder)/config.pbtxt", text)
      let error = #expect(throws: KServeError.self) { try fixture.server.manager.load("m", configuration: nil, files: [:]) }
      let message = error?.message.replacing(fixture.folder, with: "ROOT") ?? ""
      #expect(message.hasPrefix(expected), "\(message)")
    }
  }
}
