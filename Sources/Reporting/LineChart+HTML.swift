extension LineChart {
  /// Colours of the page's style that are told apart best; dashes tell the lines apart without colour.
  private static let styles = [0, 5, 2, 8]

  /// The chart as part of a page, whose colours it takes.
  var html: String {
    let (left, right, up, down) = (70.0, 890.0, 12.0, 210.0)
    let x = xRange
    let y = yTop
    var text = "<figure><h3>\(HTMLText.escaped(title))</h3><div class=\"scroll\">"
    text +=
      "<svg class=\"wide\" viewBox=\"0 0 910 262\" role=\"img\" aria-label=\"\(HTMLText.escaped("\(title): \(yLabel) over \(xLabel)"))\">"
    for tick in 0...4 {
      let share = Double(tick) / 4
      let height = down - share * (down - up)
      text += "<line x1=\"\(Int(left))\" x2=\"\(Int(right))\" y1=\"\(SVGPatterns.number(height))\" y2=\"\(SVGPatterns.number(height))\" "
      text += "style=\"stroke:var(--line)\"/>"
      text += "<text class=\"soft\" text-anchor=\"end\" x=\"\(Int(left - 8))\" y=\"\(SVGPatterns.number(height + 4))\">"
      text += "\(NumberText.significant(y * share))</text>"
      let value = x.lowerBound + (x.upperBound - x.lowerBound) * share
      text += "<text class=\"soft\" text-anchor=\"middle\" x=\"\(SVGPatterns.number(left + (right - left) * share))\" "
      text += "y=\"\(Int(down + 18))\">\(NumberText.axis(value))</text>"
    }
    text += "<text text-anchor=\"middle\" x=\"\(Int((left + right) / 2))\" y=\"\(Int(down + 40))\">\(HTMLText.escaped(xLabel))</text>"
    text +=
      "<text text-anchor=\"middle\" transform=\"translate(14 \(Int((up + down) / 2))) rotate(-90)\">\(HTMLText.escaped(yLabel))</text>"
    for (index, line) in series.enumerated() {
      var path = ""
      for (number, point) in line.points.enumerated() {
        let across = left + (point.x - x.lowerBound) / (x.upperBound - x.lowerBound) * (right - left)
        let along = down - min(max(y > 0 ? point.y / y : 0, 0), 1) * (down - up)
        // A step: a value holds for its stretch, and between two of them nothing is known.
        path += number == 0 ? "M" : "H\(SVGPatterns.coordinate(across))V"
        path += number == 0 ? "\(SVGPatterns.coordinate(across)) \(SVGPatterns.coordinate(along))" : SVGPatterns.coordinate(along)
      }
      text += "<path d=\"\(path)\" style=\"\(Self.stroke(index))\"><title>\(HTMLText.escaped(line.name))</title></path>"
    }
    text += "</svg></div><div class=\"legend\">"
    for (index, line) in series.enumerated() {
      text += "<span><svg width=\"28\" height=\"12\" aria-hidden=\"true\"><path d=\"M0 6H28\" style=\"\(Self.stroke(index))\"/></svg>"
      text += "\(HTMLText.escaped(line.name))</span>"
    }
    return text + "</div><figcaption>\(HTMLText.escaped(explanation))</figcaption></figure>\n"
  }

  private static func stroke(_ index: Int) -> String {
    let dash = dashes[index % dashes.count]
    return "fill:none;stroke-width:2;stroke:var(--s\(styles[index % styles.count]))" + (dash.isEmpty ? "" : ";stroke-dasharray:\(dash)")
  }
}

extension SVGPatterns {
  /// A coordinate in a path: one decimal, no grouping.
  static func coordinate(_ value: Double) -> String { NumberText.plain(value) }
}
