import Diagnosis

extension Report {
  /// A page that needs nothing but itself.
  public var html: String {
    var page = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    page += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">"
    page += "<title>\(HTMLText.escaped(title))\(banner == nil ? "" : " (SIMULATED)")</title><style>\(HTMLStyle.css)</style></head><body>\n"
    page += SVGPatterns.definitions
    page += "<header><h1>\(HTMLText.escaped(title))</h1>"
    // What the one card says is not said twice.
    if cards.count != 1 || cards[0].title != question {
      page += "<p class=\"lead\(cards.isEmpty ? "" : " question")\">\(HTMLText.escaped(question))</p>"
    }
    if let banner { page += "<p class=\"banner\" role=\"note\">\(HTMLText.escaped(banner))</p>" }
    var about = "<dl>"
    for fact in facts { about += "<dt>\(HTMLText.escaped(fact.name))</dt><dd>\(HTMLText.escaped(fact.text))</dd>" }
    about += "</dl>"
    for note in notes { about += "<p class=\"soft\">Note: \(HTMLText.escaped(note))\(note.hasSuffix(".") ? "" : ".")</p>" }
    if cards.isEmpty {
      page += about
    } else {
      // On a phone several stand beside one another: each is seen whole, and the next is a swipe away.
      let several =
        cards.count > 1 ? " several\" tabindex=\"0\" role=\"region\" aria-label=\"Answers, \(cards.count) of them, side by side" : ""
      page += "<div class=\"cards\(several)\">" + cards.map(\.html).joined() + "</div>"
      page += "<details class=\"about\"><summary>\(HTMLText.escaped(factsHeading))</summary>\(about)</details>"
    }
    page += "<nav aria-label=\"Sections\">"
    let isMixed = Set(sections.map { tag(of: $0) }).count > 1
    for section in sections {
      let kind = isMixed ? tag(of: section).map { " (\($0.lowercased()))" } ?? "" : ""
      page += "<a href=\"#\(HTMLText.escaped(section.id))\">\(HTMLText.escaped(section.heading + kind))</a>"
    }
    page += "</nav></header>\n<main>\n"
    for section in sections {
      let tag = tag(of: section).map { " <span class=\"tag\">\($0)</span>" } ?? ""
      page += "<section id=\"\(HTMLText.escaped(section.id))\"\(kindClass(of: section))><h2>\(HTMLText.escaped(section.heading))\(tag)</h2>"
      page += "<p class=\"soft\">\(HTMLText.escaped(section.explanation))</p>\n"
      for block in section.blocks { page += block.html(isVerdict: section.id == "verdict") }
      page += "</section>\n"
    }
    page +=
      "</main><footer class=\"soft\"><p>Small letters behind figures: m measured, e estimated from measured or planned figures by a model, "
    page += "s simulated, f fitted, a assumed. Hatched areas are estimated.</p></footer></body></html>\n"
    return page
  }

  /// The section's tag says the kind of its figures once: only others carry their letter.
  private func kindClass(of section: Section) -> String {
    guard let tag = tag(of: section), let kind = Figure.Kind(rawValue: tag.lowercased()) else { return "" }
    return " class=\"of-\(kind.rawValue.prefix(1))\""
  }
}

extension Figure {
  /// Value with the letter of its kind and its source as a tooltip.
  var html: String {
    var source = "\(kind.rawValue): \(source)"
    if let interval {
      let (low, high) = (Figure(interval.lowerBound, unit, kind, source: ""), Figure(interval.upperBound, unit, kind, source: ""))
      source += "; from \(low.text) to \(high.text)"
    }
    let letter = kind.rawValue.prefix(1)
    return "<span title=\"\(HTMLText.escaped(source))\">\(HTMLText.escaped(text))<span class=\"kind \(letter)\">\(letter)</span></span>"
  }
}

extension Sentence {
  /// Words and figures; an apostrophe-quoted command becomes code.
  var html: String {
    parts.map { part in
      switch part {
      case .figure(let figure): figure.html
      case .text(let text):
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
          .map { $0.offset % 2 == 1 ? "<code>\(HTMLText.escaped(String($0.element)))</code>" : HTMLText.escaped(String($0.element)) }
          .joined()
      }
    }.joined()
  }
}

extension Report.Block {
  func html(isVerdict: Bool) -> String {
    switch self {
    case .table(let table): return table.html
    case .sentences(let heading, let sentences, let anchor):
      let list = "<ul>" + sentences.map { "<li>\($0.html)</li>" }.joined() + "</ul>"
      if isVerdict, let first = sentences.first {
        let rest = sentences.dropFirst().map { "<li>\($0.html)</li>" }.joined()
        return "<div class=\"verdict\"><h3>\(HTMLText.escaped(heading ?? ""))</h3><strong>\(first.html)</strong><ul>\(rest)</ul></div>\n"
      }
      let identity = anchor.map { " id=\"\(HTMLText.escaped($0))\"" } ?? ""
      return (heading.map { "<h3\(identity)>\(HTMLText.escaped($0))</h3>" } ?? "") + list + "\n"
    case .bars(let bars): return bars.html
    case .histogram(let histogram): return histogram.html
    case .timeline(let timeline): return timeline.html
    case .chart(let chart): return chart.html
    }
  }
}

extension FigureTable {
  var html: String {
    var text =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table: \(HTMLText.escaped(columns.joined(separator: ", ")))\"><table><thead><tr><th scope=\"col\"></th>"
    for column in columns { text += "<th scope=\"col\">\(HTMLText.escaped(column))</th>" }
    text += "</tr></thead><tbody>"
    for row in rows {
      // A label that is set in belongs to the row above it.
      text += "<tr><td\(row.label.hasPrefix(" ") ? " class=\"sub\"" : "")>\(HTMLText.escaped(row.label))</td>"
      for cell in row.cells {
        switch cell {
        case .figure(let figure): text += "<td>\(figure.html)</td>"
        case .text(let name): text += "<td>\(HTMLText.escaped(name))</td>"
        case .unknown: text += "<td><span title=\"not known\">&ndash;</span></td>"
        }
      }
      text += "</tr>"
    }
    text += "</tbody></table></div>"
    let explained = rows.filter { !$0.explanation.isEmpty }
    if !explained.isEmpty {
      text += "<details><summary>What the rows are</summary><dl>"
      for row in explained { text += "<dt>\(HTMLText.escaped(row.label))</dt><dd>\(HTMLText.escaped(row.explanation))</dd>" }
      text += "</dl></details>"
    }
    return text + "\n"
  }
}
