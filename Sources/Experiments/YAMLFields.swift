import CheckedNumbers
import Yams

/// A place in a YAML tree; `Node` alone is also a model's.
typealias YAMLNode = Yams.Node

/// A mapping of the file whose fields are taken one by one; what is left over is unknown.
struct YAMLFields {
  let path: String
  let file: String
  let line: Int
  private var values: [String: YAMLNode] = [:]
  private var order: [String] = []

  init(_ node: YAMLNode, path: String, file: String) throws(ExperimentError) {
    self.path = path
    self.file = file
    self.line = node.mark?.line ?? 1
    guard case .mapping(let mapping) = node else {
      throw ExperimentError("\(file):\(line): \(path.isEmpty ? "the file" : path): fields (name: value) are expected")
    }
    for (key, value) in mapping {
      guard let name = key.string else { throw ExperimentError("\(file):\(key.mark?.line ?? line): a field's name is expected") }
      guard values[name] == nil else { throw ExperimentError("\(file):\(key.mark?.line ?? line): \(fieldPath(name)) is given twice") }
      values[name] = value
      order.append(name)
    }
  }

  /// As they stand in the file.
  var names: [String] { order }

  func fieldPath(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

  func error(_ name: String, _ node: YAMLNode?, _ reason: String) -> ExperimentError {
    ExperimentError("\(file):\(node?.mark?.line ?? line): \(fieldPath(name)): \(reason)")
  }

  mutating func take(_ name: String) -> YAMLNode? { values.removeValue(forKey: name) }

  mutating func fields(_ name: String) throws(ExperimentError) -> YAMLFields? {
    guard let node = take(name) else { return nil }
    return try YAMLFields(node, path: fieldPath(name), file: file)
  }

  mutating func string(_ name: String) throws(ExperimentError) -> String? {
    guard let node = take(name) else { return nil }
    guard case .scalar(let scalar) = node else { throw error(name, node, "a single value is expected") }
    return scalar.string
  }

  /// A value read by `convert`; nil from it is an error that says `expected`.
  mutating func value<T>(_ name: String, _ expected: String, _ convert: (String) -> T?) throws(ExperimentError) -> T? {
    guard let node = take(name) else { return nil }
    guard case .scalar(let scalar) = node, let value = convert(scalar.string) else {
      let given = node.string.map { "\"\($0)\"; " } ?? ""
      throw error(name, node, "\(given)\(expected) is expected")
    }
    return value
  }

  mutating func int(_ name: String, _ range: ClosedRange<Int>) throws(ExperimentError) -> Int? {
    try value(name, "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
      Int(text.filter { $0 != "_" }).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  mutating func number(_ name: String, _ range: ClosedRange<Double>) throws(ExperimentError) -> Double? {
    try value(name, "a number from \(range.lowerBound) to \(range.upperBound)") { text in
      Double(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  mutating func flag(_ name: String) throws(ExperimentError) -> Bool? {
    try value(name, "true or false") { ["true": true, "false": false][$0.lowercased()] }
  }

  mutating func list(_ name: String) throws(ExperimentError) -> [YAMLNode]? {
    guard let node = take(name) else { return nil }
    guard case .sequence(let sequence) = node else { throw error(name, node, "a list is expected") }
    return Array(sequence)
  }

  /// Every field must be one of these. Asked first, so that a slip in a name is not reported as what its absence causes.
  func check(known: String) throws(ExperimentError) {
    let names = known.split(separator: ",").map { $0.drop { $0 == " " } }
    guard let name = order.first(where: { !names.contains(Substring($0)) }) else { return }
    throw error(name, values[name], "there is no such field here; there are \(known)")
  }
}
