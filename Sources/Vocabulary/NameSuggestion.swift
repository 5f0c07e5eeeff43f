/// The known name nearest to one that is not known: at most a third of its letters, and at least two, may differ. Otherwise the only one
/// that begins with most of it ("onnx", "max_queue_delay_ms").
public enum NameSuggestion {
  /// Longer names than any known one are not looked at: their distance would cost the product of the lengths.
  package static let longestName = 64

  /// The known name that was probably meant; nil where none is near.
  public static func nearest(to name: String, in known: [String]) -> String? {
    let letters = Array(name.utf8)
    guard letters.count <= longestName else { return nil }
    // Clients' words for types have no "TYPE_".
    if let type = known.first(where: { $0 == "TYPE_" + name.uppercased() }) { return type }
    var best: (name: String, distance: Int)?
    for candidate in known {
      let distance = distance(letters, Array(candidate.utf8))
      if distance <= max(2, candidate.utf8.count / 3), distance < candidate.utf8.count, distance < best?.distance ?? .max {
        best = (candidate, distance)
      }
    }
    return best?.name ?? only(beginningLike: letters, in: known)
  }

  private static func only(beginningLike letters: [UInt8], in known: [String]) -> String? {
    let shared = known.map { candidate in zip(letters, candidate.utf8).prefix { $0 == $1 }.count }
    guard let maximum = shared.max(), maximum >= 4, maximum * 3 >= letters.count * 2, shared.count(where: { $0 == maximum }) == 1 else {
      return nil
    }
    return zip(known, shared).first { $1 == maximum }?.0
  }

  /// Levenshtein's: insertions, deletions and replacements.
  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var previous = Array(0...right.count)
    for (row, letter) in left.enumerated() {
      var current = [row + 1]
      for (column, other) in right.enumerated() {
        current.append(min(previous[column] + (letter == other ? 0 : 1), previous[column + 1] + 1, current[column] + 1))
      }
      previous = current
    }
    return previous[right.count]
  }

  /// "; did you mean 'x'?", or what is known.
  package static func advice(for name: String, in known: [String]) -> String {
    if let nearest = nearest(to: name, in: known) { return "; did you mean '\(nearest)'?" }
    return known.isEmpty ? "; it has none" : "; known are " + known.joined(separator: ", ")
  }
}
