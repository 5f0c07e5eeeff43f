import ModelGraph
import Testing

@testable import ONNXFormat

/// Reading for a plan: every operator is counted that can be, and what cannot is kept and named.
@Suite struct PlanReadingTests {
  static func costed(_ graph: Graph, _ name: String) throws -> CostedOperator {
    let node = try #require(graph.nodes.first { $0.name == name }, "no node \(name)")
    guard case .costed(let costed) = node.operation else { throw GraphError(node: name, reason: "is \(node.operation.name)") }
    return costed
  }

  static func shape(_ graph: Graph, _ name: String) -> Shape? { graph.values.first { $0.name == name }?.shape }

  struct ConvolutionCase: Sendable {
    var x: [Int64]
    var w: [Int]
    var attributes: [(String, SampleFile.Attribute)] = []
    var result: [Int]
    /// batch, n, k.
    var product: [Int]
  }

  static let convolutions: [ConvolutionCase] = [
    // torchvision's ResNet-50: its first layer, a 3x3 and a 1x1 with stride.
    .init(
      x: [3, 224, 224], w: [64, 3, 7, 7], attributes: [("pads", .integers([3, 3, 3, 3])), ("strides", .integers([2, 2]))],
      result: [64, 112, 112], product: [1, 64, 147]),
    .init(
      x: [64, 56, 56], w: [64, 64, 3, 3], attributes: [("pads", .integers([1, 1, 1, 1]))], result: [64, 56, 56], product: [1, 64, 576]),
    .init(
      x: [256, 56, 56], w: [512, 256, 1, 1], attributes: [("strides", .integers([2, 2]))], result: [512, 28, 28], product: [1, 512, 256]),
    .init(x: [8, 10], w: [4, 8, 3], attributes: [("dilations", .integers([2]))], result: [4, 6], product: [1, 4, 24]),
    .init(x: [2, 5, 6, 7], w: [3, 2, 2, 2, 2], result: [3, 4, 5, 6], product: [1, 3, 16]),
    .init(
      x: [8, 9, 9], w: [12, 2, 3, 3],
      attributes: [("group", .integer(4)), ("auto_pad", .text("SAME_UPPER")), ("strides", .integers([2, 2]))],
      result: [12, 5, 5], product: [4, 3, 18]),
    .init(x: [8, 9, 9], w: [12, 8, 3, 3], attributes: [("auto_pad", .text("VALID"))], result: [12, 7, 7], product: [1, 12, 72]),
  ]

  /// m = rows * outputs, n = features / groups, k = channels / groups * taps (an implicit matrix product).
  @Test(arguments: convolutions) func convolutionsAreProducts(sample: ConvolutionCase) throws {
    var file = SampleFile()
    file.input("x", ["N"] + sample.x.map { .known($0) })
    file.weight("w", sample.w)
    file.node("Conv", ["x", "w"], ["y"], sample.attributes)
    file.output("y")
    let graph = try file.read()
    #expect(Self.shape(graph, "y") == [.rows] + sample.result.map { .fixed($0) })
    guard case .product(let batch, let m, let n, let k, let source, let repetitions) = try Self.costed(graph, "y").work.first else {
      Issue.record("no product")
      return
    }
    #expect([batch, n, k].map { CostedNode.fixedProduct($0) } == sample.product)
    #expect(m == [.rows] + sample.result.dropFirst().map { .fixed($0) })
    #expect(source == [.rows] + sample.x.map { .fixed(Int($0)) } && repetitions.isEmpty)
  }

  @Test func aFilterForEachChannelIsTraffic() throws {
    var file = SampleFile()
    file.input("x", ["N", 32, 10, 10])
    file.weight("w", [32, 1, 3, 3])
    file.node("Conv", ["x", "w"], ["y"], [("group", .integer(32)), ("pads", .integers([1, 1, 1, 1]))])
    file.output("y")
    let graph = try file.read()
    #expect(try Self.costed(graph, "y").work == [.traffic(operations: 18, elements: [.rows, .fixed(32), .fixed(10), .fixed(10)])])
  }

  @Test func transposedConvolutionsGrow() throws {
    var file = SampleFile()
    file.input("x", ["N", 16, 8, 8])
    file.weight("w", [16, 4, 3, 3])
    file.node(
      "ConvTranspose", ["x", "w"], ["y"],
      [("strides", .integers([2, 2])), ("pads", .integers([1, 1, 1, 1])), ("output_padding", .integers([1, 1]))])
    file.output("y")
    #expect(Self.shape(try file.read(), "y") == [.rows, .fixed(4), .fixed(16), .fixed(16)])
  }

