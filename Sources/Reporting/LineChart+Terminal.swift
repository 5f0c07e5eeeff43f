import CheckedNumbers

extension LineChart {
  /// The first line as a column chart of eighth blocks: `width` by `height` characters, with its axis and its explanation.
  public func terminalLines(width: Int = 72, height: Int = 10) -> [String] {
    var lines = [title, explanation]
    guard let line = series.first, let first = line.points.first else { return lines + ["(no data)"] }
    let x = xRange
    var levels: [Int] = []
    for column in 0..<width {
      let position = x.lowerBound + (Double(column) + 0.5) / Double(width) * (x.upperBound - x.lowerBound)
      let point = line.points.last { $0.x <= position } ?? first
      levels.append(Int(saturating: (min(max(point.y / yTop, 0), 1) * Double(height * 8)).rounded()))
    }
    let blocks = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
    for row in (0..<height).reversed() {
      let label = row == height - 1 ? NumberText.significant(yTop) : row == 0 ? "0" : ""
      let bar = levels.map { blocks[min(max($0 - row * 8, 0), 8)] }.joined()
      lines.append(String(repeating: " ", count: max(0, 8 - label.count)) + label + " |" + bar)
    }
    let (low, high) = (NumberText.axis(x.lowerBound), NumberText.axis(x.upperBound))
    let gap = max(1, width - low.count - high.count - xLabel.count)
    lines.append(String(repeating: " ", count: 9) + "+" + String(repeating: "-", count: width))
    lines.append(
      String(repeating: " ", count: 10) + low + String(repeating: " ", count: gap / 2) + xLabel
        + String(repeating: " ", count: gap - gap / 2) + high)
    return lines
  }
}
