import CheckedNumbers
import Glibc

/// Where NVIDIA's libraries are looked for.
///
/// The driver's library comes with the driver alone. The others come with the CUDA toolkit or with PyPI's `nvidia-*` wheels, which put them
/// below `site-packages/nvidia`.
public struct CUDASearch: Sendable, Hashable {
  /// A file that takes the place of all of them, or a folder that is looked at first, with what lies below it. `--cuda-path`.
  public var explicitPath: String?
  /// Folders, in order; a `*` stands for any name.
  public var folders: [String]
  /// Whether the dynamic linker is asked, too.
  public var asksLinker: Bool

  /// Every field stated.
  public init(explicitPath: String?, folders: [String], asksLinker: Bool) {
    self.explicitPath = explicitPath
    self.folders = folders
    self.asksLinker = asksLinker
  }

  /// `HEADROOM_CUDA_PATH`, the driver's and the toolkit's folders, `.engines/cuda/run`, and the `site-packages` of the active virtual
  /// environment, the user and the system.
  public static var standard: CUDASearch {
    var packages: [String] = []
    if let environment = EngineFolders.variable("VIRTUAL_ENV") { packages.append("\(environment)/lib/python3*/site-packages") }
    if let environment = EngineFolders.variable("CONDA_PREFIX") { packages.append("\(environment)/lib/python3*/site-packages") }
    if let home = EngineFolders.variable("HOME") { packages.append("\(home)/.local/lib/python3*/site-packages") }
    packages += ["/usr/local/lib/python3*/dist-packages", "/usr/local/lib/python3*/site-packages", "/usr/lib/python3/dist-packages"]
    let engines = EngineFolders.standard(".engines/cuda/run")
    return CUDASearch(
      explicitPath: EngineFolders.variable("HEADROOM_CUDA_PATH"),
      folders: engines.map { "\($0)/nvidia/*/lib" } + packages.map { "\($0)/nvidia/*/lib" } + [
        "/usr/local/cuda/lib64", "/usr/local/cuda*/lib64", "/usr/local/cuda*/extras/CUPTI/lib64", "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib",
      ], asksLinker: true)
  }

  /// The standard places, after a file or folder that was named.
  public static func standard(before path: String?) -> CUDASearch {
    var search = standard
    if let path { search.explicitPath = path }
    return search
  }

  /// Names under which the driver's library stands in a process's list of mapped files.
  public var driverNames: [String] {
    let own = explicitPath.flatMap { Self.isFile($0) ? String($0.split(separator: "/").last ?? "") : nil }
    return ["libcuda.so"] + (own.map { [$0] } ?? [])
  }

  /// Files to try for libcupti, in order: paths, or names that the dynamic linker knows.
  public var profilingLibraries: [String] { candidates(.activity) }

  /// Files to try for a library, in order.
  func candidates(_ library: CUDALibraryName) -> [String] {
    var files: [String] = []
    if let explicitPath {
      if Self.isFile(explicitPath) { return [explicitPath] }
      for folder in [explicitPath, "\(explicitPath)/lib64", "\(explicitPath)/lib", "\(explicitPath)/nvidia/*/lib", "\(explicitPath)/*/lib"]
      {
        files += Self.files(folder, library)
      }
    }
    // What is in use in this process already comes first of the rest: two versions side by side help nobody.
    if asksLinker { files += library.linkerNames }
    for folder in folders { files += Self.files(folder, library) }
    var seen: Set<String> = []
    return files.filter { seen.insert($0).inserted }
  }

  private static func files(_ folder: String, _ library: CUDALibraryName) -> [String] {
    expand(folder).flatMap { EngineFolders.libraries($0, prefix: library.prefix) }
  }

  /// Folders that a pattern stands for; one `*` per part of the path, with text before it.
  private static func expand(_ pattern: String) -> [String] {
    guard let star = pattern.firstIndex(of: "*") else { return [pattern] }
    let before = pattern[..<star], after = pattern[pattern.index(after: star)...]
    let slash = before.lastIndex(of: "/") ?? before.startIndex
    let (parent, prefix) = (String(before[..<slash]), String(before[before.index(after: slash)...]))
    return EngineFolders.libraries(parent.isEmpty ? "/" : parent, prefix: prefix).flatMap { expand($0 + after) }
  }

  private static func isFile(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }
}

/// The libraries, and what brings each.
enum CUDALibraryName: String, Sendable, CaseIterable {
  case driver = "libcuda"
  case blas = "libcublasLt"
  case compiler = "libnvrtc"
  case management = "libnvidia-ml"
  case activity = "libcupti"

  var prefix: String { rawValue + ".so" }

  /// What the dynamic linker knows them by.
  var linkerNames: [String] {
    switch self {
    case .driver, .management: ["\(rawValue).so.1"]
    case .blas, .compiler: ["\(rawValue).so.12", "\(rawValue).so.13"]
    case .activity: ["\(rawValue).so.12", "\(rawValue).so.13"]
    }
  }

  /// What to install.
  var remedy: String {
    switch self {
    case .driver:
      "it comes with NVIDIA's driver: install that (`apt install nvidia-driver-580-server`), or start the container with --gpus all"
    case .management: "it comes with NVIDIA's driver"
    case .blas: "run `pip install nvidia-cublas-cu12` (or nvidia-cublas for a driver of CUDA 13), or Scripts/fetch-cuda run"
    case .compiler: "run `pip install nvidia-cuda-nvrtc-cu12` (or nvidia-cuda-nvrtc), or Scripts/fetch-cuda run"
    case .activity: "run `pip install nvidia-cuda-cupti-cu12` (or nvidia-cuda-cupti), or Scripts/fetch-cuda run"
    }
  }
}
