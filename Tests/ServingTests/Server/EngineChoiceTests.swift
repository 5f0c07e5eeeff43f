import Execution
import FileAccess
import Foundation
import KServe
import ModelConfiguration
import NIOCore
import NIOPosix
import Testing
import Threads
import TimeBase

@testable import Serving

/// Which engine runs a model, asked of a server over real files. Runs where ONNX Runtime is found.
@Suite(.serialized, .enabled(if: EngineChoice.library != nil, "ONNX Runtime is absent: Scripts/fetch-onnxruntime"))
struct EngineChoiceTests {
  @Test(arguments: ["half", "double", "brain", "power", "divide", "conv"])
  func whatTheCPUDeviceRefusesRunsOnONNXRuntime(_ model: String) async throws {
    let choice = try EngineChoice([model: ""])
    #expect(choice.failures.isEmpty, "\(choice.failures)")
    let served = try #require(choice.server.manager.table.ready(model).last)
    #expect(served.device.hardware.contains("ONNX Runtime"), "\(served.device.hardware)")
    // Ready means that no batch is refused for what was known at the load.
    let answer = await choice.infer(model, ones: served.configuration)
    #expect(answer.problem == nil, "\(String(describing: answer.problem))")
  }

  @Test(arguments: ["half", "power", "conv"]) func theSameModelsLoadFromFilesThatAreSent(_ model: String) async throws {
    let choice = try EngineChoice([:])
    let bytes = try Files.read(EngineChoice.data(model))
    for file in ["1/model.onnx", "1/model.onnx/model.onnx"] {
      try choice.server.manager.load("sent", configuration: "{}", files: [file: bytes])
      let served = try #require(choice.server.manager.table.ready("sent").last)
      let answer = await choice.infer("sent", ones: served.configuration)
      #expect(answer.problem == nil, "\(String(describing: answer.problem))")
    }
  }

  @Test func sentFilesMayNotLeaveTheirFolder() throws {
    let choice = try EngineChoice([:])
    let bytes = try Files.read(EngineChoice.data("half"))
    #expect(throws: KServeError.self) {
      try choice.server.manager.load("sent", configuration: "{}", files: ["1/model.onnx": bytes, "1/../../escaped": [1]])
    }
  }

  @Test func aFolderInTheFilesPlaceIsTheModelInIt() async throws {
    let choice = try EngineChoice(["half": ""], asFolder: true)
    #expect(choice.failures.isEmpty, "\(choice.failures)")
    #expect(choice.server.manager.table.ready("half").count == 1)
  }

  @Test func withoutONNXRuntimeTheRefusalSaysWhatWouldRunIt() throws {
    let choice = try EngineChoice(["power": ""], library: nil)
    let message = choice.failures["power"]?.message ?? ""
    #expect(message.contains("powers of integers") && message.contains("nobody installed it"), "\(message)")
  }

  @Test func aParameterThatCannotActIsALoadError() throws {
    let choice = try EngineChoice([
      "half": "parameters { key: \"intra_op_thread_count\" value { string_value: \"many\" } }",
      "conv": "optimization { graph { level: 7 } }",
    ])
    #expect(choice.failures["half"]?.message.contains("intra_op_thread_count") == true)
    #expect(choice.failures["conv"]?.message.contains("graph.level") == true)
  }

  @Test func anInputWithADefaultIsOptional() async throws {
    let choice = try EngineChoice(["default": ""])
    let served = try #require(choice.server.manager.table.ready("default").last)
    #expect(served.configuration.inputs.map(\.name) == ["x", "bias"])
    #expect(served.configuration.inputs.map(\.isOptional) == [false, true])
    #expect(served.configuration.maxBatchSize == 0)
    func send(_ inputs: [(String, [Float])]) async -> ServerFixture.Answer {
      await choice.infer(
        InferenceRequest(
          modelName: "default",
          inputs: inputs.map { name, values in
            InferenceRequest.Input(
              name: name, dataType: .float32, shape: [2], data: .one(values.withUnsafeBytes { ByteBuffer(bytes: $0) }))
          }, received: MonotonicClock.now, parsed: MonotonicClock.now))
    }
    // In turn: what one request gives is not what the next one is answered with.
    for _ in 0..<3 {
      #expect(await send([("x", [1, 2])]).values == [11, 12])
      #expect(await send([("bias", [5, 6]), ("x", [1, 2])]).values == [6, 8])
    }
    #expect(await send([("bias", [5, 6])]).problem != nil)
  }

  @Test func anInputWithADefaultIsRefusedWithBatchingAsTritonDoes() throws {
    let choice = try EngineChoice([
      "default": """
      max_batch_size: 4
      input [ { name: "x" data_type: TYPE_FP32 dims: [2] }, { name: "bias" data_type: TYPE_FP32 dims: [2] optional: true } ]
      """
    ])
    #expect(choice.failures["default"]?.message.contains("is not supported for models that support batching") == true)
  }

  @Test func anInputWithoutADefaultIsNotOptional() throws {
    let choice = try EngineChoice([
      "double": "max_batch_size: 0\ninput [ { name: \"x\" data_type: TYPE_FP64 dims: [-1, 3] optional: true } ]"
    ])
    #expect(choice.failures["double"]?.message.contains("'optional' is set to true") == true)
  }
}

