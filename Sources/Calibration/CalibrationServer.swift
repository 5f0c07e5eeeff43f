import Execution
import FileAccess
import Glibc
import HTTPFrontEnd
import KServe
import NIOPosix
import Serving
import Threads
import TimeBase
import Trace

/// Our own server inside this process, with two identity models: what they cost is everything around a model.
package final class CalibrationServer {
  /// Requests are batched by 64, and a batch takes a millisecond on a thread of its own.
  package static let batched = "calibrate_batched"
  /// Requests run where they arrive.
  package static let immediate = "calibrate_immediate"
  package static let batchRows = 64

  package let port: Int
  package let eventLoops: Int
  private let server: InferenceServer
  private let http: HTTPServer
  private let group: MultiThreadedEventLoopGroup
  private let folder: String

  package init() throws {
    var template = Array("/tmp/headroom-calibrate-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CalibrationError("no folder can be made in /tmp: \(String(cString: strerror(errno)))") }
    let folder = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    self.folder = folder
    let batching = """
      dynamic_batching { preferred_batch_size: [\(Self.batchRows)] max_queue_delay_microseconds: 100000 }
      parameters { key: "execute_delay_ms" value { string_value: "1" } }
      """
    for (name, more) in [(Self.batched, batching), (Self.immediate, "")] {
      try Files.createFolder("\(folder)/\(name)/1")
      try Files.write("\(folder)/\(name)/config.pbtxt", Array(Self.configuration(name, more).utf8))
    }
    var settings = LogSettings()
    (settings.info, settings.warning, settings.error) = (false, false, false)
    var options = InferenceServer.Options()
    options.repositories = [folder]
    options.warmsUp = false
    let device: CPUDevice
    do throws(DeviceError) { device = try CPUDevice(CPUDeviceOptions(threads: 1, firstCore: nil, engine: .own)) } catch {
      throw CalibrationError(error.description)
    }
    server = InferenceServer(options, devices: ModelDevices(primary: device), log: ServerLog(settings))
    eventLoops = HTTPServer.usualEventLoopCount
    group = MultiThreadedEventLoopGroup(numberOfThreads: eventLoops)
    http = HTTPServer(service: server, group: group)
    port = try http.start(host: "127.0.0.1", port: 0)
    let failures = server.start()
    if let failure = failures.first { throw CalibrationError("model \(failure.key): \(failure.value.message)") }
  }

  /// What the server noted since then.
  package func trace(of model: String, since start: Instant) -> Trace { server.trace(ofModel: model, since: start) ?? Trace() }

  package func stop() {
    http.stopListening()
    server.beginDraining()
    server.closeModels()
    try? group.syncShutdownGracefully()
    for name in [Self.batched, Self.immediate] {
      unlink("\(folder)/\(name)/config.pbtxt")
      rmdir("\(folder)/\(name)/1")
      rmdir("\(folder)/\(name)")
    }
    rmdir(folder)
  }

  /// Tensors of two sizes, so that the answer can stay small whatever the request is.
  private static func configuration(_ name: String, _ more: String) -> String {
    """
    name: "\(name)"
    backend: "identity"
    max_batch_size: \(batchRows)
    input [ { name: "data" data_type: TYPE_FP32 dims: [-1] }, { name: "tag" data_type: TYPE_FP32 dims: [1] } ]
    output [ { name: "data_out" data_type: TYPE_FP32 dims: [-1] }, { name: "tag_out" data_type: TYPE_FP32 dims: [1] } ]
    instance_group [ { count: 1 kind: KIND_CPU } ]
    \(more)
    """
  }

  /// A request of one row with so many numbers, in binary, that asks for the small output alone.
  package static func request(_ model: String, elements: Int) -> [UInt8] {
    let head = """
      {"inputs":[{"name":"data","shape":[1,\(elements)],"datatype":"FP32","parameters":{"binary_data_size":\(4 * elements)}},\
      {"name":"tag","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}}],\
      "outputs":[{"name":"tag_out","parameters":{"binary_data":true}}]}
      """
    let bytes = head.utf8.count + 4 * elements + 4
    let text = """
      POST /v2/models/\(model)/infer HTTP/1.1\r
      Host: x\r
      Content-Type: application/octet-stream\r
      Inference-Header-Content-Length: \(head.utf8.count)\r
      Content-Length: \(bytes)\r
      \r

      """
    return Array(text.utf8) + Array(head.utf8) + [UInt8](repeating: 0, count: 4 * elements + 4)
  }
}