  @Test func normalizationAndActivationGoIntoTheConvolution() throws {
    var file = SampleFile()
    file.input("x", ["N", 3, 8, 8])
    file.weight("w", [4, 3, 3, 3])
    for name in ["scale", "bias", "mean", "variance"] { file.weight(name, [4]) }
    file.node("Conv", ["x", "w"], ["c"])
    file.node("BatchNormalization", ["c", "scale", "bias", "mean", "variance"], ["b"])
    file.node("Clip", ["b", "", ""], ["y"])
    file.node("Relu", ["y"], ["z"])
    file.output("y")
    file.output("z")
    let graph = try file.read().rewritten(by: Rewrites.standard)
    #expect(graph.nodes.map(\.name) == ["c+b+y", "z"], "an output is written before anything goes on from it")
    #expect(try Self.costed(graph, "c+b+y").fused == ["batchnormalization", "clip"])
    #expect(graph.outputs.map { graph[$0].name } == ["y", "z"])
  }

  /// Kernels of this package must not be promised for what is only counted.
  @Test(arguments: ["Conv", "LSTM", "MaxPool", "Resize"]) func toRunTheyAreRefused(type: String) throws {
    var file = SampleFile()
    file.input("x", ["N", 3, 8, 8])
    file.node(type, ["x", "x", "x"], ["y"])
    file.output("y", ["N", 3, 8, 8])
    let error = try #require(throws: ONNXError.self) { try file.read(for: .run) }
    #expect(error.reason.contains("operator \(type) is not supported"))
  }

