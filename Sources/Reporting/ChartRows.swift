import CheckedNumbers

/// A chart of rows on a page: each a name beside a strip that is as wide as the page lets it be, a common axis under them. Letters are text of
/// the page, not of the picture, so that they keep their size on a phone and nothing is cut off.
struct ChartRows {
  /// A strip: shapes in a picture 1,000 wide and `height` high.
  struct Row {
    var name: String
    var note = ""
    var height: Int
    /// What a reader who sees nothing is told.
    var label: String
    var shapes: String
  }

  var rows: [Row] = []
  /// Marks of the axis, from 0 to 1; empty for rows that have their own.
  var ticks: [(place: Double, text: String)] = []
  /// Words under the axis, with the unit.
  var axis = ""

  static let width = 1000.0

  var html: String {
    var text = "<div class=\"rows\">"
    for row in rows {
      let note = row.note.isEmpty ? "" : " <span class=\"soft\">\(HTMLText.escaped(row.note))</span>"
      text += "<div class=\"row\"><span class=\"name\">\(HTMLText.escaped(row.name))\(note)</span>"
      text +=
        "<svg class=\"strip\" style=\"height:\(row.height)px\" viewBox=\"0 0 1000 \(row.height)\" preserveAspectRatio=\"none\" role=\"img\" "
      text += "aria-label=\"\(HTMLText.escaped(row.label))\">\(row.shapes)</svg></div>"
    }
    if !ticks.isEmpty {
      text += "<div class=\"row\"><span class=\"name\"></span><div class=\"ticks\" aria-hidden=\"true\">"
      for tick in ticks {
        let place = tick.place < 0.03 ? " class=\"first\"" : tick.place > 0.97 ? " class=\"last\"" : ""
        text += "<span\(place) style=\"left:\(SVGPatterns.number(tick.place * 100))%\">\(HTMLText.escaped(tick.text))</span>"
      }
      text += "</div></div>"
    }
    if !axis.isEmpty {
      text += "<div class=\"row\"><span class=\"name\"></span><span class=\"axis\">\(HTMLText.escaped(axis))</span></div>"
    }
    return text + "</div>"
  }

  /// A rectangle; places from 0 to 1000.
  static func rectangle(x: Double, y: Double, width: Double, height: Double, style: String, title: String) -> String {
    "<rect x=\"\(SVGPatterns.number(x))\" y=\"\(SVGPatterns.number(y))\" width=\"\(SVGPatterns.number(width))\" "
      + "height=\"\(SVGPatterns.number(height))\" style=\"\(style)\"><title>\(HTMLText.escaped(title))</title></rect>"
  }
}

/// Marks of an axis at round numbers: 1, 2 or 5 times a power of ten apart.
enum AxisTicks {
  /// Those within the range, some `about` of them.
  static func round(_ range: ClosedRange<Double>, about: Int = 5) -> [Double] {
    let length = range.upperBound - range.lowerBound
    guard length > 0, length.isFinite, about > 0 else { return [range.lowerBound] }
    let wanted = length / Double(about)
    var power = 1.0
    while power * 10 <= wanted { power *= 10 }
    while power > wanted { power /= 10 }
    let step = [1.0, 2, 5, 10].map { $0 * power }.min { ($0 - wanted).magnitude < ($1 - wanted).magnitude } ?? power
    var ticks: [Double] = []
    var index = (range.lowerBound / step - 1e-9).rounded(.up)
    while index * step <= range.upperBound + step * 1e-9, ticks.count <= 4 * about {
      ticks.append(index * step)
      index += 1
    }
    return ticks
  }
}
