import CheckedNumbers
import CKernels
public import FileAccess

/// What tells one model from another, whatever it is called: SHA-256 of its file and of the files its weights lie in.
public enum ModelDigest {
  /// Of these files' contents, in this order, each with its length before it. Hexadecimal.
  public static func sha256(of paths: [String]) throws(FileError) -> String {
    var hash = headroom_sha256()
    headroom_sha256_begin(&hash)
    for path in paths {
      let mapped = try MappedFile(path: path)
      mapped.withBytes { bytes in
        var length = UInt64(clamping: bytes.count).littleEndian
        headroom_sha256_add(&hash, &length, 8)
        headroom_sha256_add(&hash, bytes.baseAddress, UInt64(clamping: bytes.count))
      }
    }
    return finished(&hash)
  }

  /// Of bytes. Hexadecimal.
  public static func sha256(_ bytes: [UInt8]) -> String {
    var hash = headroom_sha256()
    headroom_sha256_begin(&hash)
    headroom_sha256_add(&hash, bytes, UInt64(clamping: bytes.count))
    return finished(&hash)
  }

  private static func finished(_ hash: inout headroom_sha256) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    headroom_sha256_end(&hash, &digest)
    return digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
  }
}
