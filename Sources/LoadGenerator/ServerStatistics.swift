import JSONText
public import LoadModel

/// The server's counters of a model at one moment.
public struct ServerStatistics: Sendable, Hashable {
  private var requests: Int64
  private var rows: Int64
  private var batches: Int64
  private var nanoseconds: [Int64]

  /// Those of several models together; nil where one of them has none, or there is none.
  public init?(models: [String], transport: KServeTransport) {
    guard let first = models.first, var sum = ServerStatistics(model: first, transport: transport) else { return nil }
    for model in models.dropFirst() {
      guard let next = ServerStatistics(model: model, transport: transport) else { return nil }
      sum.requests &+= next.requests
      sum.rows &+= next.rows
      sum.batches &+= next.batches
      for index in sum.nanoseconds.indices { sum.nanoseconds[index] &+= next.nanoseconds[index] }
    }
    self = sum
  }

  /// Asks for them; nil where the server has none.
  public init?(model: String, transport: KServeTransport) {
    switch transport {
    case .http(let exchange):
      guard let answer = try? exchange.get("/v2/models/\(model)/stats"), answer.status == 200,
        let models = (try? JSONValue.parse(answer.body))?["model_stats"]?.arrayValue
      else { return nil }
      (requests, rows, batches) = (0, 0, 0)
      nanoseconds = [0, 0, 0, 0, 0]
      for entry in models {
        rows &+= entry["inference_count"]?.integerValue ?? 0
        batches &+= entry["execution_count"]?.integerValue ?? 0
        let phases = entry["inference_stats"]
        requests &+= phases?["success"]?["count"]?.integerValue ?? 0
        for (index, name) in ["success", "queue", "compute_input", "compute_infer", "compute_output"].enumerated() {
          nanoseconds[index] &+= phases?[name]?["ns"]?.integerValue ?? 0
        }
      }
    case .grpc(let exchange):
      guard let message = try? exchange.call("ModelStatistics", KServeGRPC.named(model, version: nil)),
        let read = try? KServeGRPC.statistics(of: message)
      else { return nil }
      (requests, rows, batches, nanoseconds) = (read.requests, read.rows, read.batches, read.nanoseconds)
    }
  }

  /// What happened since an earlier moment; nil when nothing did.
  public func since(_ earlier: ServerStatistics) -> ServerPhases? {
    let count = requests &- earlier.requests
    guard count > 0 else { return nil }
    let seconds = zip(nanoseconds, earlier.nanoseconds).map { Double($0 &- $1) / 1e9 / Double(count) }
    return ServerPhases(
      requests: count, rows: rows &- earlier.rows, batches: batches &- earlier.batches, totalSeconds: seconds[0], queueSeconds: seconds[1],
      inputSeconds: seconds[2], inferSeconds: seconds[3], outputSeconds: seconds[4])
  }
}