/// A server with ONNX Runtime over models of `Tests/Data/onnxruntime`, in this process.
final class EngineChoice: Sendable {
  static let library: ONNXRuntimeLibrary? = try? ONNXRuntimeLibrary()

  static func data(_ name: String) -> String {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(3)
    return "/" + parts.joined(separator: "/") + "/Data/onnxruntime/\(name).onnx"
  }

  let folder: String
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let server: InferenceServer
  let failures: [String: KServeError]

  /// `models`: configuration text by the file's name.
  init(_ models: [String: String], library: ONNXRuntimeLibrary? = EngineChoice.library, asFolder: Bool = false) throws {
    folder = NSTemporaryDirectory() + "engines-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for (name, text) in models {
      let version = "\(folder)/\(name)/1" + (asFolder ? "/model.onnx" : "")
      try FileManager.default.createDirectory(atPath: version, withIntermediateDirectories: true)
      try text.write(toFile: "\(folder)/\(name)/config.pbtxt", atomically: true, encoding: .utf8)
      try FileManager.default.copyItem(atPath: Self.data(name), toPath: "\(version)/model.onnx")
    }
    var options = InferenceServer.Options()
    options.repositories = [folder]
    var settings = LogSettings()
    (settings.info, settings.warning, settings.error) = (false, false, false)
    server = try InferenceServer(
      options,
      devices: ModelDevices(
        primary: CPUDevice(CPUDeviceOptions(threads: 1)), onnxRuntime: library.map { ONNXRuntimeDevice($0, threads: 1) },
        missingONNXRuntime: "nobody installed it"), log: ServerLog(settings))
    failures = server.start()
  }

  deinit {
    server.beginDraining()
    server.closeModels()
    try? FileManager.default.removeItem(atPath: folder)
    group.shutdownGracefully { _ in }
  }

  func infer(_ request: InferenceRequest) async -> ServerFixture.Answer {
    await completion { done in _ = server.infer(request, on: group.next()) { done($0) } }
  }

  /// One row, every byte of it 1.
  func infer(_ model: String, ones configuration: ModelConfiguration) async -> ServerFixture.Answer {
    let inputs = configuration.inputs.map { input in
      let shape = (configuration.maxBatchSize > 0 ? [1] : []) + input.dims.map { $0 < 0 ? 1 : $0 }
      let size = [TensorDataType.float16: 2, .bfloat16: 2, .float64: 8, .int64: 8, .uint8: 1][input.dataType] ?? 4
      return InferenceRequest.Input(
        name: input.name, dataType: input.dataType, shape: shape,
        data: .one(ByteBuffer(repeating: 1, count: shape.reduce(1, *) * size)))
    }
    return await infer(
      InferenceRequest(modelName: model, inputs: inputs, received: MonotonicClock.now, parsed: MonotonicClock.now))
  }
}
