import CCUDA
import CCUDAKernels
import CheckedNumbers
import Synchronization

/// NVRTC and the kernels' sources: cubins for one architecture, compiled once, kept on disk.
///
/// Sendable unchecked: all state is behind its lock; NVRTC's functions may be called from any thread.
public final class CUDACompiler: @unchecked Sendable {
  /// A file of kernels.
  public enum Source: String, Sendable, Hashable, CaseIterable {
    case rows, elements, attention, chain

    /// Element types it is compiled for.
    public var elements: [Element] { self == .attention || self == .chain ? [.float16, .bfloat16] : Element.allCases }
  }

  /// What a source is compiled for: `HR_ELEMENT`.
  public enum Element: Int, Sendable, Hashable, CaseIterable {
    case float32 = 0
    case float16 = 1
    case bfloat16 = 2

    /// The end of its kernels' names.
    var suffix: String { self == .float32 ? "f32" : self == .float16 ? "f16" : "bf16" }
  }

  /// "13.0".
  public let version: String
  /// Where it was found.
  public var path: String { library.path }
  private let library: CUDALibrary<HRCompilerTable>
  private let cache: CUDACache?

  /// Loads NVRTC. No driver and no GPU is needed. `cache` keeps what is compiled.
  public convenience init(_ search: CUDASearch = .standard) throws(DeviceError) { try self.init(search, cache: nil) }

  init(_ search: CUDASearch, cache: CUDACache?) throws(DeviceError) {
    library = try CUDALibrary.load(.compiler, search, fill: headroom_cuda_fill_compiler)
    var (major, minor): (Int32, Int32) = (0, 0)
    _ = library.functions.nvrtcVersion(&major, &minor)
    version = "\(major).\(minor)"
    self.cache = cache
  }

  /// The cubin of a source. `architecture`: "90a".
  public func cubin(_ source: Source, _ element: Element, architecture: String) throws(DeviceError) -> [UInt8] {
    var count: Int32 = 0
    guard let all = headroom_kernel_sources(&count) else { throw DeviceError(.unsupported, "the program holds no kernels") }
    let files = UnsafeBufferPointer(start: all, count: Int(count))
    let key =
      (["\(library.path) \(version) sm_\(architecture) \(source.rawValue) \(element.rawValue)"] + files.map { String(cString: $0.text) })
      .joined(separator: "\n")
    if let known = cache?.read("cubin", key) { return known }
    guard let main = files.first(where: { String(cString: $0.name) == "\(source.rawValue).cuh" }) else {
      throw DeviceError(.unsupported, "the program holds no kernels '\(source.rawValue)'")
    }
    let functions = library.functions
    var program: HRProgram?
    let texts: [UnsafePointer<CChar>?] = files.map { $0.text }
    let names: [UnsafePointer<CChar>?] = files.map { $0.name }
    try check(
      functions.nvrtcCreateProgram(&program, main.text, main.name, Int32(clamping: files.count), texts, names), "nvrtcCreateProgram")
    defer { _ = functions.nvrtcDestroyProgram(&program) }
    let options = ["--gpu-architecture=sm_\(architecture)", "-std=c++17", "-DHR_ELEMENT=\(element.rawValue)"]
    let result = Self.withCStrings(options) { functions.nvrtcCompileProgram(program, Int32(clamping: options.count), $0) }
    if result != 0 {
      throw DeviceError(
        .unsupported, "\(source.rawValue).cuh for sm_\(architecture): \(library.path) says \(reason(result))\n\(log(program))")
    }
    var size = 0
    try check(functions.nvrtcGetCUBINSize(program, &size), "nvrtcGetCUBINSize")
    // A compiler that does not know the architecture gives none.
    guard size > 0 else {
      throw DeviceError(.unsupported, "\(library.path) (\(version)) makes no code for sm_\(architecture); a newer one is needed")
    }
    var cubin = [UInt8](repeating: 0, count: size)
    let got = cubin.withUnsafeMutableBytes { functions.nvrtcGetCUBIN(program, $0.baseAddress?.assumingMemoryBound(to: CChar.self)) }
    try check(got, "nvrtcGetCUBIN")
    cache?.write("cubin", key, cubin)
    return cubin
  }

  private func log(_ program: HRProgram?) -> String {
    var size = 0
    guard library.functions.nvrtcGetProgramLogSize(program, &size) == 0, size > 1, size < 1 << 24 else { return "" }
    var text = [CChar](repeating: 0, count: size)
    guard library.functions.nvrtcGetProgramLog(program, &text) == 0 else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func reason(_ result: Int32) -> String {
    library.functions.nvrtcGetErrorString(result).map { String(cString: $0) } ?? "error \(result)"
  }

  private func check(_ result: Int32, _ what: String) throws(DeviceError) {
    if result != 0 { throw DeviceError(.unsupported, "\(what): \(library.path) says \(reason(result))") }
  }

  private static func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
  ) -> Result {
    let bytes = strings.map { Array($0.utf8CString) }
    func next(_ index: Int, _ pointers: [UnsafePointer<CChar>?]) -> Result {
      if index == bytes.count { return pointers.withUnsafeBufferPointer { body($0.baseAddress) } }
      return bytes[index].withUnsafeBufferPointer { next(index + 1, pointers + [$0.baseAddress]) }
    }
    return next(0, [])
  }
}
