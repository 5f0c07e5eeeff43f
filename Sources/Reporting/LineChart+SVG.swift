extension LineChart {
  /// Dash patterns beside colours, so that lines are told apart without colour.
  static let dashes = ["", "6 3", "2 3", "8 3 2 3"]

  /// A page of charts, one below the other, with its own light and dark colours.
  public static func svg(_ charts: [LineChart]) -> String {
    let height = 330
    var text = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 \(charts.count * height)" font-family="system-ui, sans-serif" font-size="13">
      <style>
      svg { --ink: #1b1f24; --faint: #8a939e; --paper: #ffffff; --line0: #0b62c4; --line1: #b3470b; --line2: #1c7a3d; --line3: #7a2fa0; }
      @media (prefers-color-scheme: dark) {
        svg { --ink: #e8eaed; --faint: #7d8791; --paper: #15181c; --line0: #6db3ff; --line1: #ff9a5c; --line2: #6fd694; --line3: #d39bf2; }
      }
      text { fill: var(--ink); } .faint { fill: var(--faint); } .paper { fill: var(--paper); } .axis { stroke: var(--faint); }
      .line0 { stroke: var(--line0); } .line1 { stroke: var(--line1); } .line2 { stroke: var(--line2); } .line3 { stroke: var(--line3); }
      path { fill: none; stroke-width: 2; }
      </style>
      <rect class="paper" width="760" height="\(charts.count * height)"/>

      """
    for (index, chart) in charts.enumerated() { text += chart.panel(offset: index * height) }
    return text + "</svg>\n"
  }

  private func panel(offset: Int) -> String {
    let (left, right, up, down) = (70.0, 740.0, 62.0, 270.0)
    let x = xRange
    func place(_ point: (x: Double, y: Double)) -> String {
      let across = left + (point.x - x.lowerBound) / (x.upperBound - x.lowerBound) * (right - left)
      let along = down - min(max(point.y / yTop, 0), 1) * (down - up)
      return "\(NumberText.plain(across)) \(NumberText.plain(along))"
    }
    var text = "<g transform=\"translate(0 \(offset))\">\n<text x=\"20\" y=\"22\" font-weight=\"600\">\(XMLText.escape(title))</text>\n"
    text += "<text class=\"faint\" x=\"20\" y=\"42\" font-size=\"12\">\(XMLText.escape(explanation))</text>\n"
    for tick in 0...4 {
      let y = down - Double(tick) / 4 * (down - up)
      text += "<line class=\"axis\" x1=\"\(left)\" x2=\"\(right)\" y1=\"\(y)\" y2=\"\(y)\" stroke-opacity=\"\(tick == 0 ? 1 : 0.3)\"/>"
      text += "<text x=\"\(left - 8)\" y=\"\(y + 4)\" text-anchor=\"end\">\(NumberText.significant(yTop * Double(tick) / 4))</text>\n"
      let value = x.lowerBound + (x.upperBound - x.lowerBound) * Double(tick) / 4
      text += "<text x=\"\(left + (right - left) * Double(tick) / 4)\" y=\"\(down + 18)\" text-anchor=\"middle\">"
      text += "\(NumberText.axis(value))</text>\n"
    }
    text += "<text x=\"\((left + right) / 2)\" y=\"\(down + 38)\" text-anchor=\"middle\">\(XMLText.escape(xLabel))</text>\n"
    text += "<text transform=\"translate(16 \((up + down) / 2)) rotate(-90)\" text-anchor=\"middle\">\(XMLText.escape(yLabel))</text>\n"
    for (index, line) in series.enumerated() {
      let dash = Self.dashes[index % Self.dashes.count]
      let style = "class=\"line\(index % 4)\"" + (dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\"")
      // A step, not a slope: between two computed batches nothing was computed.
      var path = ""
      for (number, point) in line.points.enumerated() {
        path += number == 0 ? "M\(place(point))" : "L\(place((point.x, line.points[number - 1].y)))L\(place(point))"
      }
      text += "<path \(style) d=\"\(path)\"><title>\(XMLText.escape(line.name))</title></path>\n"
      let legend = left + Double(index) * 165
      text += "<path \(style) d=\"M\(legend) \(down + 50)h24\"/>"
      text += "<text x=\"\(legend + 30)\" y=\"\(down + 54)\" font-size=\"12\">\(XMLText.escape(line.name))</text>\n"
    }
    return text + "</g>\n"
  }
}

/// Text inside XML.
enum XMLText {
  static func escape(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
  }
}

extension NumberText {
  /// A mark on an axis: whole numbers without decimals.
  static func axis(_ value: Double) -> String { value == value.rounded() ? fixed(value, decimals: 0) : significant(value) }

  /// A coordinate: one decimal, no grouping.
  static func plain(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
