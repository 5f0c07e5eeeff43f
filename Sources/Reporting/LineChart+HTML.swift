import CheckedNumbers

extension LineChart {
  private static let (left, right, up, down) = (64.0, 744.0, 12.0, 232.0)

  /// A figure of a page: lines from point to point, each with a colour and a dash pattern, values as tooltips.
  var html: String {
    let x = xRange
    let y = yScale
    func across(_ value: Double) -> Double {
      Self.left + (value - x.lowerBound) / (x.upperBound - x.lowerBound) * (Self.right - Self.left)
    }
    func along(_ value: Double) -> Double { Self.down - min(max(y.place(value), 0), 1) * (Self.down - Self.up) }
    var text = "<figure><h3>\(HTMLText.escaped(title))</h3><div class=\"scroll\">"
    text += "<svg viewBox=\"0 0 760 286\" style=\"min-width:30rem\" role=\"img\" aria-label=\"\(HTMLText.escaped(title))\">"
    for mark in y.marks {
      let height = SVGPatterns.number(along(mark))
      text +=
        "<line x1=\"\(Int(saturating: Self.left))\" x2=\"\(Int(saturating: Self.right))\" y1=\"\(height)\" y2=\"\(height)\" style=\"stroke:var(--line)\"/>"
      text +=
        "<text class=\"soft\" text-anchor=\"end\" x=\"\(Int(saturating: Self.left) - 6)\" y=\"\(SVGPatterns.number(along(mark) + 4))\">"
      text += "\(isLogarithmic ? Self.decadeText(mark) : NumberText.axis(mark))</text>"
    }
    let marks =
      xMarks.isEmpty
      ? stride(from: 0.0, through: 1, by: 0.25).map { part in
        let value = x.lowerBound + (x.upperBound - x.lowerBound) * part
        return (value, NumberText.axis(value))
      } : xMarks
    for (value, label) in marks {
      text +=
        "<text class=\"soft\" text-anchor=\"middle\" x=\"\(SVGPatterns.number(across(value)))\" y=\"\(Int(saturating: Self.down) + 18)\">"
      text += "\(HTMLText.escaped(label))</text>"
    }
    text +=
      "<text class=\"soft\" text-anchor=\"middle\" x=\"\(Int(saturating: (Self.left + Self.right) / 2))\" y=\"\(Int(saturating: Self.down) + 42)\">"
    text += "\(HTMLText.escaped(xLabel))</text>"
    for (index, line) in series.enumerated() {
      let dash = Self.dashes[index % Self.dashes.count]
      let style = "fill:none;stroke-width:2;stroke:var(--s\(index % 9))" + (dash.isEmpty ? "" : ";stroke-dasharray:\(dash)")
      let path = line.points.enumerated().map { number, point in
        "\(number == 0 ? "M" : "L")\(SVGPatterns.number(across(point.x))) \(SVGPatterns.number(along(point.y)))"
      }.joined()
      text += "<path d=\"\(path)\" style=\"\(style)\"/>"
      // So many tooltips would make the page heavy and none of them could be hit.
      guard line.points.count <= 400 else { continue }
      for point in line.points {
        text += "<circle cx=\"\(SVGPatterns.number(across(point.x)))\" cy=\"\(SVGPatterns.number(along(point.y)))\" r=\"3\" "
        text += "style=\"fill:var(--s\(index % 9));fill-opacity:\(line.points.count > 60 ? 0 : 1)\">"
        text += "<title>\(HTMLText.escaped("\(line.name): \(NumberText.significant(point.y)) \(yLabel)"))</title></circle>"
      }
    }
    text += "</svg></div><div class=\"legend\">"
    for (index, line) in series.enumerated() {
      let dash = Self.dashes[index % Self.dashes.count]
      text += "<span><svg width=\"28\" height=\"12\" aria-hidden=\"true\"><line x1=\"0\" x2=\"28\" y1=\"6\" y2=\"6\" "
      text += "style=\"stroke-width:2;stroke:var(--s\(index % 9))\(dash.isEmpty ? "" : ";stroke-dasharray:\(dash)")\"/></svg>"
      text += "\(HTMLText.escaped(line.name))</span>"
    }
    return text + "</div><figcaption>Upwards: \(HTMLText.escaped(yLabel)). \(HTMLText.escaped(explanation))</figcaption></figure>\n"
  }

  /// "0.01", "1", "1,000".
  private static func decadeText(_ value: Double) -> String {
    NumberText.fixed(value, decimals: value < 1 ? Int(saturating: (-decades(value)).rounded()) : 0)
  }

  /// Where values lie on the y axis, 0 to 1, and which of them are marked.
  private var yScale: (place: (Double) -> Double, marks: [Double]) {
    let values = series.flatMap { $0.points.map(\.y) }.filter { $0 > 0 && $0.isFinite }
    guard isLogarithmic, let minimum = values.min(), let maximum = values.max() else {
      let top = yTop
      return ({ $0 / top }, (0...4).map { top * Double($0) / 4 })
    }
    // Whole decades around the values; their ratio counted in doublings, which need no logarithm's library.
    var low = 1.0
    while low > minimum { low /= 10 }
    while low * 10 <= minimum { low *= 10 }
    var marks = [low]
    while let last = marks.last, last < maximum { marks.append(last * 10) }
    if marks.count == 1 { marks.append(low * 10) }
    let decades = Double(marks.count - 1)
    return ({ Self.decades($0 / low) / decades }, marks)
  }

  /// log10 of a positive number: its binary exponent, then its significand bit by bit.
  static func decades(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 0 }
    var exponent = Double(value.exponent)
    var significand = value.significand
    var bit = 0.5
    for _ in 0..<24 {
      significand *= significand
      if significand >= 2 {
        significand /= 2
        exponent += bit
      }
      bit /= 2
    }
    return exponent * 0.301_029_995_663_981_2
  }
}
