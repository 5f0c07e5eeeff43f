/// Where something stands in a text. Both count from 1.
public struct TextPosition: Sendable, Hashable, CustomStringConvertible {
  /// Line.
  public var line: Int
  /// Column, in characters.
  public var column: Int

  /// A place.
  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// "3:14".
  public var description: String { "\(line):\(column)" }
}

/// Why a model's configuration was not taken.
public struct ModelConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
  /// File, where it came from one.
  public var file: String?
  /// Place; nil for rules about the whole.
  public var position: TextPosition?
  /// What was wrong and what to do.
  public var reason: String

  /// "config.pbtxt:3:14: reason".
  public var description: String {
    let place = [file, position.map { "\($0)" }].compactMap { $0 }.joined(separator: ":")
    return place.isEmpty ? reason : "\(place): \(reason)"
  }

  init(_ reason: String, at position: TextPosition? = nil, file: String? = nil) {
    self.reason = reason
    self.position = position
    self.file = file
  }
}

/// Something that was read and has no effect.
public struct ModelConfigurationWarning: Sendable, Hashable, CustomStringConvertible {
  /// Place.
  public var position: TextPosition
  /// Path of the field, as in "optimization.graph.level".
  public var field: String
  /// Why it has no effect here.
  public var reason: String

  /// "3:14: optimization.graph.level is ignored: ...".
  public var description: String { "\(position): \(field) is ignored: \(reason)" }
}
