import CheckedNumbers
import Glibc

/// A JSON document as a flat list of nodes over the text, kept between documents so that reading one allocates nothing in steady state.
///
/// An array that holds nothing but numbers is one node: its values are converted while they are read (`numbers`), which is what makes a
/// tensor in JSON cheap. Grammar, order of checks and error offsets are RapidJSON's with `kParseNanAndInfFlag`, as the reference server
/// uses it (triton-inference-server/common `include/triton/common/triton_json.h`); ours are a limit on nesting and nothing else.
public struct JSONTape: Sendable {
  /// What a node is.
  public enum Kind: UInt8, Sendable, Hashable {
    case null, bool, string, integer, unsigned, double, array, object
    /// An array of integers that fit Int64: `numbers` holds their bit patterns.
    case integers
    /// An array of numbers: `numbers` holds Double bit patterns.
    case doubles

    /// Any array.
    public var isArray: Bool { self == .array || self == .integers || self == .doubles }
  }

  /// One value. `first`: text offset of a string's content, index into `numbers` of a run, or the value's own bits.
  public struct Node: Sendable, Hashable {
    /// What the value is.
    public var kind: Kind
    /// A string has escapes.
    public var isEscaped = false
    /// Where its content starts, or the number itself.
    public var first: Int
    /// Bytes of a string's content; elements of an array; members of an object.
    public var count: Int
    /// Index of the node after this one's last descendant.
    public var next: Int
  }

  /// Nodes in text order; 0 is the document. An object's children alternate between names (strings) and values.
  public private(set) var nodes: [Node] = []
  /// Values of number runs.
  public private(set) var numbers: [UInt64] = []

  /// Levels of nesting taken at most.
  public static let deepestNesting = 200

  /// An empty tape.
  public init() {}

  /// Reads a document; the tape's earlier content is gone. The same bytes are needed again to read strings.
  public mutating func read(_ text: UnsafeRawBufferPointer) throws(JSONFault) {
    nodes.removeAll(keepingCapacity: true)
    numbers.removeAll(keepingCapacity: true)
    let bytes = text.bindMemory(to: UInt8.self)
    var reader = Reader(text: bytes)
    reader.skipSpace()
    guard !reader.isAtEnd else { throw JSONFault(reason: .documentEmpty, offset: reader.position) }
    try value(&reader, depth: 0)
    reader.skipSpace()
    if !reader.isAtEnd { throw JSONFault(reason: .rootNotSingular, offset: reader.position) }
  }

  /// The value of a member; the first where a name stands twice, as RapidJSON's FindMember.
  public func member(_ object: Int, _ name: StaticString, in text: UnsafeRawBufferPointer) -> Int? {
    guard nodes.indices.contains(object), nodes[object].kind == .object else { return nil }
    let length = name.utf8CodeUnitCount
    var index = object + 1
    for _ in 0..<nodes[object].count {
      let node = nodes[index]
      if node.count == length || node.isEscaped, matches(index, name, in: text) { return index + 1 }
      index = nodes[index + 1].next
    }
    return nil
  }

  /// Whether a string node is this text.
  public func matches(_ string: Int, _ name: StaticString, in text: UnsafeRawBufferPointer) -> Bool {
    let node = nodes[string]
    if node.isEscaped { return self.string(string, in: text) == name.description }
    guard node.count == name.utf8CodeUnitCount, node.first + node.count <= text.count, let start = text.baseAddress else { return false }
    return memcmp(start + node.first, name.utf8Start, node.count) == 0
  }

  /// A string node's text, escapes resolved.
  public func string(_ index: Int, in text: UnsafeRawBufferPointer) -> String {
    let node = nodes[index]
    let content = UnsafeRawBufferPointer(rebasing: text[node.first..<node.first + node.count])
    return node.isEscaped ? JSONString.unescaped(content) : String(decoding: content, as: UTF8.self)
  }

  // MARK: - Reading

  private mutating func value(_ reader: inout Reader, depth: Int) throws(JSONFault) {
    guard depth <= Self.deepestNesting else { throw JSONFault(reason: .tooDeep, offset: reader.position) }
    switch reader.peek {
    case UInt8(ascii: "{"): try object(&reader, depth: depth)
    case UInt8(ascii: "["): try array(&reader, depth: depth)
    case UInt8(ascii: "\""):
      let (first, count, isEscaped) = try reader.string()
      append(Node(kind: .string, isEscaped: isEscaped, first: first, count: count, next: 0))
    case UInt8(ascii: "n"):
      try reader.word("null")
      append(Node(kind: .null, first: 0, count: 0, next: 0))
    case UInt8(ascii: "t"):
      try reader.word("true")
      append(Node(kind: .bool, first: 1, count: 0, next: 0))
    case UInt8(ascii: "f"):
      try reader.word("false")
      append(Node(kind: .bool, first: 0, count: 0, next: 0))
    default: append(Self.node(of: try reader.number()))
    }
  }

