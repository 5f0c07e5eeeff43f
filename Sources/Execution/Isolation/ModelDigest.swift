public import FileAccess
import Planning

/// What tells one model from another, whatever it is called: SHA-256 of its file and of the files its weights lie in.
public enum ModelDigest {
  /// Of these files' contents, in this order, each with its length before it. Hexadecimal.
  public static func sha256(of paths: [String]) throws(FileError) -> String {
    var hash = SHA256()
    for path in paths {
      let mapped = try MappedFile(path: path)
      mapped.withBytes { bytes in
        withUnsafeBytes(of: UInt64(clamping: bytes.count).littleEndian) { hash.update($0) }
        hash.update(bytes)
      }
    }
    return text(hash.finalize())
  }

  /// Of bytes. Hexadecimal.
  public static func sha256(_ bytes: [UInt8]) -> String { text(SHA256.digest(bytes)) }

  private static func text(_ digest: [UInt8]) -> String {
    digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
  }
}
