/// How a KServe v2 server is spoken to.
public enum KServeTransport: Sendable {
  /// HTTP/1.1, tensors binary or as JSON.
  case http(BlockingExchange)
  /// gRPC, tensors raw.
  case grpc(GRPCExchange)
}
