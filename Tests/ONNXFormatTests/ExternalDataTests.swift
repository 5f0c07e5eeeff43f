import FileAccess
import Foundation
import ModelGraph
import ProtobufWire
import Testing

@testable import ONNXFormat

/// Engines open the files that a model names, so every name is checked before one sees the model: wherever the format has room for a tensor.
@Suite struct ExternalDataTests {
  /// Where a tensor may stand.
  enum Place: CaseIterable {
    case initializer, sparseValues, sparseIndices, attribute, attributes, sparseAttribute, sparseAttributes, branch, branches, function
    case functionDefault, training
  }

  private static func tensor(_ location: String, says external: Bool) -> (inout WireWriter) -> Void {
    { tensor in
      tensor.integer(1, 4)
      tensor.integer(2, 2)
      tensor.text(8, "w")
      tensor.message(13) { entry in
        entry.text(1, "location")
        entry.text(2, location)
      }
      if external { tensor.integer(14, 1) }
    }
  }

  private static func model(_ location: String, at place: Place, says external: Bool = true, depth: Int = 1) -> [UInt8] {
    let tensor = tensor(location, says: external)
    func node(_ fill: @escaping (inout WireWriter) -> Void) -> (inout WireWriter) -> Void {
      { node in
        node.text(4, "Constant")
        node.message(5, fill)
      }
    }
    func nested(_ depth: Int) -> (inout WireWriter) -> Void {
      { graph in
        if depth == 0 {
          graph.message(5, tensor)
        } else {
          graph.message(1, node { $0.message(6, nested(depth - 1)) })
        }
      }
    }
    var model = WireWriter()
    model.integer(1, 8)
    model.message(7) { graph in
      switch place {
      case .initializer: graph.message(5, tensor)
      case .sparseValues: graph.message(15) { $0.message(1, tensor) }
      case .sparseIndices: graph.message(15) { $0.message(2, tensor) }
      case .attribute: graph.message(1, node { $0.message(5, tensor) })
      case .attributes: graph.message(1, node { $0.message(10, tensor) })
      case .sparseAttribute: graph.message(1, node { $0.message(22) { $0.message(1, tensor) } })
      case .sparseAttributes: graph.message(1, node { $0.message(23) { $0.message(1, tensor) } })
      case .branch: nested(depth)(&graph)
      case .branches: graph.message(1, node { $0.message(11, nested(0)) })
      case .function, .functionDefault, .training: break
      }
    }
    switch place {
    case .training: model.message(20) { $0.message(2) { $0.message(5, tensor) } }
    case .function: model.message(25) { $0.message(7, node { $0.message(5, tensor) }) }
    case .functionDefault: model.message(25) { $0.message(11) { $0.message(5, tensor) } }
    default: break
    }
    return model.bytes
  }

  private static func refusal(_ bytes: [UInt8], weights: String? = nil) throws -> String? {
    let folder = try Folder()
    try folder.write("model.onnx", bytes)
    if let weights { try folder.write(weights, [1, 2, 3, 4]) }
    do throws(ONNXError) { try ONNXExternalData.check(path: folder.path + "/model.onnx") } catch { return error.description }
    return nil
  }

  @Test(arguments: Place.allCases)
  func everyPlaceIsLookedAt(place: Place) throws {
    for location in ["/etc/passwd", "../../etc/passwd", "a/../../b", "a\\b", "", "*/_ORT_MEM_ADDR_/*", "a\0b"] {
      for external in [true, false] {
        let reason = try Self.refusal(Self.model(location, at: place, says: external))
        #expect(reason?.contains("tensor \"w\": external data at") == true, "\(location): \(reason ?? "accepted")")
      }
    }
    #expect(try Self.refusal(Self.model("weights.bin", at: place))?.contains("No such file") == true)
    #expect(try Self.refusal(Self.model("weights.bin", at: place), weights: "weights.bin") == nil)
    #expect(try Self.refusal(Self.model("data/weights.bin", at: place), weights: "data/weights.bin") == nil)
  }

  @Test func graphsInGraphsAreFollowedOrRefused() throws {
    #expect(try Self.refusal(Self.model("/etc/passwd", at: .branch, depth: 20))?.contains("is refused") == true)
    #expect(try Self.refusal(Self.model("/etc/passwd", at: .branch, depth: 40))?.contains("nested deeper") == true)
  }

  @Test func whatIsNoModelIsRefused() throws {
    #expect(try Self.refusal(Array("hello".utf8))?.contains("not an ONNX model") == true)
  }

  /// A folder, and a link that leads out of the model's folder, are no weights.
  @Test func foldersAndLinksAreResolved() throws {
    let folder = try Folder()
    try folder.write("m/model.onnx", Self.model("weights", at: .initializer))
    try folder.write("m/weights/x", [1])
    func refusal() -> String? {
      do throws(ONNXError) { try ONNXExternalData.check(path: folder.path + "/m/model.onnx") } catch { return error.description }
      return nil
    }
    #expect(refusal()?.contains("it is not a file") == true)
    try folder.write("m/model.onnx", Self.model("link", at: .initializer))
    try folder.write("secret", [1, 2, 3, 4])
    try #require(symlink("../secret", folder.path + "/m/link") == 0)
    #expect(refusal()?.contains("leads outside the model's folder") == true)
  }
}

/// A folder of this test's own, removed with it.
private final class Folder {
  let path = NSTemporaryDirectory() + "headroom-external-" + UUID().uuidString

  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    let file = path + "/" + name
    try FileManager.default.createDirectory(atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Files.write(file, bytes)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
