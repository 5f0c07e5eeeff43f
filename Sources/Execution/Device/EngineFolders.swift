import FileAccess
import Glibc

/// Folders in which libraries that are loaded at run time are looked for.
enum EngineFolders {
  /// `folder` below the current folder, then beside the executable.
  static func standard(_ folder: String) -> [String] { [folder] + (Files.executableFolder.map { [$0 + "/" + folder] } ?? []) }

  /// What an environment variable holds, if anything.
  static func variable(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }

  /// Files of a folder whose names begin so, the newest name first, should it hold several versions.
  static func libraries(_ folder: String, prefix: String) -> [String] {
    let names = (try? Files.entries(of: folder)) ?? []
    return names.filter { $0.hasPrefix(prefix) && !$0.hasSuffix(".part") }.map { folder + "/" + $0 }.sorted(by: >)
  }
}