  private static func node(of number: Reader.Number) -> Node {
    switch number {
    case .integer(let value): Node(kind: .integer, first: Int(value), count: 0, next: 0)
    case .unsigned(let value): Node(kind: .unsigned, first: Int(bitPattern: UInt(value)), count: 0, next: 0)
    case .double(let value): Node(kind: .double, first: Int(bitPattern: UInt(value.bitPattern)), count: 0, next: 0)
    }
  }

  private mutating func append(_ node: Node) {
    var node = node
    node.next = nodes.count + 1
    nodes.append(node)
  }

  private mutating func object(_ reader: inout Reader, depth: Int) throws(JSONFault) {
    let own = nodes.count
    append(Node(kind: .object, first: 0, count: 0, next: 0))
    reader.position += 1
    reader.skipSpace()
    if reader.consume(UInt8(ascii: "}")) { return }
    var members = 0
    while true {
      guard reader.peek == UInt8(ascii: "\"") else { throw JSONFault(reason: .missingName, offset: reader.position) }
      let (first, count, isEscaped) = try reader.string()
      append(Node(kind: .string, isEscaped: isEscaped, first: first, count: count, next: 0))
      reader.skipSpace()
      guard reader.consume(UInt8(ascii: ":")) else { throw JSONFault(reason: .missingColon, offset: reader.position) }
      reader.skipSpace()
      try value(&reader, depth: depth + 1)
      members += 1
      reader.skipSpace()
      if reader.consume(UInt8(ascii: ",")) {
        reader.skipSpace()
      } else if reader.consume(UInt8(ascii: "}")) {
        nodes[own].count = members
        nodes[own].next = nodes.count
        return
      } else {
        throw JSONFault(reason: .missingCommaOrBrace, offset: reader.position)
      }
    }
  }

  private mutating func array(_ reader: inout Reader, depth: Int) throws(JSONFault) {
    let own = nodes.count
    append(Node(kind: .array, first: 0, count: 0, next: 0))
    reader.position += 1
    reader.skipSpace()
    if reader.consume(UInt8(ascii: "]")) { return }
    var elements = 0
    // Numbers from the start: a run, until something else comes.
    let first = numbers.count
    var kind = Kind.integers
    while reader.startsNumber {
      let number: Reader.Number = if kind == .integers, let short = reader.shortInteger() { .integer(short) } else { try reader.number() }
      switch (number, kind) {
      case (.integer(let value), .integers): numbers.append(UInt64(bitPattern: value))
      case (.integer(let value), _): numbers.append(Double(value).bitPattern)
      case (.double(let value), _):
        if kind == .integers {
          kind = .doubles
          for index in first..<numbers.count { numbers[index] = Double(Int64(bitPattern: numbers[index])).bitPattern }
        }
        numbers.append(value.bitPattern)
      case (.unsigned(let value), _):
        // Beyond Int64: single nodes keep it exact.
        unroll(from: first, kind: kind)
        elements += numbers.count - first
        numbers.removeSubrange(first...)
        append(Self.node(of: .unsigned(value)))
        try rest(&reader, own: own, elements: elements + 1, depth: depth)
        return
      }
      reader.skipSpace()
      if reader.consume(UInt8(ascii: ",")) {
        reader.skipSpace()
        continue
      }
      guard reader.consume(UInt8(ascii: "]")) else { throw JSONFault(reason: .missingCommaOrBracket, offset: reader.position) }
      nodes[own] = Node(kind: kind, first: first, count: numbers.count - first, next: own + 1)
      return
    }
    if numbers.count > first {
      unroll(from: first, kind: kind)
      elements = numbers.count - first
      numbers.removeSubrange(first...)
    }
    try value(&reader, depth: depth + 1)
    try rest(&reader, own: own, elements: elements + 1, depth: depth)
  }

  /// Turns a run back into nodes: something other than a number follows.
  private mutating func unroll(from first: Int, kind: Kind) {
    for index in first..<numbers.count {
      append(
        kind == .integers
          ? Node(kind: .integer, first: Int(Int64(bitPattern: numbers[index])), count: 0, next: 0)
          : Node(kind: .double, first: Int(bitPattern: UInt(numbers[index])), count: 0, next: 0))
    }
  }

  /// The elements after the first `elements`, as nodes.
  private mutating func rest(_ reader: inout Reader, own: Int, elements: Int, depth: Int) throws(JSONFault) {
    var elements = elements
    while true {
      reader.skipSpace()
      if reader.consume(UInt8(ascii: ",")) {
        reader.skipSpace()
        try value(&reader, depth: depth + 1)
        elements += 1
      } else if reader.consume(UInt8(ascii: "]")) {
        nodes[own].count = elements
        nodes[own].next = nodes.count
        return
      } else {
        throw JSONFault(reason: .missingCommaOrBracket, offset: reader.position)
      }
    }
  }
}
