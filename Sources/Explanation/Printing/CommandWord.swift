/// A word of a command that somebody is to type.
public enum CommandWord {
  /// What no shell gives a meaning to, beside letters and digits.
  private static let plain: Set<Character> = [".", "_", "-", "/", ":", ",", "=", "+", "@", "%"]

  /// As a shell reads it: in single quotes where it holds anything else.
  public static func quoted(_ word: String) -> String {
    let isPlain = !word.isEmpty && word.allSatisfy { $0.isLetter || $0.isNumber || plain.contains($0) }
    return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
  }
}
