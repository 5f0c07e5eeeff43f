import Execution
import ModelConfiguration
import Synchronization
import Testing
import TimeBase

/// Whatever a device does, a server never reads what a batch did not write nor gives out what its outputs do not hold.
@Suite struct CheckedInstanceTests {
  /// A device of one's own making: memory that holds an earlier batch's bytes, outputs as they are told.
  private final class Model: LoadedModel, ModelInstance, @unchecked Sendable {
    let signature: ModelSignature
    let hasRowDimension = true
    let weightBytes = 0
    let omissibleInputs: Set<Int>
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    /// Of each input; nil: as its shape says.
    var preparedBytes: Int?
    var outputs: [(shape: [Int], bytes: Int)] = []
    private(set) var prepared: [[Int]] = []
    private(set) var omitted: [Int] = []
    private(set) var runs = 0
    private var slot = BatchSlot()

    init(inputs: [(String, TensorDataType)], outputs: [(String, TensorDataType)] = [("y", .float32)], omissible: Set<Int> = []) {
      func tensors(_ list: [(String, TensorDataType)]) -> [ModelSignature.Tensor] {
        list.map { ModelSignature.Tensor(name: $0.0, dataType: $0.1, dims: [-1]) }
      }
      signature = ModelSignature(inputs: tensors(inputs), outputs: tensors(outputs))
      omissibleInputs = omissible
      memory.initializeMemory(as: UInt8.self, repeating: 0xAB)
    }

    deinit { memory.deallocate() }

    func steps(rows: Int) -> [DeviceStep] { [] }
    func makeInstance() throws(DeviceError) -> any ModelInstance { self }
    func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot { try prepare(shapes, omitting: []) }

    func prepare(_ shapes: [[Int]], omitting omitted: [Int]) throws(DeviceError) -> BatchSlot {
      (prepared, self.omitted) = (shapes, omitted)
      slot.inputs = zip(shapes, signature.inputs).enumerated().map { index, pair in
        let bytes = preparedBytes ?? pair.0.reduce(1) { $0 &* $1 } &* (pair.1.dataType == .string ? 0 : 4)
        return BatchSlot.Tensor(
          shape: pair.0, memory: UnsafeMutableRawBufferPointer(rebasing: memory[index * 1024..<index * 1024 + min(1024, max(0, bytes))]))
      }
      return slot
    }

    func reserve(_ slot: BatchSlot, input: Int, byteCount: Int) throws(DeviceError) {
      slot.inputs[input].memory = UnsafeMutableRawBufferPointer(rebasing: memory[input * 1024..<input * 1024 + byteCount])
    }

    func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
      runs += 1
      slot.outputs = outputs.map {
        BatchSlot.Tensor(shape: $0.shape, memory: UnsafeMutableRawBufferPointer(rebasing: memory[0..<$0.bytes]))
      }
      completion(.success(BatchTimes(inputsReady: .zero, computeEnd: .zero, outputsReady: .zero)))
    }

