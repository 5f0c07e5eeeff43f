import KServe
import NIOCore
import ProtobufWire
import Serving

/// The calls that are not inferences: from a request's bytes to the service and back to an answer's bytes.
struct ControlCalls {
  /// What became of a call.
  typealias Outcome = Result<[UInt8], GRPCStatus>

  var service: any KServeService
  var loop: any EventLoop
  var bearerToken: String?

  /// Answers a call, now or later on the loop.
  func answer(_ method: GRPCMethod, _ message: ByteBuffer, reply: @escaping @Sendable (Outcome) -> Void) {
    let now: Outcome? = message.withUnsafeReadableBytes { bytes in
      do {
        return try run(method, bytes, reply: reply).map { .success($0) }
      } catch let error as KServeError {
        return .failure(GRPCStatus(error))
      } catch let status as GRPCStatus {
        return .failure(status)
      } catch {
        return .failure(.internalError("unable to parse \(method.rawValue)Request: \(error)"))
      }
    }
    if let now { reply(now) }
  }

  /// Whether a health check's service is one of ours; the empty name is the whole server.
  static func knowsHealth(of service: String) -> Bool { service.isEmpty || service == "inference.GRPCInferenceService" }

  /// The service a health request names.
  static func healthService(_ message: ByteBuffer) throws(GRPCStatus) -> String {
    let name = message.withUnsafeReadableBytes { bytes in try? ControlRequest(bytes, texts: [1]).text(1) }
    guard let name else { throw .internalError("unable to parse HealthCheckRequest") }
    return name
  }

  /// nil: the answer comes later.
  private func run(_ method: GRPCMethod, _ bytes: UnsafeRawBufferPointer, reply: @escaping @Sendable (Outcome) -> Void) throws -> [UInt8]? {
    switch method {
    case .serverLive: return ControlAnswer.flag(service.isLive)
    case .serverReady: return ControlAnswer.flag(service.isReady)
    case .serverMetadata: return ControlAnswer.metadata(service.metadata)
    case .modelReady:
      let (name, version) = try model(bytes)
      return ControlAnswer.flag(try service.isModelReady(name, version: version))
    case .modelMetadata:
      let (name, version) = try model(bytes)
      return ControlAnswer.metadata(try service.modelMetadata(name, version: version))
    case .modelConfig:
      let (name, version) = try model(bytes)
      return ControlAnswer.configuration(try service.modelConfiguration(name, version: version))
    case .modelStatistics:
      let (name, version) = try model(bytes)
      return ControlAnswer.statistics(try service.statistics(name, version: version))
    case .repositoryIndex:
      let request = try ControlRequest(bytes, texts: [1])
      try refuseRepositoryName(request)
      return ControlAnswer.index(service.repositoryIndex(readyOnly: request.flag(2)))
    case .repositoryModelLoad:
      try load(bytes, reply: reply)
      return nil
    case .repositoryModelUnload:
      try unload(bytes, reply: reply)
      return nil
    case .systemSharedMemoryStatus:
      return ControlAnswer.regions(try service.sharedMemoryStatus(try ControlRequest(bytes, texts: [1]).text(1)))
    case .systemSharedMemoryRegister:
      try requireControl()
      let request = try ControlRequest(bytes, texts: [1, 2])
      let region = SharedMemoryRegion(
        name: request.text(1), key: request.text(2), offset: request.integers[3] ?? 0, byteSize: request.integers[4] ?? 0)
      try service.registerSharedMemory(region)
      return []
    case .systemSharedMemoryUnregister:
      try requireControl()
      try service.unregisterSharedMemory(try ControlRequest(bytes, texts: [1]).text(1))
      return []
    case .cudaSharedMemoryStatus: return []
    case .cudaSharedMemoryRegister:
      try requireControl()
      let name = try ControlRequest(bytes, texts: [1]).text(1)
      throw GRPCStatus.unimplemented("failed to register CUDA shared memory region: '\(name)', GPUs not supported")
    case .cudaSharedMemoryUnregister:
      try requireControl()
      return []
    case .traceSetting: return ControlAnswer.trace(try traceSettings(bytes))
    case .logSettings: return ControlAnswer.log(try logSettings(bytes))
    case .healthCheck:
      let name = try ControlRequest(bytes, texts: [1]).text(1)
      guard Self.knowsHealth(of: name) else { throw GRPCStatus(code: 5, "unknown service '\(name)'") }
      return ControlAnswer.health(service.isReady ? .serving : .notServing)
    case .modelInfer, .modelStreamInfer, .healthWatch:
      throw GRPCStatus.internalError("\(method.rawValue) is not a control call")
    }
  }

