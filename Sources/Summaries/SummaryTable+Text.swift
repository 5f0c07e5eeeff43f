import CheckedNumbers
import Glibc
public import JSONText

extension SummaryTable {
  /// How a table is written.
  public enum Format: String, Sendable, Hashable, CaseIterable {
    /// For people, columns aligned.
    case table
    /// RFC 4180, with the headings that `nsys stats --format csv` writes.
    case csv
    /// One object per table: columns with units, rows with keys.
    case json
  }

  /// The table in a format, ending in a line feed.
  public func text(_ format: Format) -> String {
    switch format {
    case .table: aligned()
    case .csv: csv()
    case .json: json().serialized(pretty: true) + "\n"
    }
  }

  /// The rows as RFC 4180 has them; what is not known is empty.
  public func csv() -> String {
    func quoted(_ text: String) -> String {
      guard text.utf8.contains(where: { $0 == 0x2C || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }) else { return text }
      return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
    var lines = [columns.map { quoted($0.heading) }.joined(separator: ",")]
    for row in rows { lines.append(zip(columns, row).map { quoted(Self.plain($1, $0)) }.joined(separator: ",")) }
    return lines.joined(separator: "\n") + "\n"
  }

  /// {"report", "title", "columns": [{"key", "title", "unit"}], "rows": [{key: value}]}; what is not known is null, shares are 0 to 1.
  public func json() -> JSONValue {
    let units: [Unit: JSONValue] = [.percent: "share", .nanoseconds: "ns", .megabytes: "MB"]
    return [
      "report": .string(report.rawValue), "title": .string(report.title),
      "columns": .array(
        columns.map { ["key": .string($0.key), "title": .string($0.title), "unit": units[$0.unit] ?? .null] }),
      "rows": .array(
        rows.map { row in
          .object(
            zip(columns, row).map { column, value in
              switch value {
              case .text(let text): JSONValue.Member(column.key, .string(text))
              case .whole(let number): JSONValue.Member(column.key, .integer(number))
              case .number(let number): JSONValue.Member(column.key, JSONValue(column.unit == .percent ? number / 100 : number))
              case .none: JSONValue.Member(column.key, .null)
              }
            })
        }),
    ]
  }

  /// Columns aligned: numbers to the right with thousands apart, the last text as long as it is.
  private func aligned() -> String {
    let cells = [columns.map(\.heading)] + rows.map { row in zip(columns, row).map { Self.grouped($1, $0) } }
    let widths = columns.indices.map { index in cells.reduce(0) { max($0, $1[index].count) } }
    var lines: [String] = []
    for (number, row) in cells.enumerated() {
      var line = ""
      for (index, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: max(0, widths[index] - cell.count))
        if index > 0 { line += "  " }
        if columns[index].isText { line += index == row.count - 1 ? cell : cell + padding } else { line += padding + cell }
      }
      lines.append(line)
      if number == 0 { lines.append(widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")) }
    }
    return "\(report.title) (\(report.rawValue))\n\n" + lines.joined(separator: "\n") + "\n" + (rows.isEmpty ? "(no rows)\n" : "")
  }

  private static func plain(_ value: Value, _ column: Column) -> String {
    switch value {
    case .text(let text): text
    case .whole(let number): String(number)
    case .number(let number): fixed(number, column.decimals)
    case .none: ""
    }
  }

  private static func grouped(_ value: Value, _ column: Column) -> String {
    let text = plain(value, column)
    switch value {
    case .text, .none: return text
    case .whole, .number:
      let parts = text.split(separator: ".", omittingEmptySubsequences: false)
      var digits = Array((parts.first ?? "").utf8)
      let isNegative = digits.first == UInt8(ascii: "-")
      if isNegative { digits.removeFirst() }
      var result = isNegative ? "-" : ""
      for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { result += "," }
        result += String(UnicodeScalar(digit))
      }
      return parts.count > 1 ? result + "." + parts[1] : result
    }
  }

  /// A number with that many digits behind the point, rounded from its exact binary value as printf does.
  static func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return "" }
    var buffer = [CChar](repeating: 0, count: 400)
    let count = withVaList([Int32(clamping: decimals), value]) { vsnprintf(&buffer, buffer.count, "%.*f", $0) }
    return String(decoding: buffer.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
