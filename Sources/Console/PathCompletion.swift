import FileAccess

/// What a shell offers for a path that is being typed, where names that are no paths are offered beside it.
package enum PathCompletion {
  /// Files with one of the endings, and folders with a slash, that begin with what was typed.
  package static func paths(_ typed: String, endings: [String]) -> [String] {
    let cut = typed.lastIndex(of: "/").map { typed.index(after: $0) } ?? typed.startIndex
    let (folder, start) = (String(typed[..<cut]), typed[cut...])
    let names = (try? Files.entries(of: folder.isEmpty ? "." : folder)) ?? []
    return names.compactMap { name in
      guard name.hasPrefix(start), !name.hasPrefix(".") || start.hasPrefix(".") else { return nil }
      switch Files.kind(of: folder + name) {
      case .folder: return folder + name + "/"
      case .file: return endings.contains { name.hasSuffix($0) } ? folder + name : nil
      case nil: return nil
      }
    }
  }
}