    func close() {}
  }

  private static func checked(_ model: Model, _ inputs: [InputConfiguration], outputs: [OutputConfiguration]? = nil, rows: Int = 8) throws
    -> CheckedInstance
  {
    let configuration = ModelConfiguration(
      name: "m", maxBatchSize: rows, inputs: inputs,
      outputs: outputs ?? model.signature.outputs.map { OutputConfiguration(name: $0.name, dataType: $0.dataType, dims: [-1]) })
    return CheckedInstance(model, try BatchLayout(configuration, model))
  }

  private static func float(_ name: String, isOptional: Bool = false) -> InputConfiguration {
    InputConfiguration(name: name, dataType: .float32, dims: [-1], isOptional: isOptional)
  }

  /// nil: it ran.
  private static func run(_ instance: CheckedInstance) -> DeviceError? {
    let failure = Mutex<DeviceError?>(nil)
    instance.run(events: nil) { if case .failure(let error) = $0 { failure.withLock { $0 = error } } }
    return failure.withLock { $0 }
  }

  private static func fill(_ byte: UInt8) -> (UnsafeMutableRawBufferPointer) -> Bool {
    {
      $0.initializeMemory(as: UInt8.self, repeating: byte)
      return true
    }
  }

  @Test(arguments: [0, 4, 12, 20, 1 << 40])
  func bytesThatDoNotFitTheirRowsBecomeZeros(byteCount: Int) throws {
    let model = Model(inputs: [("x", .float32)])
    let instance = try Self.checked(model, [Self.float("x")])
    try instance.begin([[3, 2]], rows: 3)
    #expect(try instance.write(0, rows: 1, byteCount: 8, Self.fill(1)) == .whole)
    #expect(try instance.write(0, rows: 1, byteCount: byteCount, Self.fill(2)) == .wrongSize(expected: 8))
    #expect(try instance.write(0, rows: 1, byteCount: 8) { _ in false } == .failed)
    #expect(Array(model.memory[0..<25]) == Array(repeating: 1, count: 8) + Array(repeating: 0, count: 16) + [0xAB])
    model.outputs = [([3, 1], 12)]
    #expect(Self.run(instance) == nil)
  }

  @Test func aBatchRunsOnlyWhenAllOfItIsWritten() throws {
    let model = Model(inputs: [("x", .float32)])
    let instance = try Self.checked(model, [Self.float("x")])
    try instance.begin([[3, 2]], rows: 3)
    #expect(try instance.write(0, rows: 2, byteCount: 16, Self.fill(1)) == .whole)
    #expect(Self.run(instance)?.description == "of the 24 bytes of input 'x' only 16 are written")
    #expect(model.runs == 0)
    #expect(throws: DeviceError.self) { try instance.write(0, rows: 2, byteCount: 16, Self.fill(1)) }
    #expect(throws: DeviceError.self) { try instance.write(0, rows: 0, byteCount: 0, Self.fill(1)) }
    #expect(throws: DeviceError.self) { try instance.write(0, rows: -1, byteCount: -8, Self.fill(1)) }
  }

  @Test(arguments: [[[2, -1]], [[2, Int.max, Int.max]], [[2, Int.max / 2]], [[3, 1]], [[]], [], [[2, 1], [2, 1]]])
  func shapesThatNoTensorHasAreRefused(shapes: [[Int]]) throws {
    let instance = try Self.checked(Model(inputs: [("x", .float32)]), [Self.float("x")])
    #expect(throws: DeviceError.self) { try instance.begin(shapes, rows: 2) }
  }

  @Test(arguments: [0, 15, 17, 32])
  func aDeviceThatPreparesOtherMemoryIsRefused(bytes: Int) throws {
    let model = Model(inputs: [("x", .float32)])
    model.preparedBytes = bytes
    let instance = try Self.checked(model, [Self.float("x")])
    let error = #expect(throws: DeviceError.self) { try instance.begin([[2, 2]], rows: 2) }
    #expect(error?.description == "the device prepared \(bytes) bytes for input 'x' of shape [2, 2]")
  }

  @Test(arguments: [
    ([2, 3], 20), ([2, 3], 28), ([2, 3], 0), ([1, 3], 12), ([3, 2], 24), ([], 4), ([2, -1], 8), ([2, Int.max, 3], 24), ([2], 4),
  ])
  func outputsAreNoMoreAndNoLessThanTheirShapes(shape: [Int], bytes: Int) throws {
    let model = Model(inputs: [("x", .float32)])
    model.outputs = [(shape, bytes)]
    let instance = try Self.checked(model, [Self.float("x")])
    try instance.begin([[2, 1]], rows: 2)
    _ = try instance.write(0, rows: 2, byteCount: 8, Self.fill(1))
    #expect(Self.run(instance) == nil)
    let error = #expect(throws: DeviceError.self) { try instance.checkOutputs() }
    #expect(error?.kind == .batchFailed && error?.description.contains("output 'y'") == true)
    #expect(throws: DeviceError.self) { try instance.outputBytes(0, rows: 0..<1) }
  }

  @Test func everyRowHasItsOwnBytes() throws {
    let model = Model(inputs: [("x", .float32)])
    model.outputs = [([3, 2], 24)]
    let instance = try Self.checked(model, [Self.float("x")])
    try instance.begin([[3, 2]], rows: 3)
    for byte in 1...3 { _ = try instance.write(0, rows: 1, byteCount: 8, Self.fill(UInt8(clamping: byte))) }
    #expect(throws: DeviceError.self, "before the outputs were checked") { try instance.outputBytes(0, rows: 0..<1) }
    #expect(Self.run(instance) == nil)
    try instance.checkOutputs()
    #expect(Array(try instance.outputBytes(0, rows: 1..<3)) == Array(repeating: 2, count: 8) + Array(repeating: 3, count: 8))
    #expect(throws: DeviceError.self) { try instance.outputBytes(0, rows: 2..<4) }
    #expect(throws: DeviceError.self) { try instance.outputBytes(0, rows: -1..<1) }
  }

  @Test func fewerOutputsThanTheModelHasAreRefused() throws {
    let model = Model(inputs: [("x", .float32)])
    let instance = try Self.checked(model, [Self.float("x")])
    try instance.begin([[1, 1]], rows: 1)
    _ = try instance.write(0, rows: 1, byteCount: 4, Self.fill(1))
    #expect(Self.run(instance) == nil)
    #expect(throws: DeviceError.self) { try instance.checkOutputs() }
  }

  private static func packed(_ texts: [String]) -> [UInt8] {
    texts.flatMap { text in withUnsafeBytes(of: UInt32(clamping: text.utf8.count).littleEndian) { Array($0) } + Array(text.utf8) }
  }

  @Test func stringsAreCountedInEveryPart() throws {
    let model = Model(inputs: [("x", .string)], outputs: [("y", .string)])
    let instance = try Self.checked(model, [InputConfiguration(name: "x", dataType: .string, dims: [-1])])
    #expect(instance.isString(0))
    let (good, short) = (Self.packed(["ab", ""]), Self.packed(["abcdefgh"]))
    try instance.begin([[3, 2]], rows: 3)
    try instance.reserve(0, byteCount: 2 * good.count + short.count)
    func write(_ bytes: [UInt8]) throws -> CheckedInstance.Written {
      try instance.write(0, rows: 1, byteCount: bytes.count) {
        $0.copyBytes(from: bytes)
        return true
      }
    }
    #expect(try write(good) == .whole)
    // One string where two belong: two without a meaning take its place.
    #expect(try write(short) == .failed)
    #expect(try write(good) == .whole)
    model.outputs = [([3, 2], 2 * good.count + short.count)]
    #expect(Self.run(instance) == nil)
    try instance.checkOutputs()
    #expect(Array(try instance.outputBytes(0, rows: 0..<1)) == good)
    #expect(Array(try instance.outputBytes(0, rows: 1..<2)) == [4, 0, 0, 0] + Array(repeating: 0, count: 8))
    #expect(Array(try instance.outputBytes(0, rows: 2..<3)) == good)
    for wrong in [2 * good.count + short.count - 1, good.count] {
      model.outputs = [([3, 2], wrong)]
      #expect(Self.run(instance) == nil)
      #expect(throws: DeviceError.self) { try instance.checkOutputs() }
    }
  }

  @Test func aConfigurationMayListTensorsInAnotherOrder() throws {
    let model = Model(inputs: [("a", .float32), ("b", .float32)], outputs: [("y", .float32), ("z", .float32)])
    let instance = try Self.checked(
      model, [Self.float("b"), Self.float("a")], outputs: [OutputConfiguration(name: "z", dataType: .float32, dims: [-1])])
    try instance.begin([[1, 3], [1, 2]], rows: 1)
    #expect(model.prepared == [[1, 2], [1, 3]])
    #expect(try instance.write(0, rows: 1, byteCount: 12, Self.fill(3)) == .whole)
    #expect(try instance.write(1, rows: 1, byteCount: 8, Self.fill(2)) == .whole)
    #expect(model.memory[0] == 2 && model.memory[1024] == 3, "b is the device's second input")
    model.outputs = [([1, 1], 4), ([1, 2], 8)]
    #expect(Self.run(instance) == nil)
    try instance.checkOutputs()
    #expect(instance.outputShape(0) == [1, 2])
  }

  @Test func inputsMayBeLeftOutWhereTheModelCanDoWithout() throws {
    let model = Model(inputs: [("a", .float32), ("b", .float32)], omissible: [1])
    let instance = try Self.checked(model, [Self.float("a"), Self.float("b", isOptional: true)])
    try instance.begin([[2, 1], [2]], rows: 2, omitting: [1])
    #expect(model.omitted == [1])
    _ = try instance.write(0, rows: 2, byteCount: 8, Self.fill(1))
    #expect(throws: DeviceError.self) { try instance.write(1, rows: 2, byteCount: 8, Self.fill(1)) }
    #expect(Self.run(instance) == nil)
    let error = #expect(throws: DeviceError.self) { try Self.checked(model, [Self.float("a", isOptional: true), Self.float("b")]) }
    #expect(
      error?.description == "'optional' is set to true for input 'a' while the backend model doesn't support optional input")
  }

  @Test func whatTheModelHasNotIsRefusedAtLoad() throws {
    let model = Model(inputs: [("a", .float32), ("b", .float32)])
    for (inputs, words) in [
      ([Self.float("a")], "lacks input 'b'"), ([Self.float("a"), Self.float("c")], "has no input 'c'"),
      ([Self.float("a"), InputConfiguration(name: "b", dataType: .int32, dims: [-1])], "'b' is TYPE_FP32 in the model, not TYPE_INT32"),
      ([Self.float("a"), InputConfiguration(name: "b", dataType: .float32, dims: [-1], isShapeTensor: true)], "shape tensors"),
      ([Self.float("a"), Self.float("a")], "the same name"),
    ] {
      let error = #expect(throws: DeviceError.self) { try Self.checked(model, inputs) }
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
  }
}
