/// A table for a terminal: columns as wide as their widest cell, two spaces between them, numbers to the right.
public struct TextTable: Sendable {
  /// Where a column's cells stand.
  public enum Alignment: Sendable {
    case left, right
  }

  /// A column's heading and alignment.
  public struct Column: Sendable {
    var heading: String
    var alignment: Alignment

    /// A column; numbers belong to the right.
    public init(_ heading: String, _ alignment: Alignment = .right) {
      self.heading = heading
      self.alignment = alignment
    }
  }

  private let columns: [Column]
  private var rows: [[String]?] = []

  /// An empty table.
  public init(_ columns: [Column]) { self.columns = columns }

  /// Adds a row. Missing cells are empty, surplus ones are dropped.
  public mutating func add(_ cells: [String]) {
    rows.append((0..<columns.count).map { $0 < cells.count ? cells[$0] : "" })
  }

  /// Adds a rule between rows.
  public mutating func addRule() { rows.append(nil) }

  /// The table in `width` columns where that can be: cells of column `clipped` are shortened, down to eight characters.
  public func lines(width: Int, clippingColumn clipped: Int) -> [String] {
    let excess = (lines.map(\.terminalWidth).max() ?? 0) - width
    guard excess > 0, columns.indices.contains(clipped) else { return lines }
    let cells = rows.compactMap { $0?[clipped] } + [columns[clipped].heading]
    let target = max(8, (cells.map(\.terminalWidth).max() ?? 0) - excess)
    var narrow = TextTable(columns)
    for row in rows {
      guard var row else {
        narrow.addRule()
        continue
      }
      row[clipped] = row[clipped].clipped(to: target)
      narrow.add(row)
    }
    return narrow.lines
  }

  /// The table as lines, without trailing spaces.
  public var lines: [String] {
    let headings = columns.map(\.heading)
    var widths = headings.map(\.terminalWidth)
    for case .some(let row) in rows {
      for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.terminalWidth) }
    }
    let rule = String(repeating: "-", count: widths.reduce(0, +) + 2 * max(0, widths.count - 1))
    return [line(headings, widths), rule] + rows.map { row in row.map { line($0, widths) } ?? rule }
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var text = ""
    for (index, cell) in cells.enumerated() {
      let padding = String(repeating: " ", count: widths[index] - cell.terminalWidth)
      if index > 0 { text += "  " }
      text += columns[index].alignment == .left ? cell + padding : padding + cell
    }
    while text.last == " " { text.removeLast() }
    return text
  }
}

extension String {
  /// Columns the text takes in a terminal: one a character. Layer names and our own words hold no double-width characters.
  var terminalWidth: Int { count }

  /// "transformer.layers.0.attention" in 22 columns: "transforme...attention". Names of layers differ at both ends; in fewer than 20 columns
  /// neither end would be read, and the last part, which names the operator, stays: "...attention".
  func clipped(to width: Int) -> String {
    guard count > width, width > 3 else { return self }
    let kept = width - 3
    let head = width < 20 ? 0 : (kept + 1) / 2
    return prefix(head) + "..." + suffix(kept - head)
  }
}
