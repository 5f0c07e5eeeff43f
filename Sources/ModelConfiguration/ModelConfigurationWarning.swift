/// A part of a configuration that has no effect here.
public struct ModelConfigurationWarning: Sendable, Hashable, CustomStringConvertible {
  /// The file, as it was named by the caller.
  public var file: String
  /// Where the part stands.
  public var place: ConfigurationPlace
  /// What is ignored, and why.
  public var reason: String

  /// "config.pbtxt:3:7: ...".
  public var description: String { place.prefix(file: file) + reason }

  /// A warning at a place.
  public init(file: String, place: ConfigurationPlace, reason: String) {
    self.file = file
    self.place = place
    self.reason = reason
  }
}
