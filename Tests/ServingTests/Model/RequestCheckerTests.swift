import KServe
import ModelConfiguration
import NIOCore
import Testing
import TimeBase

@testable import Serving

@Suite struct RequestCheckerTests {
  private static let checker = RequestChecker(
    ModelConfiguration(
      name: "m", maxBatchSize: 8,
      inputs: [
        InputConfiguration(name: "fixed", dataType: .float32, dims: [2, 2]),
        InputConfiguration(name: "open", dataType: .int16, dims: [-1], isOptional: true),
        InputConfiguration(name: "text", dataType: .string, dims: [-1], isOptional: true),
        InputConfiguration(name: "reshaped", dataType: .uint8, dims: [-1, 4], reshape: [2, -1, 2], isOptional: true),
      ],
      outputs: [
        OutputConfiguration(name: "y", dataType: .float32, dims: [4]), OutputConfiguration(name: "z", dataType: .float32, dims: [4]),
      ]))
  private static let unbatched = RequestChecker(
    ModelConfiguration(
      name: "n",
      inputs: [
        InputConfiguration(name: "x", dataType: .float64, dims: [-1, -1]),
        InputConfiguration(name: "t", dataType: .string, dims: [-1], isOptional: true),
      ], outputs: []))

  private struct Given {
    var name: String
    var type: TensorDataType? = .float32
    var shape: [Int]
    var bytes: Int
    var text: [String]?

    var input: InferenceRequest.Input {
      var data = ByteBuffer(bytes: Array(repeating: UInt8(1), count: bytes))
      if let text {
        data.clear()
        for text in text {
          data.writeInteger(UInt32(clamping: text.utf8.count), endianness: .little)
          data.writeString(text)
        }
      }
      return InferenceRequest.Input(name: name, dataType: type, shape: shape, data: .one(data))
    }
  }

  private static func check(_ checker: RequestChecker, _ given: [Given], outputs: [String] = []) -> Result<CheckedRequest, KServeError> {
    var request = InferenceRequest(
      modelName: "m", inputs: given.map(\.input), outputs: outputs.map { InferenceRequest.Output(name: $0) }, received: .zero, parsed: .zero
    )
    do throws(KServeError) { return .success(try checker.check(&request)) } catch { return .failure(error) }
  }

  private static func refusal(_ checker: RequestChecker, _ given: [Given], outputs: [String] = []) -> String? {
    guard case .failure(let error) = check(checker, given, outputs: outputs) else { return nil }
    return error.status == .invalidArgument ? error.message : "\(error.status): \(error.message)"
  }

  private static func fixed(_ rows: Int, bytes: Int? = nil) -> Given {
    Given(name: "fixed", shape: [rows, 2, 2], bytes: bytes ?? 16 * rows)
  }

  @Test func whatFitsIsTakenWithTheModelsShapes() throws {
    let checked = try Self.check(
      Self.checker,
      [
        Given(name: "reshaped", type: .uint8, shape: [3, 5, 4], bytes: 60), Given(name: "text", type: .string, shape: [3, 0], bytes: 0),
        Self.fixed(3),
      ], outputs: ["z"]
    ).get()
    #expect(checked.rows == 3)
    #expect(checked.inputs == [2, -1, 1, 0])
    #expect(checked.shapes == [[3, 2, 2], [3], [3, 0], [3, 2, 5, 2]])
    #expect(checked.outputs.map(\.index) == [1])
    let alone = try Self.check(Self.unbatched, [Given(name: "x", type: .float64, shape: [0, 7], bytes: 0)]).get()
    #expect(alone.rows == 0 && alone.shapes == [[0, 7], []])
  }

  /// Rows that are none, whatever the type and however few bytes they claim.
  @Test(arguments: [0, -1, -8, Int.min, 9, 1 << 31, 1 << 32, (1 << 32) + 1, (1 << 33) + 3, Int.max])
  func rowsAreFromOneToTheMaximum(rows: Int) {
    for given in [
      Given(name: "fixed", shape: [rows, 2, 2], bytes: 0), Given(name: "fixed", shape: [rows, 2, 2], bytes: 16),
      Given(name: "text", type: .string, shape: [rows, 0], bytes: 0), Given(name: "open", type: .int16, shape: [rows, 0], bytes: 0),
    ] {
      let others = given.name == "fixed" ? [] : [Given(name: "fixed", shape: [rows, 2, 2], bytes: 0)]
      #expect(Self.refusal(Self.checker, others + [given]) != nil, "\(given)")
    }
    let only = RequestChecker(
      ModelConfiguration(name: "m", maxBatchSize: 8, inputs: [InputConfiguration(name: "text", dataType: .string, dims: [-1])]))
    let message = Self.refusal(only, [Given(name: "text", type: .string, shape: [rows, 0], bytes: 0)])
    let words =
      rows > 8 ? "batch-size must be <= 8 for 'm'" : rows == 0 ? "batch-size must be at least 1 for 'm'" : "contains an invalid dimension"
    #expect(message?.contains(words) == true, "\(message ?? "taken")")
  }

