/// Where ONNX Runtime's library is looked for.
public struct ONNXRuntimeSearch: Sendable, Hashable {
  /// The only place looked at, where set.
  public var explicitPath: String?
  /// Folders searched for `libonnxruntime.so*`, in order.
  public var folders: [String]
  /// What the dynamic linker is asked for last; nil: it is not asked.
  public var linkerName: String?

  /// Every field stated.
  public init(explicitPath: String?, folders: [String], linkerName: String?) {
    self.explicitPath = explicitPath
    self.folders = folders
    self.linkerName = linkerName
  }

  /// `HEADROOM_ONNXRUNTIME`; else `.engines/onnxruntime/lib` below the current folder, then beside the executable; else the dynamic
  /// linker's `libonnxruntime.so.1`.
  public static var standard: ONNXRuntimeSearch {
    return ONNXRuntimeSearch(
      explicitPath: EngineFolders.variable("HEADROOM_ONNXRUNTIME"), folders: EngineFolders.standard(".engines/onnxruntime/lib"),
      linkerName: "libonnxruntime.so.1")
  }

  /// Files to try, in order.
  public var candidates: [String] {
    if let explicitPath { return [explicitPath] }
    return folders.flatMap { EngineFolders.libraries($0, prefix: "libonnxruntime.so") } + (linkerName.map { [$0] } ?? [])
  }

  /// What an error says when none of the candidates loads.
  var absence: String {
    let remedy =
      "`pip install onnxruntime`, then set HEADROOM_ONNXRUNTIME to its capi/libonnxruntime.so.*, or run Scripts/fetch-onnxruntime"
    if let explicitPath { return "HEADROOM_ONNXRUNTIME names \(explicitPath), which does not load; \(remedy)" }
    let places = folders.map { $0 + "/libonnxruntime.so*" } + (linkerName.map { ["the dynamic linker's \($0)"] } ?? [])
    return "ONNX Runtime is not installed (looked for \(places.joined(separator: ", "))); \(remedy)"
  }
}
