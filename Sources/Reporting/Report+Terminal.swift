import CheckedNumbers
import Diagnosis

extension Report {
  /// Lines for a terminal of `width` columns.
  public func terminalLines(width: Int = 120) -> [String] {
    var lines: [String] = []
    func rule() { lines.append(String(repeating: "=", count: min(width, 100))) }
    rule()
    lines.append(title)
    lines += Self.wrap(question, width: width, indent: "")
    if let banner { lines += Self.wrap(banner, width: width, indent: "") }
    rule()
    let longest = facts.map(\.name.count).max() ?? 0
    for fact in facts {
      let head = fact.name + String(repeating: " ", count: longest - fact.name.count) + "  "
      lines += Self.wrap(fact.text, width: width, indent: String(repeating: " ", count: head.count), first: head)
    }
    for note in notes { lines += Self.wrap("note: " + note, width: width, indent: "  ", first: "") }
    for section in sections {
      lines.append("")
      lines.append(section.heading.uppercased() + (tag(of: section).map { "  [\($0)]" } ?? ""))
      lines += Self.wrap(section.explanation, width: width, indent: "  ", first: "  ")
      for block in section.blocks { lines += block.terminalLines(width: width) }
    }
    return lines
  }

  func tag(of section: Section) -> String? { section.tag ?? (banner == nil ? nil : "SIMULATED") }

  /// Words in lines of `width`.
  public static func wrap(_ text: String, width: Int, indent: String, first: String? = nil) -> [String] {
    var lines: [String] = []
    var line = first ?? indent
    var isEmpty = true
    for word in words(of: text) {
      if !isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        line = indent
        isEmpty = true
      }
      line += (isEmpty ? "" : " ") + word
      isEmpty = false
    }
    lines.append(line)
    return lines
  }

  /// Units that stay on the line of their number.
  private static let units: Set<Substring> = [
    "%", "s", "ms", "us", "ns", "h", "min", "req/s", "requests/s", "rows", "B", "kB", "MB", "GB", "KiB", "MiB", "GiB", "GB/s",
    "TB/s", "FLOP/s", "TFLOP/s", "MHz", "W",
  ]

  /// What a line may be broken between: a number keeps its unit.
  private static func words(of text: String) -> [String] {
    var words: [String] = []
    for word in text.split(separator: " ") {
      let end = word.lastIndex { !",;:.)".contains($0) }
      let isUnit = end.map { units.contains(word[...$0]) } ?? false
      if isUnit, let number = words.last, number.last.map({ $0.isASCII && $0.isNumber }) ?? false {
        words[words.count - 1] = number + " " + word
      } else {
        words.append(String(word))
      }
    }
    return words
  }
}

extension Report.Block {
  func terminalLines(width: Int) -> [String] {
    switch self {
    case .table(let table): return table.terminalLines
    case .sentences(let heading, let sentences, _):
      var lines: [String] = []
      if let heading { lines.append("  " + heading) }
      for sentence in sentences { lines += Report.wrap(sentence.text, width: width, indent: "      ", first: "    ") }
      return lines
    case .bars(let bars): return bars.terminalLines(width: width)
    case .histogram(let histogram): return histogram.terminalLines
    // A timeline in characters hides more than it shows; the page has it.
    case .timeline: return []
    case .chart(let chart): return chart.terminalLines(width: min(72, max(20, width - 12))).map { "  " + $0 }
    }
  }
}

extension FigureTable {
  /// Aligned columns; the kind stands behind figures that are weaker than the report's own.
  var terminalLines: [String] {
    var table = TextTable([TextTable.Column("", .left)] + columns.map { TextTable.Column($0, .right) })
    for row in rows { table.add([row.label] + row.cells.map(\.text)) }
    return table.lines.map { "  " + $0 }
  }
}

extension FigureTable.Cell {
  /// As printed.
  public var text: String {
    switch self {
    case .figure(let figure): figure.text
    case .text(let text): text
    case .unknown: "-"
    }
  }
}

extension StackedBars {
  /// Every part of which any bar has some, once, in the order of the bars.
  var legend: [Part] {
    var parts: [Part] = []
    for part in bars.flatMap(\.parts) where part.figure.value > 0 && !parts.contains(where: { $0.label == part.label }) {
      parts.append(part)
    }
    return parts
  }

  /// One bar a line, a letter a part, so that no part is told by colour alone.
  func terminalLines(width: Int) -> [String] {
    let letters = Array("SHTUCEBRWLGDPXO")
    let longest = bars.map(\.name.count).max() ?? 0
    let space = max(20, min(width, 110) - longest - 4)
    var lines: [String] = []
    for bar in bars {
      var text = ""
      var carried = 0.0
      for part in bar.parts {
        carried += max(0, part.figure.value) * Double(space)
        let cells = Int(saturating: carried.rounded())
        carried -= Double(cells)
        text += String(repeating: part.letter ?? letters[part.style % letters.count], count: max(0, cells))
      }
      lines.append("  " + bar.name + String(repeating: " ", count: longest - bar.name.count) + "  " + String(text.prefix(space)))
    }
    let parts = legend
    if !parts.isEmpty {
      let legend = parts.map { "\($0.letter ?? letters[$0.style % letters.count]) \($0.label)\($0.isEstimated ? " (estimated)" : "")" }
      lines += Report.wrap(legend.joined(separator: "; "), width: width, indent: "    ", first: "    ")
    }
    return lines
  }
}

extension Histogram {
  /// The largest bins of every series as counts.
  var terminalLines: [String] {
    var lines = ["  " + title + " (" + xLabel + ")"]
    for series in self.series {
      let total = series.bins.reduce(0) { $0 + $1.count }
      let largest = series.bins.filter { $0.count > 0 }.sorted { $0.count > $1.count }.prefix(4)
      let parts = largest.map { bin in
        let share = NumberText.percent(Double(bin.count) / Double(max(1, total)))
        let ends =
          bin.high - bin.low <= 1
          ? NumberText.significant(bin.low) : "\(NumberText.significant(bin.low))..\(NumberText.significant(bin.high))"
        return "\(ends): \(NumberText.grouped(bin.count)) (\(share))"
      }
      lines.append("    \(series.name): " + parts.joined(separator: ", "))
    }
    return lines
  }
}
