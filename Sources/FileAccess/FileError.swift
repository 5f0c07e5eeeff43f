import Glibc

/// A file that could not be used, with what was tried and the system's reason.
public struct FileError: Error, Equatable, CustomStringConvertible {
  /// The path as it was given.
  public var path: String
  /// What was tried: "open", "read", ...
  public var action: String
  /// The reason, in words.
  public var reason: String

  /// An error of our own making.
  public init(path: String, action: String, reason: String) {
    self.path = path
    self.action = action
    self.reason = reason
  }

  /// The system call's error, from `errno` taken right after the call.
  init(path: String, action: String, errno code: Int32) {
    self.init(path: path, action: action, reason: String(cString: strerror(code)))
  }

  /// "cannot open model.onnx: No such file or directory".
  public var description: String { "cannot \(action) \(path): \(reason)" }
}
