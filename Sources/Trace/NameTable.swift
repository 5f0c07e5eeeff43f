import CheckedNumbers

/// A text in a trace's table of names.
@frozen public struct NameID: Sendable, Hashable, Comparable {
  /// Position in the table; -1 for none.
  public let rawValue: Int32

  /// The name at a position.
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

  /// No name was recorded.
  @inlinable public static var unknown: NameID { NameID(rawValue: -1) }

  /// By position.
  @inlinable public static func < (left: NameID, right: NameID) -> Bool { left.rawValue < right.rawValue }
}

/// Every text of a trace, once. Two texts are the same when their bytes are: Swift's own equality would merge canonical
/// equivalents, and a trace that is written and read back must not change a byte.
public struct NameTable: Sendable, Hashable {
  private struct Bytes: Sendable, Hashable {
    var utf8: [UInt8]
  }

  /// The texts in the order they were first seen.
  public private(set) var texts: [String] = []
  private var positions: [Bytes: Int32] = [:]

  /// No names.
  public init() {}

  /// Distinct texts.
  public var count: Int { texts.count }

  /// The id of a text, new or known. Intern outside loops; a lookup hashes the text.
  public mutating func intern(_ text: String) -> NameID {
    let key = Bytes(utf8: Array(text.utf8))
    if let position = positions[key] { return NameID(rawValue: position) }
    // 2^31 distinct texts do not fit in memory; were they to, the last ones would read as unknown.
    guard let position = Int32(exactly: texts.count) else { return .unknown }
    texts.append(text)
    positions[key] = position
    return NameID(rawValue: position)
  }

  /// The id of a text that is already known.
  public func id(of text: String) -> NameID? { positions[Bytes(utf8: Array(text.utf8))].map(NameID.init) }

  /// The text; nil for `.unknown` and for ids of another trace that lie outside this one.
  public subscript(id: NameID) -> String? {
    let position = Int(id.rawValue)
    return texts.indices.contains(position) ? texts[position] : nil
  }
}
