import CheckedNumbers

/// A short digest of a Swift source's words and numbers, whatever its spaces, lines and commas, which a formatter moves: tells whether a file of
/// constants is the one that a page describes.
public enum SourceDigest {
  /// 16 hexadecimal digits: Fowler, Noll and Vo's hash (FNV-1a, 64 bits) of the words, each ended by a space.
  public static func of(_ source: String) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func take(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    var isInWord = false
    for byte in source.utf8 {
      let character = UnicodeScalar(byte)
      if character.properties.isAlphabetic || ("0"..."9").contains(character) || character == "." || character == "-" {
        take(byte)
        isInWord = true
      } else if isInWord {
        take(UInt8(ascii: " "))
        isInWord = false
      }
    }
    if isInWord { take(UInt8(ascii: " ")) }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: max(0, 16 - digits.count)) + digits
  }
}