  /// Name and version, fields 1 and 2 of every request about a model.
  private func model(_ bytes: UnsafeRawBufferPointer) throws -> (name: String, version: String) {
    let request = try ControlRequest(bytes, texts: [1, 2])
    return (request.text(1), try VersionText.normalized(request.text(2)))
  }

  private func requireControl() throws(GRPCStatus) {
    guard service.allowsControl(bearerToken: bearerToken) else {
      throw .permissionDenied("this call changes the server: it needs 'authorization: Bearer TOKEN' with the server's token")
    }
  }

  private func refuseRepositoryName(_ request: ControlRequest) throws(GRPCStatus) {
    guard request.text(1).isEmpty else { throw .unimplemented("'repository_name' specification is not supported") }
  }

  private func load(_ bytes: UnsafeRawBufferPointer, reply: @escaping @Sendable (Outcome) -> Void) throws {
    try requireControl()
    let request = try ControlRequest(bytes, texts: [1, 2])
    try refuseRepositoryName(request)
    var configuration: String?
    var files: [String: [UInt8]] = [:]
    for (number, reader) in request.payloads where number == 3 {
      let entry = try ControlEntry(reader)
      if entry.key == "config" {
        guard entry.choice == 3, let text = String(validating: entry.bytes, as: UTF8.self) else {
          throw GRPCStatus.invalidArgument("invalid value type for load parameter 'config', expected string_param.")
        }
        configuration = text
      } else if entry.key.hasPrefix("file:") {
        guard entry.choice == 4 else {
          throw GRPCStatus.invalidArgument("invalid value type for load parameter '\(entry.key)', expected bytes_param.")
        }
        files[String(entry.key.dropFirst(5))] = entry.bytes
      } else {
        throw GRPCStatus.invalidArgument("unknown load parameter '\(entry.key)', expected 'config' or 'file:VERSION/NAME'")
      }
    }
    service.loadModel(request.text(2), configuration: configuration, files: files, on: loop) { result in
      reply(result.map { [] }.mapError { GRPCStatus($0) })
    }
  }

  private func unload(_ bytes: UnsafeRawBufferPointer, reply: @escaping @Sendable (Outcome) -> Void) throws {
    try requireControl()
    let request = try ControlRequest(bytes, texts: [1, 2])
    try refuseRepositoryName(request)
    var unloadDependents = false
    for (number, reader) in request.payloads where number == 3 {
      let entry = try ControlEntry(reader)
      guard entry.key == "unload_dependents" else { continue }
      guard entry.choice == 1 else {
        throw GRPCStatus.invalidArgument("invalid value type for 'unload_dependents' parameter, expected bool_param")
      }
      unloadDependents = entry.integer != 0
    }
    service.unloadModel(request.text(2), unloadDependents: unloadDependents, on: loop) { result in
      reply(result.map { [] }.mapError { GRPCStatus($0) })
    }
  }

  private func traceSettings(_ bytes: UnsafeRawBufferPointer) throws -> TraceSettings {
    let request = try ControlRequest(bytes, texts: [2])
    var changes: [String: [String]] = [:]
    for (number, reader) in request.payloads where number == 1 {
      let entry = try ControlEntry(reader, isTextList: true)
      changes[entry.key] = entry.values
    }
    if changes.isEmpty { return try service.traceSettings(request.text(2)) }
    try requireControl()
    return try service.updateTraceSettings(request.text(2), changes)
  }

  private func logSettings(_ bytes: UnsafeRawBufferPointer) throws -> LogSettings {
    let request = try ControlRequest(bytes, texts: [])
    var changes: [String: KServeParameter] = [:]
    for (number, reader) in request.payloads where number == 1 {
      let entry = try ControlEntry(reader)
      switch entry.choice {
      case 1: changes[entry.key] = .bool(entry.integer != 0)
      case 2: changes[entry.key] = .uint(entry.integer)
      case 3: changes[entry.key] = .string(String(decoding: entry.bytes, as: UTF8.self))
      default: throw GRPCStatus.invalidArgument("log setting '\(entry.key)' has no value")
      }
    }
    if changes.isEmpty { return service.logSettings }
    try requireControl()
    return try service.updateLogSettings(changes)
  }
}
