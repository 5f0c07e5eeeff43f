import Glibc
import Testing

@testable import Execution

/// NVRTC itself, from PyPI's wheel (`Scripts/fetch-cuda compiler`): all sources become cubins for every architecture, without a GPU.
@Suite struct CompilerTests {
  static let compiler: CUDACompiler? = {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let search = CUDASearch(explicitPath: nil, folders: ["/\(root)/.engines/cuda/compiler/nvidia/*/lib"], asksLinker: false)
    if getenv("HEADROOM_SANITIZED") != nil, let library = search.candidates(.compiler).first {
      // NVRTC opens its builtins by name, in its own folder: it has a RUNPATH of $ORIGIN. A sanitizer's dlopen() is the caller in its place and has
      // none. What is open already is found by its name.
      let folder = String(library[..<(library.lastIndex(of: "/") ?? library.startIndex)])
      for builtins in EngineFolders.libraries(folder, prefix: "libnvrtc-builtins.so") { dlopen(builtins, RTLD_NOW) }
    }
    return try? CUDACompiler(search)
  }()

  /// All architectures with HEADROOM_ALL_ARCHITECTURES=1, as make test-long runs it; else the one with every instruction used.
  static let architectures =
    getenv("HEADROOM_ALL_ARCHITECTURES") != nil ? ["80", "86", "89", "90", "90a", "100", "120"] : ["90"]

  @Test(.enabled(if: compiler != nil, "NVRTC is not there: Scripts/fetch-cuda compiler"), arguments: architectures)
  func everySourceCompiles(architecture: String) throws {
    let compiler = try #require(Self.compiler)
    for source in CUDACompiler.Source.allCases {
      for element in source.elements {
        let cubin = try compiler.cubin(source, element, architecture: architecture)
        #expect(cubin.starts(with: [0x7F, 0x45, 0x4C, 0x46]), "\(source) is an ELF file")
      }
    }
  }

  @Test(.enabled(if: compiler != nil, "NVRTC is not there: Scripts/fetch-cuda compiler")) func anUnknownArchitectureIsNamed() throws {
    let compiler = try #require(Self.compiler)
    let failure = #expect(throws: DeviceError.self) { try compiler.cubin(.rows, .float32, architecture: "7") }
    #expect(failure?.description.contains("sm_7") == true)
  }
}
