/// Where a library that is loaded at run time is looked for.
public struct LibrarySearch: Sendable, Hashable {
  /// What it is called in messages.
  public var name: String
  /// The environment variable that names the only place looked at.
  public var variable: String
  /// How its file is called: the rest is its version.
  public var prefix: String
  /// What to do where it is missing.
  public var remedy: String
  /// The only place looked at, where set.
  public var explicitPath: String?
  /// Folders searched for files whose names begin with the prefix, in order.
  public var folders: [String]
  /// What the dynamic linker is asked for last; nil: it is not asked.
  public var linkerName: String?

  /// Files to try, in order.
  public var candidates: [String] {
    if let explicitPath { return [explicitPath] }
    return folders.flatMap { EngineFolders.libraries($0, prefix: prefix) } + (linkerName.map { [$0] } ?? [])
  }

  /// What an error says when none of the candidates loads, with a reason for each.
  func absence(_ reasons: [String]) -> String {
    let details = reasons.isEmpty ? "" : " (\(reasons.joined(separator: "; ")))"
    if let explicitPath { return "\(variable) names \(explicitPath), which does not load; \(remedy)" + details }
    let places = folders.map { "\($0)/\(prefix)*" } + (linkerName.map { ["the dynamic linker's \($0)"] } ?? [])
    return "\(name) is not installed (looked for \(places.joined(separator: ", "))); \(remedy)" + details
  }
}

extension LibrarySearch {
  /// `HEADROOM_ONNXRUNTIME`; else `.engines/onnxruntime/lib` below the current folder, then beside the executable; else the dynamic linker's
  /// `libonnxruntime.so.1`.
  public static var onnxRuntime: LibrarySearch {
    onnxRuntime(
      explicitPath: EngineFolders.variable("HEADROOM_ONNXRUNTIME"), folders: EngineFolders.standard(".engines/onnxruntime/lib"),
      linkerName: "libonnxruntime.so.1")
  }

  /// ONNX Runtime in those places.
  public static func onnxRuntime(explicitPath: String?, folders: [String], linkerName: String?) -> LibrarySearch {
    LibrarySearch(
      name: "ONNX Runtime", variable: "HEADROOM_ONNXRUNTIME", prefix: "libonnxruntime.so",
      remedy: "`pip install onnxruntime`, then set HEADROOM_ONNXRUNTIME to its capi/libonnxruntime.so.*, or run Scripts/fetch-onnxruntime",
      explicitPath: explicitPath, folders: folders, linkerName: linkerName)
  }

  /// `HEADROOM_ONEDNN`; else `.engines/onednn/lib` below the current folder, then beside the executable; else the dynamic linker's
  /// `libdnnl.so.3`.
  public static var oneDNN: LibrarySearch {
    oneDNN(
      explicitPath: EngineFolders.variable("HEADROOM_ONEDNN"), folders: EngineFolders.standard(".engines/onednn/lib"),
      linkerName: "libdnnl.so.3")
  }

  /// oneDNN in those places.
  public static func oneDNN(explicitPath: String?, folders: [String], linkerName: String?) -> LibrarySearch {
    LibrarySearch(
      name: "oneDNN", variable: "HEADROOM_ONEDNN", prefix: "libdnnl.so",
      remedy:
        "run Scripts/fetch-onednn, or `pip install --no-deps onednn-cpu-gomp==2023.2.0`, then set HEADROOM_ONEDNN to its lib/libdnnl.so.3",
      explicitPath: explicitPath, folders: folders, linkerName: linkerName)
  }
}
