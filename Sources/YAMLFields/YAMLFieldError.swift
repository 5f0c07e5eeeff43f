/// Why a YAML file could not be understood: its name, line and field, what was wrong, and what to do.
public struct YAMLFieldError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was wrong, where, and what to do.
  public var description: String

  /// With a message.
  public init(_ description: String) { self.description = description }
}