  @Test(arguments: [0, 15, 17, 32, 1000])
  func bytesAreWhatTheShapeTakes(bytes: Int) {
    #expect(
      Self.refusal(Self.checker, [Self.fixed(1, bytes: bytes)])
        == "[request id: <id_unknown>] input byte size mismatch for input 'fixed' for model 'm'. Expected 16, got \(bytes)")
  }

  @Test func dimensionsThatAreNoneAreNamed() {
    let tag = "[request id: <id_unknown>] "
    let cases: [([Int], String)] = [
      ([-1, 2], "All input dimensions should be specified for input 'x' for model 'n', got [-1,2]"),
      ([-2, -2], "tensor 'x' contains an invalid dimension in shape [-2,-2]"),
      ([0, -2], "tensor 'x' contains an invalid dimension in shape [0,-2]"),
      ([Int.min, 0], "tensor 'x' contains an invalid dimension in shape [\(Int.min),0]"),
      ([Int.max, 2], "byte size for tensor 'x' exceeds maximum size of \(Int.max)"),
      ([1 << 32, 1 << 32], "byte size for tensor 'x' exceeds maximum size of \(Int.max)"),
      ([1 << 61, 1], "byte size for tensor 'x' exceeds maximum size of \(Int.max)"),
      ([2], "unexpected shape for input 'x' for model 'n'. Expected [-1,-1], got [2]. "),
      ([], "unexpected shape for input 'x' for model 'n'. Expected [-1,-1], got []. "),
    ]
    for (shape, message) in cases {
      // 4 elements: what a wrapped product of some of these would take.
      for bytes in [0, 32] {
        #expect(Self.refusal(Self.unbatched, [Given(name: "x", type: .float64, shape: shape, bytes: bytes)]) == tag + message)
      }
    }
    let x = Given(name: "x", type: .float64, shape: [1, 1], bytes: 8)
    #expect(
      Self.refusal(Self.unbatched, [x, Given(name: "t", type: .string, shape: [Int.max], bytes: 0)])
        == tag + "expected \(Int.max) string elements for inference input 't' for model 'n', got 0")
    #expect(
      Self.refusal(Self.unbatched, [x, Given(name: "t", type: .string, shape: [-3], bytes: 0)])
        == tag + "tensor 't' contains an invalid dimension in shape [-3]")
  }

  @Test func stringsAreAsManyAsTheShapeSays() {
    func text(_ count: Int, _ elements: [String]) -> [Given] {
      [Self.fixed(2), Given(name: "text", type: .string, shape: [2, count], bytes: 0, text: elements)]
    }
    #expect(Self.refusal(Self.checker, text(1, ["a", "bc"])) == nil)
    #expect(Self.refusal(Self.checker, text(1, ["a"]))?.contains("expected 2 string elements for inference input 'text'") == true)
    #expect(Self.refusal(Self.checker, text(1, ["a", "b", "c"]))?.contains("unexpected number of string elements 3") == true)
    #expect(Self.refusal(Self.checker, text(0, ["a"]))?.contains("unexpected number of string elements 1") == true)
    // A length that goes beyond the end.
    #expect(
      Self.refusal(Self.checker, [Self.fixed(1), Given(name: "text", type: .string, shape: [1, 1], bytes: 7)])?
        .contains("incomplete string data") == true)
  }

  @Test func everyRequiredInputIsThereOnce() {
    let open = Given(name: "open", type: .int16, shape: [1, 1], bytes: 2)
    #expect(Self.refusal(Self.checker, [open])?.contains("missing required input(s) ['fixed']") == true)
    #expect(Self.refusal(Self.checker, [])?.contains("missing required input(s) ['fixed']") == true)
    #expect(Self.refusal(Self.checker, [Self.fixed(1), Self.fixed(1)])?.contains("input 'fixed' already exists in request") == true)
    #expect(
      Self.refusal(Self.checker, [Self.fixed(1), Given(name: "w", shape: [1], bytes: 4)])?.contains("unexpected inference input 'w'")
        == true)
    #expect(Self.refusal(Self.checker, [Self.fixed(2), open])?.contains("input 'open' batch size does not match other inputs") == true)
    #expect(Self.refusal(Self.checker, [Self.fixed(1)], outputs: ["y", "y"])?.contains("output 'y' already exists in request") == true)
    #expect(Self.refusal(Self.checker, [Self.fixed(1)], outputs: ["q"])?.contains("unexpected inference output 'q'") == true)
    #expect(
      Self.refusal(Self.checker, [Given(name: "fixed", type: nil, shape: [1, 2, 2], bytes: 16)])?.contains("data-type is '<invalid>'")
        == true)
    #expect(
      Self.refusal(Self.checker, [Given(name: "fixed", shape: [], bytes: 0)])?.contains("has no shape but model requires batch dimension")
        == true)
  }

  /// A configuration whose reshape has another size would pass its neighbour's bytes off as the request's.
  @Test func aReshapeOfAnotherSizeIsRefused() {
    let checker = RequestChecker(
      ModelConfiguration(name: "m", maxBatchSize: 4, inputs: [InputConfiguration(name: "x", dataType: .float32, dims: [2], reshape: [4])]))
    #expect(
      Self.refusal(checker, [Given(name: "x", shape: [1, 2], bytes: 8)])
        == "[request id: <id_unknown>] input 'x' for model 'm' has shape [1,2], which cannot be reshaped to [4]")
  }
}
