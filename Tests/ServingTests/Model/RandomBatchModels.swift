import Execution
import KServe
import ModelConfiguration
import ModelGraph
import NIOCore
import Testing
import TimeBase

@testable import Serving

private typealias Weights = ModelGraph.Tensor

/// A model of the random-batch test: how a request of it looks, and what must come back.
struct RandomBatchModel: Sendable {
  /// One request with the right answer to it.
  struct Attempt: Sendable {
    var request: InferenceRequest
    /// nil: it has to be refused.
    var expected: [Output]?
  }

  struct Output: Sendable, Hashable {
    var name: String
    var type: TensorDataType
    var shape: [Int]
    var bytes: [UInt8]
  }

  let served: ServedModel
  /// A request whose shapes and inputs follow from the first generator, everything else from the second.
  let make: @Sendable (inout SplitMix64, inout SplitMix64) -> Attempt

  /// One tensor that a request brings.
  struct Tensor {
    var name: String
    var type: TensorDataType
    var shape: [Int]
    var bytes: [UInt8]

    /// Bytes that no other tensor has.
    init(_ name: String, _ type: TensorDataType, _ shape: [Int], _ random: inout SplitMix64) {
      (self.name, self.type, self.shape) = (name, type, shape)
      let count = shape.reduce(1, *)
      bytes = []
      if let size = type.bytesPerElement {
        bytes.reserveCapacity(count * size)
        // A large one is told apart by its first and its other bytes.
        let filling = UInt8(truncatingIfNeeded: random.next())
        for index in 0..<count * size { bytes.append(index < 64 ? UInt8(truncatingIfNeeded: random.next()) : filling) }
      } else {
        for _ in 0..<count {
          let length = Int(clamping: random.next() % 6)
          bytes += [UInt8(clamping: length), 0, 0, 0] + (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
      }
    }

    init(_ name: String, floats: [Float], shape: [Int]) {
      (self.name, type, self.shape) = (name, .float32, shape)
      bytes = floats.withUnsafeBytes { Array($0) }
    }

    var input: InferenceRequest.Input {
      // In one piece, or as several reads of a socket leave it. Elements' lengths stay whole.
      let cut = type == .string || bytes.count % 3 != 0 ? 0 : bytes.count / 3
      let data: TensorBytes =
        cut == 0 ? .one(ByteBuffer(bytes: bytes)) : .many([ByteBuffer(bytes: bytes[..<cut]), ByteBuffer(bytes: bytes[cut...])])
      return InferenceRequest.Input(name: name, dataType: type, shape: shape, data: data)
    }
  }

  static func request(_ inputs: [Tensor], outputs: [String] = []) -> InferenceRequest {
    InferenceRequest(
      modelName: "", inputs: inputs.map(\.input), outputs: outputs.map { InferenceRequest.Output(name: $0) }, received: .zero, parsed: .zero
    )
  }

  static func pick(_ limit: Int, _ random: inout SplitMix64) -> Int { Int(clamping: random.next() % UInt64(clamping: limit)) }

  /// A request that does not fit, in one of the ways there are.
  static func spoilt(_ tensor: Tensor, _ random: inout SplitMix64) -> Attempt {
    var input = tensor.input
    switch pick(6, &random) {
    case 0: (input.shape[0], input.data) = (0, .one(ByteBuffer()))
    case 1: (input.shape[0], input.data) = (-1, .one(ByteBuffer()))
    case 2: input.shape[0] = (1 << 32) + 1
    case 3: input.shape[input.shape.count - 1] = -2
    case 4: input.data = .one(ByteBuffer(bytes: tensor.bytes + [0, 0, 0, 0]))
    default: input.data = .one(ByteBuffer(bytes: tensor.bytes.isEmpty ? [0, 0, 0, 0] : Array(tensor.bytes.dropLast())))
    }
    return Attempt(request: InferenceRequest(modelName: "", inputs: [input], received: .zero, parsed: .zero), expected: nil)
  }

  static func identity(_ text: String, delay: TimeSpan = .zero) throws -> (ModelConfiguration, any LoadedModel) {
    let configuration = try ModelConfiguration.parse(text, file: "config.pbtxt").configuration.normalized()
    try configuration.validate()
    return (
      configuration,
      try IdentityModel(
        signature: ModelSignature(
          inputs: configuration.inputs.map { .init(name: $0.name, dataType: $0.dataType, dims: $0.reshape ?? $0.dims) },
          outputs: configuration.outputs.map { .init(name: $0.name, dataType: $0.dataType, dims: $0.reshape ?? $0.dims) }),
        hasRowDimension: configuration.maxBatchSize > 0, delay: delay)
    )
  }

  static func served(_ configuration: ModelConfiguration, _ loaded: any LoadedModel) throws -> ServedModel {
    let model = try ServedModel(
      name: configuration.name, version: 1, configuration: configuration, loaded: loaded,
      device: DeviceDescription(name: "cpu", deviceClass: .processor, hardware: "", computeUnits: 1, memoryBytes: 0), labels: [:],
      regions: SharedMemoryRegions(isAllowed: false), live: LiveRecorder(isRecording: false), number: 1,
      executionLimit: .milliseconds(300_000),
      gate: nil)
    model.start([])
    return model
  }

  // MARK: - The models

  static func all() throws -> [RandomBatchModel] {
    try [optional(), ragged(), colliding(), reshaped(), strings(), unbatched(), levels(), ownKernels()]
  }

  /// Any of the inputs may be left out: what belongs to it comes back as zeros.
  private static func optional() throws -> RandomBatchModel {
    let (configuration, loaded) = try identity(
      """
      name: "optional" backend: "identity" max_batch_size: 8
      input [
        { name: "INPUT0" data_type: TYPE_FP32 dims: [-1] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [2] optional: true },
        { name: "INPUT2" data_type: TYPE_STRING dims: [-1] optional: true }
      ]
      output [
        { name: "OUTPUT2" data_type: TYPE_STRING dims: [-1] }, { name: "OUTPUT0" data_type: TYPE_FP32 dims: [-1] },
        { name: "OUTPUT1" data_type: TYPE_INT32 dims: [2] }
      ]
      dynamic_batching { max_queue_delay_microseconds: 300 preserve_ordering: true }
      instance_group [ { kind: KIND_CPU count: 2 } ]
      """)
    return RandomBatchModel(served: try served(configuration, loaded)) { shapes, random in
      let rows = 1 + pick(3, &random)
      let first = Tensor("INPUT0", .float32, [rows, pick(3, &shapes)], &random)
      if pick(16, &random) == 0 { return spoilt(first, &random) }
      var given = [first]
      if pick(2, &shapes) == 0 { given.append(Tensor("INPUT1", .int32, [rows, 2], &random)) }
      if pick(2, &shapes) == 0 { given.append(Tensor("INPUT2", .string, [rows, 1 + pick(2, &shapes)], &random)) }
      func output(_ number: Int, _ type: TensorDataType, _ absent: [Int]) -> Output {
        let tensor = given.first { $0.name == "INPUT\(number)" }
        return Output(
          name: "OUTPUT\(number)", type: type, shape: tensor?.shape ?? absent,
          bytes: tensor?.bytes ?? Array(repeating: 0, count: 4 * absent.reduce(1, *)))
      }
      let outputs = [output(2, .string, [rows, 1]), output(0, .float32, []), output(1, .int32, [rows, 2])]
      // All of them, or some by name and in another order.
      let asked = pick(2, &random) == 0 ? outputs : [outputs[2], outputs[0]]
      if pick(2, &random) == 0 { given.reverse() }
      return Attempt(request: request(given, outputs: asked.count == 3 ? [] : asked.map(\.name)), expected: asked)
    }
  }

  private static func echo(
    _ text: String, _ type: TensorDataType, delay: TimeSpan = .zero, countsRows: Bool = true,
    answer: @escaping @Sendable ([Int]) -> [Int] = { $0 },
    rows: Int = 2, _ shape: @escaping @Sendable (inout SplitMix64) -> [Int]
  ) throws -> RandomBatchModel {
    let (configuration, loaded) = try identity(text, delay: delay)
    return RandomBatchModel(served: try served(configuration, loaded)) { shapes, random in
      let inner = shape(&shapes)
      let tensor = Tensor("x", type, countsRows ? [1 + pick(rows, &random)] + inner : inner, &random)
      if countsRows, tensor.bytes.count < 1000, pick(16, &random) == 0 { return spoilt(tensor, &random) }
      return Attempt(
        request: request([tensor]), expected: [Output(name: "y", type: type, shape: answer(tensor.shape), bytes: tensor.bytes)])
    }
  }

  private static func ragged() throws -> RandomBatchModel {
    try echo(
      """
      name: "ragged" backend: "identity" max_batch_size: 8
      input [ { name: "x" data_type: TYPE_FP16 dims: [-1] allow_ragged_batch: true } ] output [ { name: "y" data_type: TYPE_FP16 dims: [-1] } ]
      dynamic_batching { preferred_batch_size: [4] max_queue_delay_microseconds: 300 }
      """, .float16
    ) { [pick(4, &$0)] }
  }

  /// Two shapes whose sizes have the same 64-bit FNV-1a hash among others of the same elements.
  private static func colliding() throws -> RandomBatchModel {
    try echo(
      """
      name: "colliding" backend: "identity" max_batch_size: 4
      input [ { name: "x" data_type: TYPE_INT8 dims: [-1, -1, -1] } ] output [ { name: "y" data_type: TYPE_INT8 dims: [-1, -1, -1] } ]
      dynamic_batching { max_queue_delay_microseconds: 300 }
      """, .int8, delay: .microseconds(20)
    ) { random in
      if pick(64, &random) == 0 { return pick(2, &random) == 0 ? [1, 1, 229_162] : [2, 873, 1] }
      let shapes = [[1, 2, 6], [2, 6, 1], [3, 4, 1], [12, 1, 1], [0, 5, 7], [7, 0, 5]]
      return shapes[pick(shapes.count, &random)]
    }
  }

  private static func reshaped() throws -> RandomBatchModel {
    try echo(
      """
      name: "reshaped" backend: "identity" max_batch_size: 8
      input [ { name: "x" data_type: TYPE_INT16 dims: [-1, 4] reshape { shape: [-1, 2, 2] } } ]
      output [ { name: "y" data_type: TYPE_INT16 dims: [-1, 1, 4] reshape { shape: [-1, 2, 2] } } ]
      dynamic_batching { max_queue_delay_microseconds: 300 }
      """, .int16, answer: { [$0[0], $0[1], 1, 4] }
    ) { [pick(3, &$0), 4] }
  }

  private static func strings() throws -> RandomBatchModel {
    try echo(
      """
      name: "strings" backend: "identity" max_batch_size: 8
      input [ { name: "x" data_type: TYPE_STRING dims: [-1, 2] } ] output [ { name: "y" data_type: TYPE_STRING dims: [-1, 2] } ]
      dynamic_batching { max_queue_delay_microseconds: 300 }
      """, .string
    ) { [pick(3, &$0), 2] }
  }

  private static func unbatched() throws -> RandomBatchModel {
    try echo(
      """
      name: "unbatched" backend: "identity" max_batch_size: 0
      input [ { name: "x" data_type: TYPE_FP64 dims: [-1] } ] output [ { name: "y" data_type: TYPE_FP64 dims: [-1] } ]
      """, .float64, countsRows: false
    ) { [pick(5, &$0)] }
  }

  /// Priorities, timeouts and a bounded queue: a request may be refused or expire, and is right otherwise.
  private static func levels() throws -> RandomBatchModel {
    let model = try echo(
      """
      name: "levels" backend: "identity" max_batch_size: 4
      input [ { name: "x" data_type: TYPE_UINT8 dims: [-1] } ] output [ { name: "y" data_type: TYPE_UINT8 dims: [-1] } ]
      dynamic_batching {
        max_queue_delay_microseconds: 100 priority_levels: 3 default_priority_level: 2
        default_queue_policy { default_timeout_microseconds: 1000000 allow_timeout_override: true max_queue_size: 6 }
        priority_queue_policy [ { key: 3 value { timeout_action: DELAY default_timeout_microseconds: 50 } } ]
      }
      """, .uint8, delay: .microseconds(50)
    ) { [4 + pick(2, &$0)] }
    return RandomBatchModel(served: model.served) { shapes, random in
      var attempt = model.make(&shapes, &random)
      attempt.request.priority = random.next() % 5
      if pick(4, &random) == 0 { attempt.request.timeoutMicroseconds = 1 + random.next() % 200 }
      return attempt
    }
  }

  /// a + b and a * w on this project's own kernels; small whole numbers, so that sums are exact.
  private static func ownKernels() throws -> RandomBatchModel {
    var graph = Graph(name: "own")
    let (a, b) = (graph.addInput("a", .float32, [.rows, .fixed(3)]), graph.addInput("b", .float32, [.rows, .fixed(3)]))
    let weights = (0..<15).map { Float($0 % 7 - 3) }
    let w = graph.addConstant("w", try #require(Weights(float32: weights, shape: [3, 5])))
    graph.outputs = [try graph.apply(.binary(.add), "sum", [a, b]), try graph.apply(.matMul, "product", [a, w])]
    let device = try CPUDevice(CPUDeviceOptions(threads: 1, engine: .own))
    let loaded = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 8))
    // The inputs in another order than the graph's.
    let configuration = try ModelConfiguration.parse(
      """
      name: "own" max_batch_size: 8
      input [ { name: "b" data_type: TYPE_FP32 dims: [3] }, { name: "a" data_type: TYPE_FP32 dims: [3] } ]
      output [ { name: "product" data_type: TYPE_FP32 dims: [5] }, { name: "sum" data_type: TYPE_FP32 dims: [3] } ]
      dynamic_batching { max_queue_delay_microseconds: 300 }
      """, file: "config.pbtxt"
    ).configuration.normalized()
    return RandomBatchModel(served: try served(configuration, loaded)) { _, random in
      let rows = 1 + pick(4, &random)
      let left = (0..<3 * rows).map { _ in Float(pick(1 << 18, &random)) }
      let right = (0..<3 * rows).map { _ in Float(pick(1 << 18, &random)) }
      let (a, b) = (Tensor("a", floats: left, shape: [rows, 3]), Tensor("b", floats: right, shape: [rows, 3]))
      if pick(16, &random) == 0 { return spoilt(a, &random) }
      let sum = zip(left, right).map { $0 + $1 }
      var product: [Float] = []
      for place in 0..<5 * rows {
        var value: Float = 0
        for k in 0..<3 { value += left[place / 5 * 3 + k] * weights[k * 5 + place % 5] }
        product.append(value)
      }
      return Attempt(
        request: request([a, b]),
        expected: [
          Output(name: "product", type: .float32, shape: [rows, 5], bytes: product.withUnsafeBytes { Array($0) }),
          Output(name: "sum", type: .float32, shape: [rows, 3], bytes: sum.withUnsafeBytes { Array($0) }),
        ])
    }
  }
}
