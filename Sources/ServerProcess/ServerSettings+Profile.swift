import ProcessContract

extension ServerSettings {
  /// "5s", "500ms", "5": seconds.
  ///
  /// - Throws: a text that is none, or a length that no window may have.
  public static func windowSeconds(_ text: String) throws(UsageError) -> Double {
    let factor = text.hasSuffix("ms") ? 0.001 : 1
    let number = text.hasSuffix("ms") ? text.dropLast(2) : text.hasSuffix("s") ? text.dropLast(1) : text[...]
    guard let value = Double(number), ServerProfile.lengths.contains(value * factor) else {
      throw UsageError("--profile-window \(text): from 50ms to 60s, as 5s")
    }
    return value * factor
  }
}
