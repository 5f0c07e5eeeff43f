import CheckedNumbers
public import JSONText
public import Trace

/// Why statistics cannot be used.
public struct ServerStatisticsError: Error, Equatable, CustomStringConvertible {
  /// What was wrong and what to do.
  public var description: String

  /// A reason.
  public init(_ description: String) { self.description = description }
}

/// A server's statistics of one model at one moment, as KServe's statistics extension answers them (Triton's and ours). Times are sums of
/// nanoseconds since the model was loaded; each request of a batch carries the batch's whole time.
public struct ModelStatistics: Sendable, Hashable {
  /// Executions of one batch size.
  public struct BatchSize: Sendable, Hashable {
    /// Rows of the batch.
    public var rows: Int64
    /// Executions.
    public var count: Int64
    /// Nanoseconds summed over executions.
    public var input: Int64
    /// As `input`.
    public var infer: Int64
    /// As `input`.
    public var output: Int64
  }

  /// The model.
  public var name: String
  /// Its version.
  public var version: String
  /// Rows inferred.
  public var inferences: Int64
  /// Executions: batches.
  public var executions: Int64
  /// Requests answered.
  public var requests: Int64
  /// Requests failed.
  public var failures: Int64
  /// Sums over requests, nanoseconds: whole, queue, input, infer, output.
  public var total: Int64
  /// As `total`.
  public var queue: Int64
  /// As `total`.
  public var input: Int64
  /// As `total`.
  public var infer: Int64
  /// As `total`.
  public var output: Int64
  /// By batch size.
  public var batches: [BatchSize]

  /// Every model of a statistics answer.
  public static func all(in document: JSONValue) throws(ServerStatisticsError) -> [ModelStatistics] {
    guard let list = document["model_stats"]?.arrayValue else {
      throw ServerStatisticsError("no \"model_stats\": expected the answer of GET /v2/models/NAME/stats")
    }
    var models: [ModelStatistics] = []
    for entry in list {
      guard let name = entry["name"]?.stringValue else {
        throw ServerStatisticsError("model_stats[\(models.count)]: no \"name\"")
      }
      let inference = entry["inference_stats"]
      func number(_ value: JSONValue?) -> Int64 { max(0, value?.integerValue ?? value?.doubleValue.map { Int64(saturating: $0) } ?? 0) }
      func sum(_ key: String) -> (count: Int64, nanoseconds: Int64) { (number(inference?[key]?["count"]), number(inference?[key]?["ns"])) }
      let batches = (entry["batch_stats"]?.arrayValue ?? []).map { batch in
        BatchSize(
          rows: number(batch["batch_size"]), count: number(batch["compute_infer"]?["count"]), input: number(batch["compute_input"]?["ns"]),
          infer: number(batch["compute_infer"]?["ns"]), output: number(batch["compute_output"]?["ns"]))
      }
      models.append(
        ModelStatistics(
          name: name, version: entry["version"]?.stringValue ?? "", inferences: number(entry["inference_count"]),
          executions: number(entry["execution_count"]), requests: sum("success").count, failures: sum("fail").count,
          total: sum("success").nanoseconds, queue: sum("queue").nanoseconds, input: sum("compute_input").nanoseconds,
          infer: sum("compute_infer").nanoseconds, output: sum("compute_output").nanoseconds, batches: batches))
    }
    return models
  }

  /// What happened between two moments. nil where the counters went back: the server was restarted or the model reloaded.
  public func since(_ before: ModelStatistics) -> ModelStatistics? {
    var difference = self
    difference.inferences -= before.inferences
    difference.executions -= before.executions
    difference.requests -= before.requests
    difference.failures -= before.failures
    difference.total -= before.total
    difference.queue -= before.queue
    difference.input -= before.input
    difference.infer -= before.infer
    difference.output -= before.output
    let earlier = Dictionary(before.batches.map { ($0.rows, $0) }, uniquingKeysWith: { first, _ in first })
    difference.batches = batches.compactMap { batch in
      guard let old = earlier[batch.rows] else { return batch }
      let change = BatchSize(
        rows: batch.rows, count: batch.count - old.count, input: batch.input - old.input, infer: batch.infer - old.infer,
        output: batch.output - old.output)
      return change.count > 0 ? change : nil
    }.sorted { $0.rows < $1.rows }
    let isForward =
      difference.inferences >= 0 && difference.executions >= 0 && difference.requests >= 0 && difference.total >= 0 && difference.queue >= 0
      && difference.infer >= 0
    return isForward ? difference : nil
  }
}

/// What a model's configuration says of batching, as GET /v2/models/NAME/config answers it.
public struct ServerConfiguration: Sendable, Hashable {
  /// Largest batch, rows; 0 where batching is off.
  public var maximumBatchSize: Int64
  /// dynamic_batching.preferred_batch_size, without the largest batch: where none is configured Triton answers that one.
  public var preferredBatchSizes: [Int64]
  /// dynamic_batching.max_queue_delay_microseconds; nil where there is no dynamic batching.
  public var queueDelayMicroseconds: Int64?
  /// Instances of the model, all groups.
  public var instances: Int64
  /// Where the instances run, as `kind` of every group says it; nil where that is open ("KIND_AUTO", "KIND_MODEL") or differs.
  public var instanceDevice: DeviceClass?

  /// From the answer.
  public init(_ document: JSONValue) {
    maximumBatchSize = document["max_batch_size"]?.integerValue ?? 0
    let batching = document["dynamic_batching"]
    let largest = maximumBatchSize
    preferredBatchSizes = (batching?["preferred_batch_size"]?.arrayValue?.compactMap(\.integerValue) ?? []).filter { $0 != largest }
    // Protobuf's JSON writes 64-bit numbers as text.
    let delay = batching?["max_queue_delay_microseconds"]
    queueDelayMicroseconds =
      batching == nil || batching == .null ? nil : delay?.integerValue ?? delay?.stringValue.flatMap { Int64($0) } ?? 0
    let groups = document["instance_group"]?.arrayValue ?? []
    instances = max(1, groups.reduce(Int64(0)) { $0.addingSaturated(max(0, $1["count"]?.integerValue ?? 1)) })
    let kinds = Set(groups.map { $0["kind"]?.stringValue })
    instanceDevice = kinds == ["KIND_CPU"] ? .processor : kinds == ["KIND_GPU"] ? .gpu : nil
  }
}
