import Glibc

/// Folders in which libraries that are loaded at run time are looked for.
enum EngineFolders {
  /// `folder` below the current folder, then beside the executable.
  static func standard(_ folder: String) -> [String] { [folder] + (executableFolder.map { [$0 + "/" + folder] } ?? []) }

  /// What an environment variable holds, if anything.
  static func variable(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }

  /// Files of a folder whose names begin so, the newest name first, should it hold several versions.
  static func libraries(_ folder: String, prefix: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name.hasPrefix(prefix), !name.hasSuffix(".part") { names.append(folder + "/" + name) }
    }
    return names.sorted(by: >)
  }

  private static var executableFolder: String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer -> String? in
      guard let base = buffer.baseAddress else { return nil }
      let count = readlink("/proc/self/exe", base, buffer.count)
      guard count > 0, count < buffer.count else { return nil }
      let path = buffer.prefix(count).map { UInt8(bitPattern: $0) }
      guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return nil }
      return String(decoding: path[..<slash], as: UTF8.self)
    }
  }
}
