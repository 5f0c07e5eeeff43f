/// Where oneDNN's library is looked for.
public struct OneDNNSearch: Sendable, Hashable {
  /// The only place looked at, where set.
  public var explicitPath: String?
  /// Folders searched for `libdnnl.so*`, in order.
  public var folders: [String]
  /// What the dynamic linker is asked for last; nil: it is not asked.
  public var linkerName: String?

  /// Every field stated.
  public init(explicitPath: String?, folders: [String], linkerName: String?) {
    self.explicitPath = explicitPath
    self.folders = folders
    self.linkerName = linkerName
  }

  /// `HEADROOM_ONEDNN`; else `.engines/onednn/lib` below the current folder, then beside the executable; else the dynamic linker's
  /// `libdnnl.so.3`.
  public static var standard: OneDNNSearch {
    OneDNNSearch(
      explicitPath: EngineFolders.variable("HEADROOM_ONEDNN"), folders: EngineFolders.standard(".engines/onednn/lib"),
      linkerName: "libdnnl.so.3")
  }

  /// Files to try, in order.
  public var candidates: [String] {
    if let explicitPath { return [explicitPath] }
    return folders.flatMap { EngineFolders.libraries($0, prefix: "libdnnl.so") } + (linkerName.map { [$0] } ?? [])
  }

  /// What an error says when none of the candidates loads.
  var absence: String {
    let remedy =
      "run Scripts/fetch-onednn, or `pip install --no-deps onednn-cpu-gomp==2023.2.0`, then set HEADROOM_ONEDNN to its lib/libdnnl.so.3"
    if let explicitPath { return "HEADROOM_ONEDNN names \(explicitPath), which does not load; \(remedy)" }
    let places = folders.map { $0 + "/libdnnl.so*" } + (linkerName.map { ["the dynamic linker's \($0)"] } ?? [])
    return "oneDNN is not installed (looked for \(places.joined(separator: ", "))); \(remedy)"
  }
}
