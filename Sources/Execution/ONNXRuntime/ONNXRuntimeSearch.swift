import Glibc

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
    var explicitPath: String?
    if let value = getenv("HEADROOM_ONNXRUNTIME"), value.pointee != 0 { explicitPath = String(cString: value) }
    let engine = ".engines/onnxruntime/lib"
    var folders = [engine]
    if let folder = Self.executableFolder { folders.append(folder + "/" + engine) }
    return ONNXRuntimeSearch(explicitPath: explicitPath, folders: folders, linkerName: "libonnxruntime.so.1")
  }

  /// Files to try, in order.
  public var candidates: [String] {
    if let explicitPath { return [explicitPath] }
    return folders.flatMap(Self.libraries) + (linkerName.map { [$0] } ?? [])
  }

  /// What an error says when none of the candidates loads.
  var absence: String {
    let remedy =
      "`pip install onnxruntime`, then set HEADROOM_ONNXRUNTIME to its capi/libonnxruntime.so.*, or run Scripts/fetch-onnxruntime"
    if let explicitPath { return "HEADROOM_ONNXRUNTIME names \(explicitPath), which does not load; \(remedy)" }
    let places = folders.map { $0 + "/libonnxruntime.so*" } + (linkerName.map { ["the dynamic linker's \($0)"] } ?? [])
    return "ONNX Runtime is not installed (looked for \(places.joined(separator: ", "))); \(remedy)"
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

  /// The newest name first, should a folder hold several versions.
  private static func libraries(_ folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name.hasPrefix("libonnxruntime.so") { names.append(folder + "/" + name) }
    }
    return names.sorted(by: >)
  }
}
