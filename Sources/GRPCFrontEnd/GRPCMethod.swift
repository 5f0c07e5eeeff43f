import Serving

/// The calls that are served. Source of the names: triton-inference-server/common `protobuf/grpc_service.proto`, `protobuf/health.proto`.
enum GRPCMethod: String, CaseIterable, Sendable {
  case serverLive = "ServerLive"
  case serverReady = "ServerReady"
  case modelReady = "ModelReady"
  case serverMetadata = "ServerMetadata"
  case modelMetadata = "ModelMetadata"
  case modelInfer = "ModelInfer"
  case modelStreamInfer = "ModelStreamInfer"
  case modelConfig = "ModelConfig"
  case modelStatistics = "ModelStatistics"
  case repositoryIndex = "RepositoryIndex"
  case repositoryModelLoad = "RepositoryModelLoad"
  case repositoryModelUnload = "RepositoryModelUnload"
  case systemSharedMemoryStatus = "SystemSharedMemoryStatus"
  case systemSharedMemoryRegister = "SystemSharedMemoryRegister"
  case systemSharedMemoryUnregister = "SystemSharedMemoryUnregister"
  case cudaSharedMemoryStatus = "CudaSharedMemoryStatus"
  case cudaSharedMemoryRegister = "CudaSharedMemoryRegister"
  case cudaSharedMemoryUnregister = "CudaSharedMemoryUnregister"
  case traceSetting = "TraceSetting"
  case logSettings = "LogSettings"
  case healthCheck = "Check"
  case healthWatch = "Watch"

  /// The request's `:path`.
  var path: String {
    switch self {
    case .healthCheck, .healthWatch: "/grpc.health.v1.Health/\(rawValue)"
    default: "/inference.GRPCInferenceService/\(rawValue)"
    }
  }

  /// The group of calls that it belongs to (triton-inference-server/server `src/grpc/grpc_server.cc`).
  var group: RestrictedAPIs.Group {
    switch self {
    case .serverLive, .serverReady, .modelReady, .healthCheck, .healthWatch: .health
    case .serverMetadata, .modelMetadata: .metadata
    case .modelInfer, .modelStreamInfer: .inference
    case .systemSharedMemoryStatus, .systemSharedMemoryRegister, .systemSharedMemoryUnregister, .cudaSharedMemoryStatus,
      .cudaSharedMemoryRegister, .cudaSharedMemoryUnregister:
      .sharedMemory
    case .modelConfig: .modelConfiguration
    case .repositoryIndex, .repositoryModelLoad, .repositoryModelUnload: .modelRepository
    case .modelStatistics: .statistics
    case .traceSetting: .trace
    case .logSettings: .logging
    }
  }

  static let byPath: [String: GRPCMethod] = Dictionary(uniqueKeysWithValues: allCases.map { ($0.path, $0) })
}
