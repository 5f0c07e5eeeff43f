import CheckedNumbers
import FileAccess
import Glibc

/// Files that need not be made again: cubins, and which algorithm won a timing. A file holds its whole key before its content, so that what
/// two keys share is a name at most; whatever is damaged is made anew.
struct CUDACache: Sendable {
  /// Where they are.
  let folder: String

  /// `HEADROOM_CACHE`, else `headroom/cuda` below `XDG_CACHE_HOME` or `~/.cache`; nil where none of them is set or can be made.
  static var standard: CUDACache? {
    if let given = EngineFolders.variable("HEADROOM_CACHE") { return CUDACache(folder: given + "/cuda") }
    if let base = EngineFolders.variable("XDG_CACHE_HOME") { return CUDACache(folder: base + "/headroom/cuda") }
    return EngineFolders.variable("HOME").map { CUDACache(folder: $0 + "/.cache/headroom/cuda") }
  }

  /// The content behind a key; nil where there is none.
  func read(_ kind: String, _ key: String) -> [UInt8]? {
    guard let bytes = try? Files.read(path(kind, key)), bytes.count >= 8 else { return nil }
    let length = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let own = Array(key.utf8)
    guard length == UInt64(clamping: own.count), bytes.count >= 8 + own.count, bytes[8..<8 + own.count].elementsEqual(own) else {
      return nil
    }
    return Array(bytes[(8 + own.count)...])
  }

  /// Keeps it; where that fails it is made anew the next time.
  func write(_ kind: String, _ key: String, _ content: [UInt8]) {
    let own = Array(key.utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: own.count >> ($0 * 8)) }
    do throws(FileError) {
      try Files.createFolder(folder)
      try Files.write(path(kind, key), length + own + content)
    } catch {}
  }

  private func path(_ kind: String, _ key: String) -> String {
    // FNV-1a: a name, no proof; the key itself is in the file.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in key.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return "\(folder)/\(kind)-\(String(hash, radix: 16))"
  }
}
