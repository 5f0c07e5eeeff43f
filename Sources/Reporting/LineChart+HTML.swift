import CheckedNumbers

extension LineChart {
  private static let (left, right, up, down) = (92.0, 736.0, 30.0, 246.0)

  /// A figure of a page: lines from point to point, each with a colour and a dash pattern, values as tooltips.
  var html: String {
    let x = xRange
    let y = yScale
    func across(_ value: Double) -> Double {
      Self.left + (value - x.lowerBound) / (x.upperBound - x.lowerBound) * (Self.right - Self.left)
    }
    func along(_ value: Double) -> Double { Self.down - min(max(y.place(value), 0), 1) * (Self.down - Self.up) }
    var text = "<figure><h3>\(HTMLText.escaped(title))</h3>"
    text += "<svg class=\"lines\" viewBox=\"0 0 760 300\" role=\"img\" aria-label=\"\(HTMLText.escaped("\(title): \(finding)"))\">"
    text += "<text class=\"soft\" x=\"4\" y=\"21\">\(HTMLText.escaped(yLabel))</text>"
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
      ? AxisTicks.round(x).map { ($0, NumberText.axis($0)) } : xMarks
    for (value, label) in marks {
      text +=
        "<text class=\"soft\" text-anchor=\"middle\" x=\"\(SVGPatterns.number(across(value)))\" y=\"\(Int(saturating: Self.down) + 20)\">"
      text += "\(HTMLText.escaped(label))</text>"
    }
    text +=
      "<text class=\"soft\" text-anchor=\"middle\" x=\"\(Int(saturating: (Self.left + Self.right) / 2))\" y=\"\(Int(saturating: Self.down) + 46)\">"
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
    text += "</svg><div class=\"legend\">"
    for (index, line) in series.enumerated() {
      let dash = Self.dashes[index % Self.dashes.count]
      text += "<span><svg width=\"28\" height=\"12\" aria-hidden=\"true\"><line x1=\"0\" x2=\"28\" y1=\"6\" y2=\"6\" "
      text += "style=\"stroke-width:2;stroke:var(--s\(index % 9))\(dash.isEmpty ? "" : ";stroke-dasharray:\(dash)")\"/></svg>"
      text += "\(HTMLText.escaped(line.name))</span>"
    }
    return text + "</div><figcaption>\(HTMLText.escaped(explanation))</figcaption></figure>\n"
  }

  /// "p99: from 2.1 to 96 ms, at most 96 at 4,000 requests/s; ...".
  private var finding: String {
    series.compactMap { line in
      guard let first = line.points.first, let last = line.points.last, let highest = line.points.max(by: { $0.y < $1.y }) else {
        return nil
      }
      // Where marks have words of their own, as percentiles on a scale of nines, positions are not values.
      let nearest = xMarks.min { ($0.0 - highest.x).magnitude < ($1.0 - highest.x).magnitude }
      let place = nearest.map { "near \(xLabel) \($0.1)" } ?? "at \(NumberText.axis(highest.x)) \(xLabel)"
      let unit = yLabel.split(separator: ",").first.map(String.init) ?? yLabel
      return "\(line.name) from \(NumberText.significant(first.y)) to \(NumberText.significant(last.y)), at most "
        + "\(NumberText.significant(highest.y)) \(unit) \(place)"
    }.joined(separator: "; ")
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
      return ({ $0 / top }, AxisTicks.round(0...top))
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
