/// Comma-separated values (RFC 4180): a field with a comma, a quote or a line end is quoted, quotes inside are doubled.
public enum CSVText {
  /// Lines of the table, header first, each ended by a line feed.
  public static func table(header: [String], rows: [[String]]) -> String {
    ([header] + rows).map { $0.map(field).joined(separator: ",") + "\n" }.joined()
  }

  static func field(_ text: String) -> String {
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }
}
