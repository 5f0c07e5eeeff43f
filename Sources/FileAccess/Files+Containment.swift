import Glibc

extension Files {
  /// The path of a file that `name` names inside `folder`, with every symbolic link resolved. A name that leaves the folder is an error,
  /// by `..` or through a link, and says nothing about what lies outside. The folder itself may be reached through links.
  public static func path(of name: String, inside folder: String) throws(FileError) -> String {
    let joined = "\(folder)/\(name)"
    guard !name.isEmpty, !name.utf8.contains(0) else {
      throw FileError(path: joined, action: "use", reason: "an empty name, or one with a zero byte, names no file")
    }
    let outside = FileError(path: joined, action: "use", reason: "it is outside \(folder)")
    var depth = 0
    for part in name.split(separator: "/") where part != "." {
      depth += part == ".." ? -1 : 1
      if depth < 0 { throw outside }
    }
    let (base, found) = (try resolved(folder), try resolved(joined))
    guard found == base || found.hasPrefix(base == "/" ? base : base + "/") else { throw outside }
    return found
  }

  /// The path with every symbolic link resolved.
  public static func resolved(_ path: String) throws(FileError) -> String {
    guard let found = realpath(path, nil) else { throw FileError(path: path, action: "open", errno: errno) }
    defer { free(found) }
    return String(cString: found)
  }
}
