import CheckedNumbers
import Yams

/// A place in a YAML tree; `Node` alone is also a model's.
package typealias YAMLNode = Yams.Node

/// A mapping of the file whose fields are taken one by one; what is left over is unknown.
package struct YAMLFields {
  package let path: String
  package let file: String
  package let line: Int
  private var values: [String: YAMLNode] = [:]
  private var order: [String] = []

  package init(_ node: YAMLNode, path: String, file: String) throws(YAMLFieldError) {
    self.path = path
    self.file = file
    self.line = node.mark?.line ?? 1
    guard case .mapping(let mapping) = node else {
      throw YAMLFieldError("\(file):\(line): \(path.isEmpty ? "the file" : path): fields (name: value) are expected")
    }
    for (key, value) in mapping {
      guard let name = key.string else { throw YAMLFieldError("\(file):\(key.mark?.line ?? line): a field's name is expected") }
      guard values[name] == nil else { throw YAMLFieldError("\(file):\(key.mark?.line ?? line): \(fieldPath(name)) is given twice") }
      values[name] = value
      order.append(name)
    }
  }

  /// As they stand in the file.
  package var names: [String] { order }

  package func fieldPath(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

  package func error(_ name: String, _ node: YAMLNode?, _ reason: String) -> YAMLFieldError {
    YAMLFieldError("\(file):\(node?.mark?.line ?? line): \(fieldPath(name)): \(reason)")
  }

  package mutating func take(_ name: String) -> YAMLNode? { values.removeValue(forKey: name) }

  package mutating func fields(_ name: String) throws(YAMLFieldError) -> YAMLFields? {
    guard let node = take(name) else { return nil }
    return try YAMLFields(node, path: fieldPath(name), file: file)
  }

  package mutating func string(_ name: String) throws(YAMLFieldError) -> String? {
    guard let node = take(name) else { return nil }
    guard case .scalar(let scalar) = node else { throw error(name, node, "a single value is expected") }
    return scalar.string
  }

  /// A value read by `convert`; nil from it is an error that says `expected`.
  package mutating func value<T>(_ name: String, _ expected: String, _ convert: (String) -> T?) throws(YAMLFieldError) -> T? {
    guard let node = take(name) else { return nil }
    guard case .scalar(let scalar) = node, let value = convert(scalar.string) else {
      let given = node.string.map { "\"\($0)\"; " } ?? ""
      throw error(name, node, "\(given)\(expected) is expected")
    }
    return value
  }

  package mutating func int(_ name: String, _ range: ClosedRange<Int>) throws(YAMLFieldError) -> Int? {
    try value(name, "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
      Int(text.filter { $0 != "_" }).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  package mutating func number(_ name: String, _ range: ClosedRange<Double>) throws(YAMLFieldError) -> Double? {
    try value(name, "a number from \(range.lowerBound) to \(range.upperBound)") { text in
      Double(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  package mutating func flag(_ name: String) throws(YAMLFieldError) -> Bool? {
    try value(name, "true or false") { ["true": true, "false": false][$0.lowercased()] }
  }

  package mutating func list(_ name: String) throws(YAMLFieldError) -> [YAMLNode]? {
    guard let node = take(name) else { return nil }
    guard case .sequence(let sequence) = node else { throw error(name, node, "a list is expected") }
    return Array(sequence)
  }

  /// Every field must be one of these. Asked first, so that a slip in a name is not reported as what its absence causes.
  package func check(known: String) throws(YAMLFieldError) {
    let names = known.split(separator: ",").map { $0.drop { $0 == " " } }
    guard let name = order.first(where: { !names.contains(Substring($0)) }) else { return }
    throw error(name, values[name], "there is no such field here; there are \(known)")
  }
}

extension YAMLFields {
  /// The fields of a whole file. `kind` is what it should be ("an experiment"), `whenEmpty` what to do about an empty one; both for messages.
  package init(text: String, file: String, kind: String, whenEmpty: String) throws(YAMLFieldError) {
    if let line = Self.tooDeep(text) { throw YAMLFieldError("\(file):\(line): nested too deeply for \(kind)") }
    let node: YAMLNode?
    do { node = try Yams.compose(yaml: text) } catch let error as YamlError {
      throw YAMLFieldError("\(file): \(Self.describe(error))")
    } catch { throw YAMLFieldError("\(file): \(error)") }
    guard let node else { throw YAMLFieldError("\(file): the file is empty; \(whenEmpty)") }
    try self.init(node, path: "", file: file)
  }

  /// The first line whose nesting no settings need: Yams recurses, and a stack ends sooner than a file. Brackets are counted whether
  /// quoted or not; a block's depth is at most the column where its text begins.
  private static func tooDeep(_ text: String) -> Int? {
    var (line, open, column, isIndented) = (1, 0, 0, true)
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\n"): (line, column, isIndented) = (line + 1, 0, true)
      case UInt8(ascii: "["), UInt8(ascii: "{"): (open, isIndented) = (open + 1, false)
      case UInt8(ascii: "]"), UInt8(ascii: "}"): (open, isIndented) = (max(0, open - 1), false)
      case UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ":"): if isIndented { column += 1 }
      default: isIndented = false
      }
      if open > 64 || column > 128 { return line }
    }
    return nil
  }

  private static func describe(_ error: YamlError) -> String {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      "line \(mark.line), column \(mark.column): \(problem)"
    default: "\(error)"
    }
  }
}
