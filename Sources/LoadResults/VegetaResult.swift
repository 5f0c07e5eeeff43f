import CheckedNumbers
import JSONText
import Vocabulary

/// `vegeta report -type=json`: durations are nanoseconds (tsenart/vegeta `lib/metrics.go`).
enum VegetaResult {
  static func read(_ document: JSONValue, path: String) throws(LoadResultError) -> ObservedLoad {
    guard let latencies = document["latencies"], let requests = document["requests"]?.doubleValue, requests >= 0 else {
      throw LoadResultError(path: path, place: "requests", reason: "missing or no number: vegeta report -type=json writes it")
    }
    var load = ObservedLoad(.vegeta)
    load.loop = .open
    load.requests = Int64(saturating: requests)
    let success = document["success"]?.doubleValue ?? 1
    load.failures = Int64(saturating: (requests * (1 - success)).rounded())
    load.seconds = document["duration"]?.doubleValue.map { $0 / 1e9 }
    // "throughput" is of successful requests over attack and wait; "rate" of all over the attack alone.
    load.requestsPerSecond = document["throughput"]?.doubleValue ?? document["rate"]?.doubleValue
    load.meanSeconds = latencies["mean"]?.doubleValue.map { $0 / 1e9 }
    for (name, percent) in [("50th", 50.0), ("90th", 90), ("95th", 95), ("99th", 99), ("max", 100)] {
      if let value = latencies[name]?.doubleValue { load.percentiles.append(.init(percent, seconds: value / 1e9)) }
    }
    load.remarks = ["latencies count from the moment of sending: a late send is not in them"]
    return load
  }
}

/// Our own results, of `headroom load --json`.
enum HeadroomResult {
  static func read(_ document: JSONValue, _ schema: String, path: String) throws(LoadResultError) -> ObservedLoad {
    guard schema == "headroom.load/2" else {
      throw LoadResultError(
        path: path, place: "schema", reason: "\"\(schema)\" is no load result; headroom.load/2 is read (headroom load --json)")
    }
    var load = ObservedLoad(.headroom)
    func number(_ name: String) -> Double? { document[name]?.doubleValue }
    load.requestsPerSecond = number("requestsPerSecond")
    load.rowsPerSecond = number("rowsPerSecond")
    load.failures = number("errors").map { Int64(saturating: $0) }
    if let answers = number("responsesInWindow") { load.requests = Int64(saturating: answers).addingSaturated(load.failures ?? 0) }
    load.seconds = number("windowSeconds")
    switch document["load"]?["kind"]?.stringValue {
    case "closed":
      load.loop = .closed
      load.concurrency = document["load"]?["users"]?.doubleValue
    case "open", "replay": load.loop = .open
    default: break
    }
    if let latency = document["latency"] {
      load.meanSeconds = latency["meanMicroseconds"]?.doubleValue.map { $0 / 1e6 }
      for (name, percent) in [
        ("p50", 50.0), ("p75", 75), ("p90", 90), ("p95", 95), ("p99", 99), ("p99_9", 99.9), ("p99_99", 99.99), ("max", 100),
      ] {
        if let value = latency["\(name)Microseconds"]?.doubleValue { load.percentiles.append(.init(percent, seconds: value / 1e6)) }
      }
    }
    if let server = document["server"], server.objectValue != nil {
      func seconds(_ name: String) -> Double? { server["\(name)Microseconds"]?.doubleValue.map { $0 / 1e6 } }
      load.server = ObservedLoad.ServerTimes(
        queue: seconds("queue"), computeInput: seconds("computeInput"), computeInfer: seconds("computeInfer"),
        computeOutput: seconds("computeOutput"))
    }
    if let verdict = document["generator"]?["verdict"]?.stringValue {
      guard let kind = ClientVerdictKind(rawValue: verdict) else {
        throw LoadResultError(
          path: path, place: "generator.verdict",
          reason: "\"\(verdict)\" is none of \(ClientVerdictKind.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      load.isClientBound = kind == .clientBound
    }
    return load
  }
}
