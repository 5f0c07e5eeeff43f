import Execution
import FileAccess
import Foundation
import KServe
import ModelConfiguration
import NIOCore
import NIOPosix
import Synchronization
import Threads
import TimeBase

@testable import Serving

/// A server in this process over a folder of identity models.
final class ServerFixture: Sendable {
  let folder: String
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
  let server: InferenceServer
  let log: ServerLog

  /// `models`: configuration text by name.
  init(_ models: [String: String], _ change: (inout InferenceServer.Options) -> Void = { _ in }) throws {
    folder = NSTemporaryDirectory() + "serving-" + UUID().uuidString
    for (name, text) in models {
      try FileManager.default.createDirectory(atPath: "\(folder)/\(name)/1", withIntermediateDirectories: true)
      try text.write(toFile: "\(folder)/\(name)/config.pbtxt", atomically: true, encoding: .utf8)
    }
    var options = InferenceServer.Options()
    options.repositories = [folder]
    change(&options)
    var settings = LogSettings()
    (settings.info, settings.warning, settings.error) = (false, false, false)
    log = ServerLog(settings)
    server = try InferenceServer(options, devices: ModelDevices(primary: CPUDevice(CPUDeviceOptions(threads: 1))), log: log)
    let failures = server.start()
    if let failure = failures.first { throw Failure(description: "\(failure.key): \(failure.value.message)") }
  }

  struct Failure: Error, CustomStringConvertible { var description: String }

  deinit {
    server.beginDraining()
    server.closeModels()
    try? FileManager.default.removeItem(atPath: folder)
    group.shutdownGracefully { _ in }
  }

  /// An identity model of FP32 rows of 4.
  static func identity(_ name: String, rows: Int = 8, _ more: String = "") -> String {
    """
    name: "\(name)" backend: "identity" max_batch_size: \(rows)
    input [ { name: "x" data_type: TYPE_FP32 dims: [4] } ]
    output [ { name: "y" data_type: TYPE_FP32 dims: [4] } ]
    \(more)
    """
  }

  static func parameter(_ key: String, _ value: String) -> String {
    "parameters { key: \"\(key)\" value { string_value: \"\(value)\" } }"
  }

  static func request(_ model: String, _ values: [Float], timeoutMicroseconds: UInt64 = 0) -> InferenceRequest {
    let bytes = values.withUnsafeBytes { ByteBuffer(bytes: $0) }
    var request = InferenceRequest(
      modelName: model,
      inputs: [InferenceRequest.Input(name: "x", dataType: .float32, shape: [values.count / 4, 4], data: .one(bytes))],
      received: MonotonicClock.now, parsed: MonotonicClock.now)
    request.timeoutMicroseconds = timeoutMicroseconds
    return request
  }

  typealias Answer = Result<InferenceResponse, KServeError>

  /// Submits and waits, noting on the event loop how long the answer took: tests share their threads, and resuming may take any time.
  func timed(_ request: InferenceRequest) async -> (answer: Answer, waited: TimeSpan) {
    let start = MonotonicClock.now
    return await completion { done in _ = server.infer(request, on: group.next()) { done(($0, MonotonicClock.now - start)) } }
  }

  func infer(_ request: InferenceRequest) async -> Answer {
    await completion { done in
      let calls = Tally()
      _ = server.infer(request, on: group.next()) { answer in
        // A second answer would trap in the continuation; saying so is kinder.
        calls.add()
        precondition(calls.value == 1, "a request was answered twice")
        done(answer)
      }
    }
  }

  func infer(_ model: String, _ values: [Float]) async -> Answer { await infer(Self.request(model, values)) }
}

/// Counts, from anywhere.
final class Tally: Sendable {
  private let count = Atomic<Int>(0)

  var value: Int { count.load(ordering: .relaxed) }
  func add() { count.add(1, ordering: .relaxed) }
}

extension Result where Success == InferenceResponse, Failure == KServeError {
  /// The first output's values; nil for an error.
  var values: [Float]? {
    guard case .success(let response) = self, let output = response.outputs.first else { return nil }
    return output.data.withUnsafeReadableBytes { raw in
      stride(from: 0, to: raw.count, by: 4).map { Float(bitPattern: raw.loadUnaligned(fromByteOffset: $0, as: UInt32.self)) }
    }
  }
  /// Why not.
  var problem: KServeError? { if case .failure(let error) = self { error } else { nil } }
}
