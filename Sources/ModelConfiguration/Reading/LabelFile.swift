/// A file of class names (`label_filename`): line n names class n.
///
/// Source: triton-inference-server/core `src/label_provider.cc` (AddLabels), which reads with `getline`: a blank line is a class without a
/// name, and what follows the last line end counts only if it is not empty. The carriage return of a file from Windows and a byte order
/// mark are not part of a name.
public enum LabelFile {
  /// The names in the file's order. Bytes that are not UTF-8 become replacement characters: labels are for people.
  public static func labels(_ bytes: [UInt8]) -> [String] {
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    let text = bytes.starts(with: mark) ? bytes[mark.count...] : bytes[...]
    var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines.map { line in
      String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
    }
  }
}
