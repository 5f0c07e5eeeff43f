import CCUDA
import CheckedNumbers
import Glibc

/// A library's functions at an address that stays.
///
/// Sendable unchecked: the table is written once, before anybody else has it, and NVIDIA's functions may be called from any thread. Libraries
/// are never unloaded.
final class CUDALibrary<Table>: @unchecked Sendable {
  /// The file it was loaded from, as it was asked for.
  let path: String
  private let table: UnsafeMutablePointer<Table>

  /// The functions.
  var functions: Table { _read { yield table.pointee } }

  private init(path: String, table: UnsafeMutablePointer<Table>) {
    self.path = path
    self.table = table
  }

  deinit { table.deallocate() }

  /// The first candidate that loads and has every function that is called.
  static func load(
    _ name: CUDALibraryName, _ search: CUDASearch,
    fill: (UnsafeMutableRawPointer, UnsafeMutablePointer<Table>) -> UnsafePointer<CChar>?
  ) throws(DeviceError) -> CUDALibrary {
    var reasons: [String] = []
    for candidate in search.candidates(name) {
      guard let handle = dlopen(candidate, RTLD_NOW | RTLD_LOCAL) else {
        // That the linker does not know a name is no reason worth telling.
        if candidate.contains("/") { reasons.append(dlerror().map { String(cString: $0) } ?? candidate) }
        continue
      }
      let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
      memset(table, 0, MemoryLayout<Table>.size)
      if let missing = fill(handle, table) {
        reasons.append("\(candidate) lacks \(String(cString: missing))")
        table.deallocate()
        continue
      }
      return CUDALibrary(path: candidate, table: table)
    }
    let details = reasons.isEmpty ? "" : " (\(reasons.joined(separator: "; ")))"
    throw DeviceError(
      .unsupported,
      "\(name.rawValue) was not found\(search.explicitPath.map { " in \($0), nor elsewhere" } ?? "")\(details): \(name.remedy); or name its folder with --cuda-path"
    )
  }
}

extension CUDALibrary<HRDriverTable> {
  /// Loads libcuda and starts it. Everything else comes after: libcupti, above all, recurses without end where this has not succeeded.
  static func driver(_ search: CUDASearch) throws(DeviceError) -> CUDALibrary {
    let library = try load(.driver, search, fill: headroom_cuda_fill_driver)
    let result = library.functions.cuInit(0)
    guard result == HR_SUCCESS else {
      let remedy =
        switch Int(result) {
        case HR_ERROR_NO_DEVICE: "no GPU is visible: `nvidia-smi` lists them, CUDA_VISIBLE_DEVICES may hide them"
        case HR_ERROR_STUB_LIBRARY: "this is the toolkit's stub, not the driver's library: take its folder out of LD_LIBRARY_PATH"
        case HR_ERROR_SYSTEM_DRIVER_MISMATCH: "the driver's library and kernel module differ: reboot after the update"
        default: "`nvidia-smi` tells more"
        }
      throw DeviceError(.unsupported, "\(library.path): cuInit failed with \(library.name(of: result)); \(remedy)")
    }
    return library
  }

  /// "CUDA_ERROR_OUT_OF_MEMORY (2)".
  func name(of result: Int32) -> String {
    var text: UnsafePointer<CChar>?
    guard functions.cuGetErrorName(result, &text) == HR_SUCCESS, let text else { return "error \(result)" }
    return "\(String(cString: text)) (\(result))"
  }

  /// Throws what a result says. Errors that stick to the context are losses of the instance.
  func check(_ result: Int32, _ what: @autoclosure () -> String) throws(DeviceError) {
    if result == HR_SUCCESS { return }
    let kind: DeviceError.Kind =
      switch Int(result) {
      case HR_ERROR_ECC_UNCORRECTABLE, HR_ERROR_NVLINK_UNCORRECTABLE, HR_ERROR_CONTAINED, HR_ERROR_DEINITIALIZED, HR_ERROR_INVALID_CONTEXT,
        HR_ERROR_ILLEGAL_ADDRESS, HR_ERROR_LAUNCH_TIMEOUT...HR_ERROR_LAUNCH_FAILED, HR_ERROR_UNKNOWN:
        .instanceLost
      case HR_ERROR_OUT_OF_MEMORY: .unsupported
      default: .batchFailed
      }
    throw DeviceError(kind, "\(what()): \(name(of: result))")
  }

  /// An attribute of a device; 0 where it has none.
  func attribute(_ attribute: Int, of device: HRDevice) -> Int {
    var value: Int32 = 0
    return functions.cuDeviceGetAttribute(&value, Int32(clamping: attribute), device) == HR_SUCCESS ? Int(value) : 0
  }
}
