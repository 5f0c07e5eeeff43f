import Glibc

/// C++ symbols as people write them, by the C++ runtime that this process has loaded, if any (Itanium C++ ABI, `__cxa_demangle`).
enum CXXNames {
  private typealias Demangle =
    @convention(c) (
      UnsafePointer<CChar>, UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<Int>?, UnsafeMutablePointer<Int32>
    ) -> UnsafeMutablePointer<CChar>?

  private static let function: Demangle? = dlsym(nil, "__cxa_demangle").map { unsafeBitCast($0, to: Demangle.self) }

  /// The name behind a symbol; nil where it is none.
  static func demangle(_ symbol: String) -> String? {
    guard symbol.hasPrefix("_Z"), let function else { return nil }
    var status: Int32 = 0
    guard let text = function(symbol, nil, nil, &status) else { return nil }
    defer { free(text) }
    return status == 0 ? String(cString: text) : nil
  }
}
