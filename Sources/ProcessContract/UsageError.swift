/// A command was given something that it cannot mean. The program ends with `ExitStatus.usage` and names its help.
public struct UsageError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The option, what was wrong with it, and what to write instead.
  public var description: String

  /// With a message.
  public init(_ description: String) { self.description = description }
}
