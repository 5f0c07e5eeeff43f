/// Why a configuration cannot be used.
public struct ModelConfigurationError: Error, Hashable, CustomStringConvertible {
  /// The file, as it was named by the caller; empty when the error is about values, not text.
  public var file: String
  /// Where in the file; nil when the error is about values, not text.
  public var place: ConfigurationPlace?
  /// What is wrong, and what to do where that is not obvious.
  public var reason: String

  /// "config.pbtxt:3:7: ...", or the reason alone.
  public var description: String { (place?.prefix(file: file) ?? (file.isEmpty ? "" : file + ": ")) + reason }

  /// An error at a place, or about the values as a whole.
  public init(file: String = "", place: ConfigurationPlace? = nil, reason: String) {
    self.file = file
    self.place = place
    self.reason = reason
  }
}
