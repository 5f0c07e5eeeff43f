import FileAccess
import ModelGraph
import ONNXFormat
import ProtobufWire
import Testing

/// What a file says of its inputs, whatever its operators.
@Suite struct ONNXSurveyTests {
  private static func survey(_ name: String) throws -> ONNXSurvey {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(2)
    return try ONNXSurvey.read(path: "/" + parts.joined(separator: "/") + "/Data/onnxruntime/\(name).onnx")
  }

  /// A model of a few nodes. Types: 1 float, 6 int32, 7 int64. `constants`: int64 scalars.
  private static func model(
    version: Int64 = 8, inputs: [(String, Int64)], constants: [(String, Int64)] = [], nodes: [(String, [String], String)],
    fill: (inout WireWriter) -> Void = { _ in }
  ) throws -> ONNXSurvey {
    var model = WireWriter()
    model.integer(1, version)
    model.message(7) { graph in
      for (type, inputs, output) in nodes {
        graph.message(1) { node in
          for input in inputs { node.text(1, input) }
          node.text(2, output)
          node.text(4, type)
        }
      }
      for (name, value) in constants {
        graph.message(5) { tensor in
          tensor.integer(2, 7)
          tensor.integer(7, value)
          tensor.text(8, name)
        }
      }
      for (name, type) in inputs {
        graph.message(11) { value in
          value.text(1, name)
          value.message(2) { $0.message(1) { $0.integer(1, type) } }
        }
      }
      fill(&graph)
    }
    return try ONNXSurvey.read(ArrayStorage(model.bytes), file: "test.onnx")
  }

  @Test func anOrdinaryModelHasNothingOfNote() throws {
    for name in ["conv", "topk", "strings", "half", "power"] { #expect(try Self.survey(name) == ONNXSurvey(), "\(name)") }
  }

  @Test func anInputThatIntegersAreDividedByWantsOnes() throws {
    let survey = try Self.survey("divide")
    #expect(survey.divisors == ["b"] && survey.dividesByInputs && survey.unknownValues == nil)
    // By way of what only moves it about.
    let moved = try Self.model(
      inputs: [("a", 7), ("b", 6)], nodes: [("Cast", ["b"], "c"), ("Squeeze", ["c"], "d"), ("Mod", ["a", "d"], "y")])
    #expect(moved.divisors == ["b"] && moved.unknownValues == nil)
  }

  @Test func aDivisorThatIsComputedIsNobodysGuess() throws {
    let survey = try Self.survey("divide_computed")
    #expect(survey.dividesByInputs && survey.unknownValues?.contains("divides integers") == true)
  }

  @Test func floatsAndConstantsMayBeDividedBy() throws {
    #expect(try Self.model(inputs: [("a", 1), ("b", 1)], nodes: [("Div", ["a", "b"], "y")]) == ONNXSurvey())
    #expect(try Self.model(inputs: [("a", 7)], constants: [("two", 2)], nodes: [("Div", ["a", "two"], "y")]) == ONNXSurvey())
    // Shapes are no values of a request's.
    #expect(try Self.model(inputs: [("a", 7)], nodes: [("Shape", ["a"], "s"), ("Div", ["s", "s"], "y")]) == ONNXSurvey())
    let zero = try Self.model(inputs: [("a", 7)], constants: [("none", 0)], nodes: [("Mod", ["a", "none"], "y")])
    #expect(zero.unknownValues?.contains("constant that may hold zeros") == true)
  }

  @Test func sizesThatComeFromValuesAreNobodysGuess() throws {
    let survey = try Self.model(inputs: [("x", 1), ("shape", 7)], nodes: [("Reshape", ["x", "shape"], "y")])
    #expect(survey.unknownValues?.contains("Reshape") == true && !survey.dividesByInputs)
    #expect(try Self.model(inputs: [("x", 1)], constants: [("n", 3)], nodes: [("Reshape", ["x", "n"], "y")]) == ONNXSurvey())
    let image = try Self.model(inputs: [("x", 1), ("a", 7), ("b", 7)], nodes: [("Col2Im", ["x", "a", "b"], "y")])
    #expect(image.dividesByInputs && image.unknownValues != nil)
  }

  @Test func branchesAreLookedInto() throws {
    let survey = try Self.model(inputs: [("flag", 9), ("a", 7), ("b", 7)], nodes: []) { graph in
      graph.message(1) { node in
        node.text(1, "flag")
        node.text(2, "y")
        node.text(4, "If")
        node.message(5) { attribute in
          attribute.text(1, "then_branch")
          attribute.message(6) { branch in
            branch.message(1) { inner in
              inner.text(1, "a")
              inner.text(1, "b")
              inner.text(2, "z")
              inner.text(4, "Div")
            }
          }
        }
      }
    }
    #expect(survey.divisors == ["b"] && survey.dividesByInputs)
  }

  @Test func defaultsAreInputsFromVersionFourOn() throws {
    #expect(try Self.survey("default").overridableInputs == ["bias"])
    let inputs: [(String, Int64)] = [("x", 7), ("n", 7)]
    #expect(try Self.model(version: 4, inputs: inputs, constants: [("n", 1)], nodes: []).overridableInputs == ["n"])
    #expect(try Self.model(version: 3, inputs: inputs, constants: [("n", 1)], nodes: []).overridableInputs.isEmpty)
    // A default that may be overridden is no constant.
    let divisor = try Self.model(inputs: inputs, constants: [("n", 1)], nodes: [("Div", ["x", "n"], "y")])
    #expect(divisor.divisors == ["n"])
  }

  @Test func filesOfWeightsAreNamedOnce() throws {
    let survey = try Self.model(inputs: [], nodes: []) { graph in
      for name in ["w", "v"] {
        graph.message(5) { tensor in
          tensor.integer(2, 1)
          tensor.text(8, name)
          tensor.integer(14, 1)
          tensor.message(13) {
            $0.text(1, "location")
            $0.text(2, "weights.bin")
          }
        }
      }
    }
    #expect(survey.externalFiles == ["weights.bin"])
  }

  @Test func damagedFilesAreErrorsAndNestedOnesEnd() throws {
    #expect(throws: ONNXError.self) { try ONNXSurvey.read(ArrayStorage([0x3A, 0xFF, 0xFF]), file: "x") }
    #expect(try ONNXSurvey.read(ArrayStorage([]), file: "x") == ONNXSurvey())
    // Graphs in graphs, a thousand deep.
    var inner: [UInt8] = []
    for _ in 0..<1000 {
      var graph = WireWriter()
      graph.message(1) { node in
        node.text(4, "If")
        node.message(5) { $0.bytes(6, inner) }
      }
      inner = graph.bytes
    }
    var model = WireWriter()
    model.bytes(7, inner)
    #expect(try ONNXSurvey.read(ArrayStorage(model.bytes), file: "x") == ONNXSurvey())
  }
}
