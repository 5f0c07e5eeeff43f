import ArgumentParser

/// tritonserver's flags for what this server has not: taken, named in a warning, and without effect, so that a start script can stay as it is.
/// What protects (TLS, restricted calls) or opens an end point is never among them: it acts, or the server does not start (`ServeSecurity`).
struct ServeIgnored: ParsableArguments {
  @Option(help: .hidden) var backendConfig: [String] = []
  @Option(help: .hidden) var backendDirectory: String?
  @Option(help: .hidden) var repoagentDirectory: String?
  @Option(help: .hidden) var cacheConfig: [String] = []
  @Option(help: .hidden) var cacheDirectory: String?
  @Option(help: .hidden) var responseCacheByteSize: String?
  @Option(help: .hidden) var pinnedMemoryPoolByteSize: String?
  @Option(help: .hidden) var cudaMemoryPoolByteSize: [String] = []
  @Option(help: .hidden) var cudaVirtualAddressSize: [String] = []
  @Option(help: .hidden) var minSupportedComputeCapability: String?
  @Option(help: .hidden) var bufferManagerThreadCount: String?
  @Option(help: .hidden) var modelLoadThreadCount: String?
  @Option(help: .hidden) var modelLoadRetryCount: String?
  @Option(help: .hidden) var modelNamespacing: String?
  @Option(help: .hidden) var enablePeerAccess: String?
  @Option(help: .hidden) var modelLoadGpuLimit: [String] = []
  @Option(help: .hidden) var strictModelConfig: String?
  @Option(help: .hidden) var disableAutoCompleteConfig: String?
  @Option(help: .hidden) var hostPolicy: [String] = []
  @Option(help: .hidden) var metricsIntervalMs: String?
  @Option(help: .hidden) var allowGpuMetrics: String?
  @Option(help: .hidden) var allowCpuMetrics: String?
  @Option(help: .hidden) var httpHeaderForwardPattern: String?
  @Option(help: .hidden) var grpcHeaderForwardPattern: String?
  @Option(help: .hidden) var reuseHttpPort: String?
  @Option(help: .hidden) var reuseGrpcPort: String?
  @Option(help: .hidden) var grpcInferAllocationPoolSize: String?
  @Option(help: .hidden) var grpcMaxResponsePoolSize: String?
  @Option(help: .hidden) var grpcKeepaliveTime: String?
  @Option(help: .hidden) var grpcKeepaliveTimeout: String?
  @Option(help: .hidden) var grpcInferResponseCompressionLevel: String?
  @Option(help: .hidden) var id: String?

  /// One line a flag that was given.
  var warnings: [String] {
    let given: [(String, Bool)] = [
      ("backend-config", !backendConfig.isEmpty), ("backend-directory", backendDirectory != nil),
      ("repoagent-directory", repoagentDirectory != nil), ("cache-config", !cacheConfig.isEmpty),
      ("cache-directory", cacheDirectory != nil),
      ("response-cache-byte-size", responseCacheByteSize != nil),
      ("pinned-memory-pool-byte-size", pinnedMemoryPoolByteSize != nil), ("cuda-memory-pool-byte-size", !cudaMemoryPoolByteSize.isEmpty),
      ("cuda-virtual-address-size", !cudaVirtualAddressSize.isEmpty),
      ("min-supported-compute-capability", minSupportedComputeCapability != nil),
      ("buffer-manager-thread-count", bufferManagerThreadCount != nil), ("model-load-thread-count", modelLoadThreadCount != nil),
      ("model-load-retry-count", modelLoadRetryCount != nil), ("model-namespacing", modelNamespacing != nil),
      ("enable-peer-access", enablePeerAccess != nil), ("model-load-gpu-limit", !modelLoadGpuLimit.isEmpty),
      ("strict-model-config", strictModelConfig != nil), ("disable-auto-complete-config", disableAutoCompleteConfig != nil),
      ("host-policy", !hostPolicy.isEmpty),
      ("metrics-interval-ms", metricsIntervalMs != nil),
      ("allow-gpu-metrics", allowGpuMetrics != nil), ("allow-cpu-metrics", allowCpuMetrics != nil),
      ("http-header-forward-pattern", httpHeaderForwardPattern != nil), ("grpc-header-forward-pattern", grpcHeaderForwardPattern != nil),
      ("reuse-http-port", reuseHttpPort != nil), ("reuse-grpc-port", reuseGrpcPort != nil),
      ("grpc-infer-allocation-pool-size", grpcInferAllocationPoolSize != nil),
      ("grpc-max-response-pool-size", grpcMaxResponsePoolSize != nil),
      ("grpc-keepalive-time", grpcKeepaliveTime != nil), ("grpc-keepalive-timeout", grpcKeepaliveTimeout != nil),

      ("grpc-infer-response-compression-level", grpcInferResponseCompressionLevel != nil), ("id", id != nil),
    ]
    return given.filter(\.1).map { "--\($0.0) has no effect here" }
  }
}
