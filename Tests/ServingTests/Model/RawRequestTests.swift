import KServe
import ModelConfiguration
import NIOCore
import Testing
import TimeBase

@testable import Serving

/// HTTP's raw binary request names no input: name, type and shape come from the model, or it is said why they cannot.
@Suite struct RawRequestTests {
  private static func input(_ name: String = "x", _ type: TensorDataType = .float32, _ dims: [Int]) -> InputConfiguration {
    InputConfiguration(name: name, dataType: type, dims: dims)
  }

  /// The completed input, or the error's text without its tag.
  private static func complete(_ inputs: [InputConfiguration], rows: Int = 8, bytes: [UInt8], given: Int = 1) -> (
    input: InferenceRequest.Input?, rows: Int, problem: String?
  ) {
    let checker = RequestChecker(ModelConfiguration(name: "m", maxBatchSize: rows, inputs: inputs))
    let raw = InferenceRequest.Input(name: "", dataType: nil, shape: [], data: .one(ByteBuffer(bytes: bytes)), isRaw: true)
    var request = InferenceRequest(
      modelName: "m", id: "7", inputs: Array(repeating: raw, count: given), received: .zero, parsed: .zero)
    do throws(KServeError) {
      let checked = try checker.check(&request)
      return (request.inputs.first, checked.rows, nil)
    } catch {
      #expect(error.status == .invalidArgument)
      return (nil, 0, error.message.replacing("[request id: 7] ", with: ""))
    }
  }

  @Test(
    arguments: [
      ([4], 8, 16, [1, 4]), ([2, 2], 8, 16, [1, 2, 2]), ([-1], 8, 16, [1, 4]), ([2, -1], 8, 24, [1, 2, 3]), ([-1, 3], 0, 24, [2, 3]),
      ([4], 0, 16, [4]), ([-1], 8, 0, [1, 0]), ([0, -1], 8, 0, [1, 0, 0]),
    ] as [([Int], Int, Int, [Int])])
  func oneRowOfTheModelsShape(dims: [Int], rows: Int, bytes: Int, shape: [Int]) throws {
    let (input, counted, problem) = Self.complete([Self.input("x", .float32, dims)], rows: rows, bytes: Array(repeating: 1, count: bytes))
    #expect(problem == nil)
    let completed = try #require(input)
    #expect(completed.name == "x" && completed.dataType == .float32 && completed.shape == shape && !completed.isRaw)
    #expect(completed.data.byteCount == bytes)
    #expect(counted == (rows > 0 ? 1 : 0))
  }

  @Test(
    arguments: [
      ([4], 12, "Expected 16, got 12"), ([4], 17, "Expected 16, got 17"), ([4], 0, "Expected 16, got 0"),
      // Three bytes are no element; six elements are no rows of four.
      ([-1], 3, "Expected 0, got 3"), ([4, -1], 24, "Expected 16, got 24"), ([0, -1], 4, "Expected 0, got 4"),
    ] as [([Int], Int, String)])
  func bytesThatFillNoShapeAreRefused(dims: [Int], bytes: Int, words: String) {
    let problem = Self.complete([Self.input("x", .float32, dims)], bytes: Array(repeating: 1, count: bytes)).problem
    #expect(problem == "input byte size mismatch for input 'raw_input' for model 'm'. \(words)")
  }

  @Test func aShapeWithTwoOpenDimensionsCannotBeDeduced() {
    #expect(
      Self.complete([Self.input("x", .float32, [-1, -1])], bytes: [1, 2, 3, 4]).problem
        == "The shape of the raw input 'x' can not be deduced because there are more than one variable-sized dimension")
  }

  @Test(arguments: [(2, 1), (1, 2), (0, 1)]) func itIsOneInputForOneInput(declared: Int, given: Int) {
    let inputs = (0..<declared).map { Self.input("x\($0)", .float32, [1]) }
    #expect(
      Self.complete(inputs, bytes: [0, 0, 0, 0], given: given).problem
        == "Raw request must only have 1 input (found \(given)) to be deduced but got \(declared) inputs in 'm' model configuration")
  }

  /// A text is the whole body, whatever it holds.
  @Test func aTextIsTheBody() throws {
    for text in ["", "hello", "a\u{0}b"] {
      let (input, rows, problem) = Self.complete([Self.input("t", .string, [1])], bytes: Array(text.utf8))
      #expect(problem == nil && rows == 1)
      let completed = try #require(input)
      #expect(completed.shape == [1, 1] && completed.dataType == .string)
      #expect(completed.data.byteCount == 4 + text.utf8.count && completed.data.stringCount == 1)
    }
    for dims in [[2], [-1], [1, 2]] {
      #expect(
        Self.complete([Self.input("t", .string, dims)], bytes: [65]).problem
          == "For BYTE datatype raw input 't', the model must have input shape [1]")
    }
  }
}

/// What is read of texts in the protocol's packing: a length of four bytes, then as many bytes.
@Suite struct StringCountTests {
  private static func count(_ pieces: [[UInt8]]) -> Int? { TensorBytes.many(pieces.map { ByteBuffer(bytes: $0) }).stringCount }

  @Test func elementsAreCountedOverPieces() {
    let bytes: [UInt8] = [1, 0, 0, 0, 65, 0, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3]
    #expect(Self.count([bytes]) == 3)
    for cut in 0...bytes.count { #expect(Self.count([Array(bytes[..<cut]), Array(bytes[cut...])]) == 3, "cut at \(cut)") }
    #expect(Self.count([]) == 0)
  }

  @Test func whatEndsEarlyIsNone() {
    let bytes: [UInt8] = [1, 0, 0, 0, 65, 2, 0, 0, 0, 66, 67]
    for count in 1..<bytes.count where count != 5 { #expect(Self.count([Array(bytes[..<count])]) == nil, "\(count) bytes") }
    #expect(Self.count([[255, 255, 255, 255]]) == nil)
    #expect(Self.count([[255, 255, 255, 127, 0]]) == nil)
  }
}
