import ModelConfiguration
import ModelGraph
import ProtobufWire
import Testing

@testable import ONNXFormat
@testable import Serving

/// Sizes that an ONNX file leaves open stay open, also where its operators tell them.
@Suite struct DeclaredDimensionsTests {
  /// A value's declaration: its name, element type and sizes, of which a text is an open one.
  static func value(_ name: String, _ type: Int64, _ sizes: [String]?) -> (inout WireWriter) -> Void {
    { writer in
      writer.text(1, name)
      writer.message(2) { kind in
        kind.message(1) { tensor in
          tensor.integer(1, type)
          guard let sizes else { return }
          tensor.message(2) { shape in
            for size in sizes {
              shape.message(1) { entry in if let known = Int64(size) { entry.integer(1, known) } else { entry.text(2, size) } }
            }
          }
        }
      }
    }
  }

  static func interface(inputs: [(inout WireWriter) -> Void], outputs: [(inout WireWriter) -> Void], weights: [String] = []) throws
    -> ONNXInterface
  {
    var writer = WireWriter()
    writer.message(7) { graph in
      for input in inputs { graph.message(11) { input(&$0) } }
      for output in outputs { graph.message(12) { output(&$0) } }
      for weight in weights { graph.message(5) { $0.text(8, weight) } }
    }
    return try ONNXInterface.read(ArrayStorage(writer.bytes), file: "m.onnx")
  }

  @Test func whatAFileDeclaresIsRead() throws {
    let found = try Self.interface(
      inputs: [Self.value("x", 1, ["N", "4"]), Self.value("bias", 1, ["4"])],
      outputs: [Self.value("y", 7, ["N", "boxes", "6", "-1", "0"]), Self.value("z", 1, nil)], weights: ["bias", "w"])
    #expect(found.inputs.map(\.dims) == [[-1, 4], [4]] && found.inputs.map(\.hasDefault) == [false, true])
    #expect(found.outputs.map(\.dims) == [[-1, -1, 6, -1, -1], nil] && found.outputs.map(\.elementType) == [7, 1])
    #expect(ModelSignature(found, inputs: []) == nil)
    #expect(throws: ONNXError.self) { try ONNXInterface.read(ArrayStorage([0xFF, 0xFF]), file: "m.onnx") }
    #expect(throws: ONNXError.self) { try ONNXInterface.read(ArrayStorage([]), file: "m.onnx") }
  }

  @Test func anOutputThatIsDeclaredOpenMayBeConfiguredOpen() throws {
    let declared = try Self.interface(inputs: [Self.value("x", 1, ["N", "6"])], outputs: [Self.value("y", 1, ["N", "boxes", "6"])])
    let inferred = ModelSignature(
      inputs: [.init(name: "x", dataType: .float32, dims: [-1, 6])], outputs: [.init(name: "y", dataType: .float32, dims: [-1, 1, 6])])
    let opened = inferred.opened(as: declared)
    #expect(opened.outputs.map(\.dims) == [[-1, -1, 6]] && opened.inputs == inferred.inputs)
    for dims in [[-1, 6], [1, 6], [9, 6], []] {
      let configuration = ModelConfiguration(name: "m", maxBatchSize: 4, outputs: [OutputConfiguration(name: "y", dims: dims)])
      #expect(throws: Never.self, "\(dims)") { try configuration.completed(from: opened) }
    }
    let wrong = ModelConfiguration(name: "m", maxBatchSize: 4, outputs: [OutputConfiguration(name: "y", dims: [-1, -1])])
    #expect(throws: ModelConfigurationError.self) { try wrong.completed(from: opened) }
    #expect(inferred.opened(as: nil) == inferred)
  }
}
