import CheckedNumbers
import Diagnosis

extension Report.Card {
  /// The answer, the bar and the diff, as one block that stands at the top of the page.
  var html: String {
    let identity = "card-" + HTMLText.escaped(name.map { $0.isLetter || $0.isNumber ? String($0) : "-" }.joined())
    var text = "<article class=\"card\" id=\"\(identity)\"><header><h2>\(HTMLText.escaped(name))</h2>"
    if !setting.isEmpty { text += "<span class=\"soft\">\(HTMLText.escaped(setting))</span>" }
    text += "</header><p class=\"lead\">\(HTMLText.escaped(title))</p>"
    text += bar
    text += "<dl class=\"lines\">"
    for line in lines {
      let name =
        line.anchor.map { "<a href=\"#\(HTMLText.escaped($0))\">\(HTMLText.escaped(line.name))</a>" } ?? HTMLText.escaped(line.name)
      let kind = line.kind.map { " <span class=\"soft\">[\(HTMLText.escaped($0))]</span>" } ?? ""
      text += "<dt>\(name)</dt><dd>\(HTMLText.line(line.text))\(kind)</dd>"
    }
    text += "</dl>"
    if !diff.isEmpty {
      text += "<pre class=\"diff\" aria-label=\"First change, as lines of config.pbtxt\">"
      text += diff.map { line in
        let style = line.hasPrefix("-") ? "del" : "ins"
        return "<\(style)>\(HTMLText.escaped(line))</\(style)>"
      }.joined(separator: "\n")
      text += "</pre>"
    }
    return text + "</article>\n"
  }

  /// Shares that a phone's legend names before it sums up the rest.
  static let namedOnPhones = 4

  /// Shares of wall time as one bar with its legend; what takes no time is left out. Everything that is drawn is named; a phone has room for
  /// the largest, and sums up the others.
  private var bar: String {
    let shown = parts.filter { $0.figure.value > 0 }
    guard !shown.isEmpty else { return "" }
    let strongest = shown.largestLoss?.label
    var text = "<svg class=\"bar\" viewBox=\"0 0 1000 24\" preserveAspectRatio=\"none\" role=\"img\" "
    text += "aria-label=\"Where wall time went: \(HTMLText.escaped(shown.finding))\">\(shown.shapes(height: 24))"
    text += "</svg><div class=\"legend\">"
    let ordered = shown.sorted(by: { $0.figure.value > $1.figure.value })
    let named = ordered.count > Self.namedOnPhones ? Self.namedOnPhones - 1 : ordered.count
    for (index, part) in ordered.enumerated() {
      text +=
        "<span\(index < named ? "" : " class=\"more\"")>\(SVGPatterns.swatch(part.style, isEstimated: part.isEstimated, isPale: part.label != strongest))"
      text += "\(HTMLText.escaped("\(part.figure.value < 0.0005 ? "under 0.1 %" : part.figure.text) \(part.label)"))</span>"
    }
    if named < ordered.count {
      let rest = NumberText.percent(ordered.dropFirst(named).reduce(0) { $0 + $1.figure.value })
      text += "<span class=\"rest\">\(rest) other (\(ordered.count - named))</span>"
    }
    return text + "</div>"
  }
}
