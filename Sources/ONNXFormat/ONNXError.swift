/// Why a file is not a model that can be used.
public struct ONNXError: Error, Equatable, CustomStringConvertible {
  /// The file.
  public var file: String
  /// The node, value or tensor concerned; empty where it is the file as a whole.
  public var place: String
  /// What was wrong, and what to do where that is known.
  public var reason: String

  /// "model.onnx: node "/Resize": ...".
  public var description: String { place.isEmpty ? "\(file): \(reason)" : "\(file): \(place): \(reason)" }
}
