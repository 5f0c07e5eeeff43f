/// Where in a configuration something stands: in text at a line and column, in JSON at a member.
public enum ConfigurationPlace: Sendable, Hashable, CustomStringConvertible {
  /// Both 1-based; the column counts bytes.
  case position(line: Int, column: Int)
  /// A path such as `dynamic_batching.preferred_batch_size[1]`; empty for the whole document.
  case member(String)

  /// "3:7", or the path.
  public var description: String {
    switch self {
    case .position(let line, let column): "\(line):\(column)"
    case .member(let path): path
    }
  }

  /// "in line 3", "at input[0]": for the second place that an error names.
  var inWords: String {
    switch self {
    case .position(let line, _): "in line \(line)"
    case .member(let path): "at \(path)"
    }
  }

  func prefix(file: String) -> String {
    let place = description
    if file.isEmpty { return place.isEmpty ? "" : place + ": " }
    return place.isEmpty ? file + ": " : "\(file):\(place): "
  }
}
