/// A table of the documents that the program writes.
enum MarkdownTable {
  /// A line per row, below the heads.
  static func lines(heads: [String], rows: [[String]]) -> [String] {
    ["| " + heads.joined(separator: " | ") + " |", "|" + String(repeating: "---|", count: heads.count)]
      + rows.map { "| " + $0.joined(separator: " | ") + " |" }
  }
}
