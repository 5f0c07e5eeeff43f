import ModelGraph
import ProtobufWire
import Testing

@testable import ONNXFormat

/// Whether the sizes of inputs' first axes have to do with each other, by their names (ONNX IR specification, "Static tensor shapes").
@Suite struct FirstAxisTests {
  enum Axis: Sendable {
    case fixed(Int64)
    case named(String)
    case unnamed
  }

  private func file(_ axes: [Axis], withDefault: Bool) -> [UInt8] {
    HostileFiles.model { graph in
      for (index, axis) in axes.enumerated() {
        graph.message(11) { value in
          value.text(1, "x\(index)")
          value.message(2) { type in
            type.message(1) { tensor in
              tensor.integer(1, 1)
              tensor.message(2) { shape in
                shape.message(1) { dimension in
                  switch axis {
                  case .fixed(let size): dimension.integer(1, size)
                  case .named(let name): dimension.text(2, name)
                  case .unnamed: break
                  }
                }
              }
            }
          }
        }
        HostileFiles.node(&graph, "Identity", ["x\(index)"], ["y\(index)"])
        HostileFiles.value(&graph, 12, "y\(index)", [1])
      }
      if withDefault {
        graph.message(5) { tensor in
          tensor.integer(1, 1)
          tensor.integer(2, 1)
          tensor.text(8, "x0")
          tensor.bytes(9, [0, 0, 0, 0])
        }
      }
    }
  }

  @Test(
    arguments: [
      ([.named("batch")], false), ([.unnamed], false), ([.named("batch"), .named("batch")], false), ([.named("n"), .fixed(3)], false),
      ([.named("n"), .named("m")], true), ([.named("n"), .unnamed], true), ([.unnamed, .unnamed], true), ([.fixed(0), .named("n")], true),
      ([.fixed(-1), .fixed(-1)], true), ([], false),
    ] as [([Axis], Bool)])
  func areTold(axes: [Axis], isIndependent: Bool) throws {
    let survey = try ONNXSurvey.read(ArrayStorage(file(axes, withDefault: false)), file: "m.onnx")
    #expect(survey.hasIndependentFirstAxes == isIndependent)
  }

  /// An input with a default is not asked for.
  @Test func inputsWithDefaultsDoNotCount() throws {
    let survey = try ONNXSurvey.read(ArrayStorage(file([.named("n"), .named("m")], withDefault: true)), file: "m.onnx")
    #expect(!survey.hasIndependentFirstAxes)
  }
}