  @Test func recurrencesAreAProductAndOneForEachStep() throws {
    var file = SampleFile()
    file.input("x", [7, "N", 10])
    file.weight("w", [2, 80, 10])
    file.weight("r", [2, 80, 20])
    file.node("LSTM", ["x", "w", "r"], ["y", "h", "c"], [("hidden_size", .integer(20)), ("direction", .text("bidirectional"))])
    for name in ["y", "h", "c"] { file.output(name) }
    #expect(throws: ONNXError.self, "the second axis is dynamic") { try file.read() }
    let graph = try file.read(for: .plan, ["N": 3])
    #expect(Self.shape(graph, "y") == [7, 2, 3, 20].map { .fixed($0) })
    #expect(
      try Self.costed(graph, "y").work == [
        .product(
          batch: [.fixed(2)], m: [.fixed(7), .fixed(3)], n: [.fixed(80)], k: [.fixed(10)], source: nil, repetitions: []),
        .product(batch: [], m: [.fixed(3)], n: [.fixed(80)], k: [.fixed(20)], source: nil, repetitions: [.fixed(7), .fixed(2)]),
      ])
  }

  @Test func unknownOperatorsAreKeptWithWhatTheFileSaysOfThem() throws {
    var file = SampleFile()
    file.input("x", ["N", 8])
    file.node("Mystery", ["x"], ["m"], domain: "com.example")
    file.node("Relu", ["m"], ["y"])
    file.node("Riddle", ["x"], ["r"])
    file.node("Relu", ["r"], ["z"])
    file.declare("m", ["N", 4])
    file.output("y")
    file.output("z")
    let graph = try file.read()
    let mystery = try Self.costed(graph, "m")
    #expect(mystery.type == "com.example.Mystery" && mystery.unplanned?.contains("no rule") == true)
    #expect(Self.shape(graph, "y") == [.rows, .fixed(4)])
    let riddle = try Self.costed(graph, "r")
    #expect(riddle.results.isEmpty && riddle.unplanned != nil)
    #expect(graph.outputs.map { graph[$0].name } == ["y"])
    #expect(graph.notes.contains { $0.contains("output \"z\"") })
    // It is there after every rewrite: it is work.
    let rewritten = try graph.rewritten(by: Rewrites.standard + Rewrites.onRequest)
    #expect(rewritten.nodes.contains { $0.name == "r" })
  }

  /// PyTorch writes an upsampling by a factor as arithmetic on the shape.
  @Test func sizesWorkedOutInFloatingPointAreFollowed() throws {
    var file = SampleFile(opset: 11)
    file.input("x", ["N", 3, 8, 6])
    file.weight("factor", [], [2.5])
    file.weight("none", [0], [])
    file.integers("two", [2], scalar: true)
    file.integers("three", [3], scalar: true)
    file.integers("zero", [0])
    file.integers("one", [1])
    file.integers("both", [2])
    file.node("Shape", ["x"], ["s"])
    for (index, name) in [("two", "h"), ("three", "w")] {
      file.node("Gather", ["s", index], [name])
      file.node("Cast", [name], [name + "f"], [("to", .integer(1))])
      file.node("Mul", [name + "f", "factor"], [name + "m"])
      file.node("Floor", [name + "m"], [name + "r"])
      file.node("Cast", [name + "r"], [name + "i"], [("to", .integer(7))])
      file.node("Unsqueeze", [name + "i"], [name + "u"], [("axes", .integers([0]))])
    }
    file.node("Slice", ["s", "zero", "both", "zero"], ["head"])
    file.node("Concat", ["head", "hu", "wu"], ["sizes"], [("axis", .integer(0))])
    file.node("Resize", ["x", "none", "none", "sizes"], ["y"], [("mode", .text("linear"))])
    file.output("y")
    #expect(Self.shape(try file.read(), "y") == [.rows, .fixed(3), .fixed(20), .fixed(15)])
  }

  /// Operators whose attributes became inputs later.
  @Test func earlyOpsetsAreRead() throws {
    var file = SampleFile(opset: 7)
    file.input("x", ["N", 3, 8, 6])
    file.node("Clip", ["x"], ["c"], [("min", .float(0)), ("max", .float(6))])
    file.node("Slice", ["c"], ["s"], [("starts", .integers([0])), ("ends", .integers([4])), ("axes", .integers([2]))])
    file.node("Upsample", ["s"], ["u"], [("scales", .floats([1, 1, 2, 3]))])
    file.node("Pad", ["u"], ["p"], [("pads", .integers([0, 0, 1, 1, 0, 0, 1, 1]))])
    file.node("ReduceSum", ["p"], ["r"], [("axes", .integers([2])), ("keepdims", .integer(0))])
    file.node("Softmax", ["r"], ["y"])
    file.output("y")
    let graph = try file.read()
    #expect(Self.shape(graph, "u") == [.rows, .fixed(3), .fixed(8), .fixed(18)])
    #expect(Self.shape(graph, "y") == [.rows, .fixed(3), .fixed(20)])
    #expect(!graph.nodes.contains { if case .costed(let costed) = $0.operation { costed.unplanned != nil } else { false } })
  }

  @Test func aBranchWhoseConditionIsKnownIsTaken() throws {
    func branch(_ type: String) -> SampleFile.Attribute {
      var body = SampleFile()
      body.node(type, ["x"], [type])
      body.output(type)
      return .graph(body.graph)
    }
    var file = SampleFile()
    file.input("x", ["N", 8])
    file.integers("one", [1], scalar: true)
    file.node("Shape", ["x"], ["s"])
    file.node("Gather", ["s", "one"], ["width"])
    file.node("Greater", ["width", "one"], ["wide"])
    file.node("If", ["wide"], ["y"], [("then_branch", branch("Relu")), ("else_branch", branch("Tanh"))])
    file.output("y")
    #expect(try file.read().nodes.map(\.operation) == [.unary(.relu)])
  }

  @Test func bodiesThatAreNotFollowedAreListed() throws {
    var body = SampleFile()
    body.node("Mul", ["x", "x"], ["a"])
    body.output("a")
    var file = SampleFile()
    file.input("x", ["N", 8])
    file.node("Loop", ["", "", "x"], ["y"], [("body", .graph(body.graph))])
    file.output("y", ["N", 8])
    let reason = try #require(try Self.costed(try file.read(), "y").unplanned)
    #expect(reason.contains("its body has 1 operators: Mul"), "\(reason)")
  }

  @Test func messagesSayWhatToDo() throws {
    func reason(for purpose: ONNXReader.Options.Purpose, _ fill: (inout SampleFile) -> Void) -> String {
      var file = SampleFile()
      fill(&file)
      do {
        _ = try file.read(for: purpose)
        return "accepted"
      } catch { return "\(error)" }
    }
    for size in [SampleFile.Size.known(-1), .open] {
      let text = reason(for: .plan) {
        $0.input("ids", ["N", size])
        $0.output("ids")
      }
      #expect(text.contains("axis 1 is dynamic") && text.contains("--dimension ids:1=SIZE"), "\(text)")
    }
    let mask = reason(for: .run) {
      $0.input("x", ["N", 4])
      $0.node("Dropout", ["x"], ["y", "mask"])
      $0.output("y")
      $0.output("mask")
    }
    #expect(mask.contains("mask is not supported") && !mask.contains("cycle"), "\(mask)")
    for (type, name) in [(Int64(2), "uint8"), (3, "int8"), (8, "string"), (17, "float8e4m3fn")] {
      let text = reason(for: .run) {
        $0.input("x", ["N", 4], type: type)
        $0.output("x")
      }
      #expect(text.contains("element type \(name) is not supported"), "\(text)")
    }
  }

  /// There are rules for these: what is missing is the values of an input.
  @Test func aSizeThatComesWithARequestIsNamed() throws {
    var file = SampleFile()
    file.input("x", ["N", 4])
    file.input("p", [4], type: 7)
    file.node("Pad", ["x", "p"], ["y"])
    file.output("y")
    let reason = try #require(try Self.costed(file.read(), "y").unplanned)
    #expect(reason == "the shapes of its results are not known: input 1 (\"p\") must be constant or follow from shapes")
    #expect(ONNXReader.hasRule(for: "Pad") && ONNXReader.hasRule(for: "MatMul") && !ONNXReader.hasRule(for: "com.acme.FancyOp"))
  }

  /// What fills the places says nothing of how many there are.
  @Test func aFillThatComesWithARequestLeavesTheShapeKnown() throws {
    var file = SampleFile()
    file.input("x", ["N", 4])
    file.input("fill", [])
    file.integers("p", [0, 1, 0, 2])
    file.node("Pad", ["x", "p", "fill"], ["y"])
    file.output("y")
    let graph = try file.read()
    #expect(Self.shape(graph, "y") == [.rows, .fixed(7)])
    #expect(try Self.costed(graph, "y").unplanned == nil)
  }

  /// The first axis is the batch; a file that puts time first is planned with a note.
  @Test func anAxisCalledBatchBehindTheFirstIsNamed() throws {
    var file = SampleFile()
    file.input("x", ["seq", "batch", 64])
    file.node("Relu", ["x"], ["y"])
    file.output("y")
    let made = file
    let error = #expect(throws: ONNXError.self) { try made.read() }
    let reason = error?.reason ?? ""
    #expect(reason.contains("only the first (\"seq\"), which is taken for the batch, may be."), "\(reason)")
    #expect(reason.hasSuffix("; if \"batch\" is the batch, export the model batch-major"), "\(reason)")
    let notes = try file.read(for: .plan, ["batch": 16]).notes
    #expect(notes.contains { $0.contains("the first axis (\"seq\") is taken for the batch, not axis 1 (\"batch\")") }, "\(notes)")
  }

  @Test func sizesByInputAndAxisAreTaken() throws {
    var file = SampleFile()
    file.input("x", ["N", -1, .open])
    file.node("Relu", ["x"], ["y"])
    file.output("y")
    for purpose in [ONNXReader.Options.Purpose.run, .plan] {
      #expect(Self.shape(try file.read(for: purpose, ["x:1": 5, "x:2": 6]), "y") == [.rows, .fixed(5), .fixed(6)])
      #expect(Self.shape(try file.read(for: purpose, ["x:0": 4, "x:1": 5, "x:2": 6]), "y") == [.fixed(4), .fixed(5), .fixed(6)])
    }
  }

  /// Attention over the batch has rows squared elements; they reshape like any other.
  @Test func rowsSquaredReshape() throws {
    var file = SampleFile()
    file.input("x", ["N", 64])
    file.node("Transpose", ["x"], ["t"])
    file.node("MatMul", ["x", "t"], ["scores"])
    file.node("Reshape", ["scores", "again"], ["y"])
    file.integers("again", [0, -1])
    file.output("y")
    #expect(Self.shape(try file.read(for: .run), "y") == [.rows, .rows])
  }

  @Test func harmfulFilesEndInAnErrorOrAGraph() throws {
    var body = SampleFile()
    body.node("Relu", ["x"], ["a"])
    body.output("a")
    var file = SampleFile()
    file.input("x", ["N", 3, 8, 8])
    file.weight("w", [4, 3, 3, 3])
    file.integers("one", [1], scalar: true)
    file.node("Conv", ["x", "w"], ["c"], [("pads", .integers([1, 1, 1, 1])), ("strides", .integers([2, 2]))])
    file.node("MaxPool", ["c"], ["p"], [("kernel_shape", .integers([2, 2])), ("ceil_mode", .integer(1))])
    file.node("If", ["one"], ["i"], [("then_branch", .graph(body.graph)), ("else_branch", .graph(body.graph))])
    file.node("Einsum", ["p", "p"], ["e"], [("equation", .text("nchw,nchv->nwv"))])
    file.output("e")
    file.output("i")
    let bytes = file.bytes
    func attempt(_ bytes: [UInt8]) {
      _ = try? ONNXReader.read(ArrayStorage(bytes), file: "m", options: ONNXReader.Options(purpose: .plan)).rewritten(by: Rewrites.standard)
    }
    _ = try file.read()
    for length in 0..<bytes.count { attempt(Array(bytes[0..<length])) }
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << bit
        attempt(changed)
      }
    }
  }
}
