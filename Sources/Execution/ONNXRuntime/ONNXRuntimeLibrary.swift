import CheckedNumbers
import Glibc

/// ONNX Runtime, loaded at run time. It is never unloaded.
///
/// Sendable unchecked: every field is set once in `init`; the functions and the environment may be used from any thread (ONNX Runtime's
/// documentation: "OrtEnv and OrtSession are thread safe").
public final class ONNXRuntimeLibrary: @unchecked Sendable {
  /// The file it was loaded from, as it was asked for.
  public let path: String
  /// "1.23.2".
  public let version: String
  let table: ONNXRuntimeTable
  let environment: OpaquePointer
  let memoryInfo: OpaquePointer
  let allocator: OpaquePointer

  /// Loads the first candidate that is an ONNX Runtime of version 1.15 or later.
  public init(_ search: LibrarySearch = .onnxRuntime) throws(DeviceError) {
    var reasons: [String] = []
    for candidate in search.candidates {
      guard let handle = dlopen(candidate, RTLD_NOW | RTLD_LOCAL) else {
        reasons.append(dlerror().map { String(cString: $0) } ?? candidate)
        continue
      }
      guard let symbol = dlsym(handle, "OrtGetApiBase") else {
        reasons.append("\(candidate) has no OrtGetApiBase: it is not ONNX Runtime")
        continue
      }
      // OrtApiBase is two function pointers: GetApi(version) and GetVersionString().
      typealias Base = UnsafePointer<UnsafeRawPointer?>
      guard let base = unsafeBitCast(symbol, to: (@convention(c) () -> Base?).self)(), let getAPI = base[0], let getVersion = base[1] else {
        reasons.append("\(candidate) answers no function table")
        continue
      }
      let version =
        unsafeBitCast(getVersion, to: (@convention(c) () -> UnsafePointer<CChar>?).self)().map { String(cString: $0) } ?? "unknown"
      // Asking an old library for a newer table makes it print an error, so the version is looked at first.
      guard Self.isRecent(version) else {
        reasons.append("\(candidate) is ONNX Runtime \(version); 1.15 or later is needed")
        continue
      }
      guard let raw = unsafeBitCast(getAPI, to: (@convention(c) (UInt32) -> Base?).self)(ONNXRuntimeTable.version),
        let table = ONNXRuntimeTable(raw)
      else {
        reasons.append("\(candidate) (ONNX Runtime \(version)) does not offer version \(ONNXRuntimeTable.version) of the C API")
        continue
      }
      self.path = candidate
      self.version = version
      self.table = table
      // Level 4, fatal: what goes wrong comes back as a status, so nothing is printed twice.
      environment = try Self.made(table) { table.createEnvironment(4, "headroom", $0) }
      // An arena allocator (1) of default memory (0): what describes memory that we own.
      memoryInfo = try Self.made(table) { table.createCPUMemoryInfo(1, 0, $0) }
      allocator = try Self.made(table) { table.defaultAllocator($0) }
      return
    }
    throw DeviceError(.unsupported, search.absence(reasons))
  }

  deinit {
    // The default allocator belongs to the library.
    table.releaseMemoryInfo(memoryInfo)
    table.releaseEnvironment(environment)
  }

  /// Throws what a status says, and releases it.
  func check(_ status: OpaquePointer?, _ kind: DeviceError.Kind, _ what: String) throws(DeviceError) {
    if let failure = Self.taken(table, status) { throw DeviceError(kind, "\(what): \(failure.message)") }
  }

  /// Throws what a status of a run says: what ONNX Runtime calls an invalid argument is the request's fault.
  func checkRun(_ status: OpaquePointer?, _ what: String) throws(DeviceError) {
    guard let failure = Self.taken(table, status) else { return }
    // ORT_INVALID_ARGUMENT is 2.
    throw DeviceError(failure.code == 2 ? .badInput : .batchFailed, "\(what): \(failure.message)")
  }

  /// What a function puts where its last argument points, or the error of its status.
  func made(_ kind: DeviceError.Kind, _ what: String, _ function: (UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?)
    throws(DeviceError) -> OpaquePointer
  {
    var result: OpaquePointer?
    try check(function(&result), kind, what)
    guard let result else { throw DeviceError(kind, "\(what): ONNX Runtime gave nothing and no reason") }
    return result
  }

  private static func made(_ table: ONNXRuntimeTable, _ function: (UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?)
    throws(DeviceError) -> OpaquePointer
  {
    var result: OpaquePointer?
    if let failure = taken(table, function(&result)) { throw DeviceError(.unsupported, "ONNX Runtime does not start: \(failure.message)") }
    guard let result else { throw DeviceError(.unsupported, "ONNX Runtime does not start and gives no reason") }
    return result
  }

  private static func taken(_ table: ONNXRuntimeTable, _ status: OpaquePointer?) -> (code: Int32, message: String)? {
    guard let status else { return nil }
    defer { table.releaseStatus(status) }
    return (table.errorCode(status), table.errorMessage(status).map { String(cString: $0) } ?? "no message")
  }

  static func isRecent(_ version: String) -> Bool {
    let parts = version.split(separator: ".").map { Int($0) ?? 0 }
    guard parts.count >= 2 else { return false }
    return parts[0] > 1 || (parts[0] == 1 && parts[1] >= 15)
  }
}
