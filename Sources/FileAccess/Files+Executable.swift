import Glibc

extension Files {
  /// This program's own file, absolute; nil where /proc does not say.
  public static var executable: String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer -> String? in
      guard let base = buffer.baseAddress else { return nil }
      let count = readlink("/proc/self/exe", base, buffer.count)
      // As many as there is room for may be cut.
      guard count > 0, count < buffer.count else { return nil }
      return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  /// The folder that this program's file lies in; nil where that is not known.
  public static var executableFolder: String? {
    guard let executable, let slash = executable.lastIndex(of: "/") else { return nil }
    return String(executable[..<slash])
  }
}
