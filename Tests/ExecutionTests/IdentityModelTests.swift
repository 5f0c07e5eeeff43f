import Execution
import ModelConfiguration
import Testing

@Suite struct IdentityModelTests {
  private static func model(_ inputs: [(String, TensorDataType, [Int])], _ outputs: [(String, TensorDataType, [Int])]) throws
    -> IdentityModel
  {
    func tensors(_ list: [(String, TensorDataType, [Int])]) -> [ModelSignature.Tensor] {
      list.map { ModelSignature.Tensor(name: $0.0, dataType: $0.1, dims: $0.2) }
    }
    return try IdentityModel(signature: ModelSignature(inputs: tensors(inputs), outputs: tensors(outputs)), hasRowDimension: true)
  }

  private static func outputs(_ model: IdentityModel, _ shapes: [[Int]], omitting omitted: [Int] = [], _ bytes: [[UInt8]]) throws -> [(
    shape: [Int], bytes: [UInt8]
  )] {
    let instance = try model.makeInstance()
    let slot = try instance.prepare(shapes, omitting: omitted)
    for (index, bytes) in bytes.enumerated() where !omitted.contains(index) { slot.inputs[index].memory.copyBytes(from: bytes) }
    instance.run(slot, events: nil) { _ in }
    return slot.outputs.map { ($0.shape, Array($0.memory)) }
  }

  /// Names as the reference server's backend demands them pair by number, others by place.
  @Test func outputsBelongToTheInputsOfTheirNumber() throws {
    let numbered = try Self.model(
      [("INPUT0", .uint8, [1]), ("INPUT1", .uint8, [2])], [("OUTPUT1", .uint8, [2]), ("OUTPUT0", .uint8, [1])])
    let outputs = try Self.outputs(numbered, [[1, 1], [1, 2]], [[7], [8, 9]])
    #expect(outputs.map(\.bytes) == [[8, 9], [7]])
    let named = try Self.model([("a", .uint8, [1]), ("b", .uint8, [1])], [("c", .uint8, [1]), ("d", .uint8, [1])])
    #expect(try Self.outputs(named, [[1, 1], [1, 1]], [[7], [8]]).map(\.bytes) == [[7], [8]])
  }

  @Test func whatIsLeftOutComesBackAsZeros() throws {
    let model = try Self.model(
      [("a", .uint8, [1]), ("b", .int16, [-1, 2]), ("c", .string, [3])], [("d", .uint8, [1]), ("e", .int16, [-1, 2]), ("f", .string, [3])])
    #expect(model.omissibleInputs == [0, 1, 2])
    let outputs = try Self.outputs(model, [[2, 1], [2], [2]], omitting: [1, 2], [[7, 8]])
    #expect(outputs.map(\.shape) == [[2, 1], [2, 1, 2], [2, 3]])
    #expect(outputs.map(\.bytes) == [[7, 8], Array(repeating: 0, count: 8), Array(repeating: 0, count: 24)])
    // And after a batch that had them.
    let instance = try model.makeInstance()
    let full = try instance.prepare([[1, 1], [1, 2, 2], [1, 3]])
    full.inputs[1].memory.initializeMemory(as: UInt8.self, repeating: 9)
    #expect(try Array(instance.prepare([[1, 1], [1], [1]], omitting: [1, 2]).inputs[1].memory) == [0, 0, 0, 0])
  }

  @Test func inputsAndOutputsOfOtherShapesAreRefused() throws {
    let error = #expect(throws: DeviceError.self) { try Self.model([("x", .float32, [16])], [("y", .float32, [8])]) }
    #expect(error?.description == "expected input and output shape to match, got [16] of \"x\" and [8] of \"y\"")
    #expect(throws: DeviceError.self) { try Self.model([("x", .float32, [-1])], [("y", .float32, [8])]) }
    #expect(throws: DeviceError.self) { try Self.model([("x", .float32, [8])], [("y", .int32, [8])]) }
    #expect(throws: DeviceError.self) { try Self.model([("x", .float32, [8])], []) }
  }
}
