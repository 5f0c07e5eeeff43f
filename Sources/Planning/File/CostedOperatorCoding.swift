import JSONText
import ModelGraph

/// Operators known by their cost, as JSON for plan files.
enum CostedOperatorCoding {
  static func json(_ costed: CostedOperator) -> JSONValue {
    [
      "type": JSONValue(costed.type), "unplanned": JSONValue(costed.unplanned), "fused": .array(costed.fused.map { JSONValue($0) }),
      "results": .array(
        costed.results.map { ["type": JSONValue($0.type.rawValue), "shape": OperationCoding.json($0.shape)] }),
      "work": .array(costed.work.map(json)),
    ]
  }

  private static func json(_ work: CostedOperator.Work) -> JSONValue {
    switch work {
    case .product(let batch, let m, let n, let k, let source, let repetitions):
      [
        "kind": "product", "batch": OperationCoding.json(batch), "m": OperationCoding.json(m), "n": OperationCoding.json(n),
        "k": OperationCoding.json(k), "source": source.map(OperationCoding.json) ?? .null,
        "repetitions": OperationCoding.json(repetitions),
      ]
    case .traffic(let operations, let elements):
      ["kind": "traffic", "operations": JSONValue(operations), "elements": OperationCoding.json(elements)]
    }
  }

  /// Nil where a member is missing or of the wrong kind.
  static func costed(_ json: JSONValue) -> CostedOperator? {
    guard let type = json["type"]?.stringValue, let results = json["results"]?.arrayValue, let work = json["work"]?.arrayValue,
      let fused = json["fused"]?.arrayValue
    else { return nil }
    let readResults = results.compactMap { entry -> CostedOperator.Result? in
      guard let type = entry["type"]?.stringValue.flatMap({ DataType(rawValue: $0) }), let shape = shape(entry, "shape") else { return nil }
      return CostedOperator.Result(type: type, shape: shape)
    }
    let readWork = work.compactMap(self.work)
    guard readResults.count == results.count, readWork.count == work.count else { return nil }
    var costed = CostedOperator(type: type, results: readResults, work: readWork, unplanned: json["unplanned"]?.stringValue)
    costed.fused = fused.compactMap(\.stringValue)
    return costed
  }

  private static func work(_ json: JSONValue) -> CostedOperator.Work? {
    switch json["kind"]?.stringValue {
    case "product":
      guard let batch = shape(json, "batch"), let m = shape(json, "m"), let n = shape(json, "n"), let k = shape(json, "k"),
        let repetitions = shape(json, "repetitions")
      else { return nil }
      return .product(batch: batch, m: m, n: n, k: k, source: shape(json, "source"), repetitions: repetitions)
    case "traffic":
      guard let operations = json["operations"]?.doubleValue, operations.isFinite, operations >= 0, let elements = shape(json, "elements")
      else { return nil }
      return .traffic(operations: operations, elements: elements)
    default: return nil
    }
  }

  private static func shape(_ json: JSONValue, _ name: String) -> Shape? { json[name].flatMap(OperationCoding.shape) }
}
