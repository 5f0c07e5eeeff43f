import CheckedNumbers
import Diagnosis

/// Hatching over the colours, so that an estimated share is told without colour.
enum SVGPatterns {
  static let definitions: String = {
    var text = "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>"
    for style in 0..<ChartPalette.count {
      text += "<pattern id=\"h\(style)\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
      text += "<rect width=\"6\" height=\"6\" style=\"fill:var(--s\(style))\"/>"
      text += "<line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" style=\"stroke:var(--paper);stroke-width:2\"/></pattern>"
    }
    return text + "</defs></svg>\n"
  }()

  /// A part's fill. Pale: not the largest loss.
  static func fill(_ style: Int, isEstimated: Bool, isPale: Bool = false) -> String {
    let style = style % ChartPalette.count
    return (isEstimated ? "fill:url(#h\(style))" : "fill:var(--s\(style))") + (isPale ? ";fill-opacity:\(ChartPalette.paleOpacity)" : "")
  }

  static func swatch(_ style: Int, isEstimated: Bool, isPale: Bool = false) -> String {
    "<svg width=\"16\" height=\"12\" aria-hidden=\"true\"><rect width=\"16\" height=\"12\" style=\"\(fill(style, isEstimated: isEstimated, isPale: isPale))\"/></svg>"
  }

  static func number(_ value: Double) -> String { NumberText.fixed(value, decimals: 2).replacing(",", with: "") }
}

extension [StackedBars.Part] {
  /// The largest share that is a loss: what is drawn strongest.
  var largestLoss: Element? { filter { $0.isLoss && $0.figure.value > 0 }.max { $0.figure.value < $1.figure.value } }

  /// Rectangles side by side, 1,000 wide together.
  func shapes(height: Double) -> String {
    let strongest = largestLoss
    var (text, x) = ("", 0.0)
    for part in self {
      let length = Swift.max(0, Swift.min(part.figure.value, 1)) * ChartRows.width
      text += ChartRows.rectangle(
        x: x, y: 0, width: length, height: height,
        style: SVGPatterns.fill(part.style, isEstimated: part.isEstimated, isPale: part.label != strongest?.label),
        title: "\(part.label): \(part.figure.text)\(part.isEstimated ? " (estimated)" : "")")
      x += length
    }
    return text
  }

  /// "mostly idle: no requests 92 %; busy: kernels ran 8 %".
  var finding: String {
    let shown = filter { $0.figure.value >= 0.005 }.sorted { $0.figure.value > $1.figure.value }.map { "\($0.label) \($0.figure.text)" }
    guard let first = shown.first else { return "nothing ran" }
    return (shown.count > 1 && (map(\.figure.value).max() ?? 0) > 0.5 ? "mostly " : "")
      + ([first] + shown.dropFirst()).joined(separator: "; ")
  }
}

extension StackedBars {
  var html: String {
    var rows = ChartRows()
    rows.rows = bars.map { bar in
      .init(
        name: bar.name, height: 26, label: "Where wall time of \(bar.name) went: \(bar.parts.finding)", shapes: bar.parts.shapes(height: 26)
      )
    }
    rows.ticks = AxisTicks.round(0...1).map { ($0, NumberText.axis(($0 * 100).rounded()) + " %") }
    rows.axis = "share of wall time"
    var text = "<figure>" + rows.html + "<div class=\"legend\">"
    let strongest = Set(bars.compactMap { $0.parts.largestLoss?.label })
    for part in legend {
      text += "<span>\(SVGPatterns.swatch(part.style, isEstimated: part.isEstimated, isPale: !strongest.contains(part.label)))"
      text += "\(HTMLText.escaped(part.label))</span>"
    }
    return text
      + "</div><figcaption>The largest loss of a bar is drawn strongest. Hatched: estimated.</figcaption></figure>\n"
  }
}

extension Histogram {
  var html: String {
    let low = series.flatMap(\.bins).map(\.low).min() ?? 0
    let high = max(low + 1, series.flatMap(\.bins).map(\.high).max() ?? 1)
    let (width, height) = (ChartRows.width, 110.0)
    var rows = ChartRows()
    for (index, series) in self.series.enumerated() {
      let maximum = max(1, series.bins.map(\.count).max() ?? 1)
      let even = width / Double(max(1, series.bins.count))
      var shapes = ""
      for (number, bin) in series.bins.enumerated() where bin.count > 0 {
        let x = isEven ? Double(number) * even : (bin.low - low) / (high - low) * width
        // A bin of one value at the end of the axis has its bar inside.
        let barWidth = max(isEven ? 1 : 4, (isEven ? even : (bin.high - bin.low) / (high - low) * width) - 1)
        let barHeight = max(1, Double(bin.count) / Double(maximum) * (height - 2))
        let ends =
          bin.high > bin.low ? "\(NumberText.significant(bin.low)) to \(NumberText.significant(bin.high))" : NumberText.significant(bin.low)
        shapes += ChartRows.rectangle(
          x: min(x, width - barWidth), y: height - barHeight, width: barWidth, height: barHeight, style: "fill:var(--s\(index % 9))",
          title: "\(ends) \(xLabel): \(NumberText.grouped(bin.count)) \(yLabel)")
      }
      shapes +=
        "<line x1=\"0\" x2=\"1000\" y1=\"\(height)\" y2=\"\(height)\" vector-effect=\"non-scaling-stroke\" style=\"stroke:var(--line)\"/>"
      rows.rows.append(
        .init(
          name: series.name, note: "highest bar: \(NumberText.grouped(maximum)) \(yLabel)", height: Int(saturating: height),
          label: "\(title), \(series.name): \(finding(series))", shapes: shapes))
    }
    rows.ticks =
      isEven
      ? series.first.map(evenTicks) ?? []
      : AxisTicks.round(low...high, about: 6).map { (($0 - low) / (high - low), NumberText.axis($0)) }
    rows.axis = xLabel
    return "<figure><h3>\(HTMLText.escaped(title))</h3>" + rows.html
      + "<figcaption>Upwards: \(HTMLText.escaped(yLabel)). \(HTMLText.escaped(explanation))</figcaption></figure>\n"
  }

  /// "half of 1,200 requests up to 410 ms, 99 % up to 700".
  private func finding(_ series: Series) -> String {
    let total = series.bins.reduce(0) { $0 + $1.count }
    guard total > 0 else { return "no \(yLabel)" }
    func upTo(_ share: Double) -> String {
      var left = Int(saturating: (Double(total) * share).rounded(.up))
      for bin in series.bins {
        left -= bin.count
        if left <= 0 { return NumberText.significant(bin.high) }
      }
      return NumberText.significant(series.bins.last?.high ?? 0)
    }
    return "half of \(NumberText.grouped(total)) \(yLabel) up to \(upTo(0.5)) \(xLabel), 99 % up to \(upTo(0.99))"
  }

  /// Ends of some five bins: where on the axis, and what stands there.
  private func evenTicks(_ series: Series) -> [(place: Double, text: String)] {
    let bins = series.bins
    let step = max(1, (bins.count + 4) / 5)
    return stride(from: 0, through: bins.count, by: step).compactMap { index in
      let value: Double? = index < bins.count ? bins[index].low : bins.last?.high
      return value.map { (Double(index) / Double(max(1, bins.count)), NumberText.significant($0)) }
    }
  }
}

extension Timeline {
  var html: String {
    let height = 18.0
    let length = Double(max(1, range.upperBound - range.lowerBound))
    var rows = ChartRows()
    for lane in lanes {
      var shapes = ""
      var busy = 0.0
      for span in lane.spans {
        let duration = Double(span.end - span.start)
        busy += duration
        shapes += ChartRows.rectangle(
          x: Double(span.start - range.lowerBound) / length * ChartRows.width, y: 0, width: max(0.8, duration / length * ChartRows.width),
          height: height, style: "fill:var(--s\(span.style % ChartPalette.count))",
          title: "\(span.label): \(NumberText.time(nanoseconds: duration))")
      }
      shapes +=
        "<line x1=\"0\" x2=\"1000\" y1=\"\(height)\" y2=\"\(height)\" vector-effect=\"non-scaling-stroke\" style=\"stroke:var(--line)\"/>"
      rows.rows.append(
        .init(
          name: lane.name, height: Int(saturating: height),
          label: "\(lane.name): \(NumberText.grouped(lane.spans.count)) intervals, \(NumberText.time(nanoseconds: busy)) together in "
            + NumberText.time(nanoseconds: length), shapes: shapes))
    }
    rows.ticks = AxisTicks.round(0...length).map { ($0 / length, $0 == 0 ? "0" : Self.round(nanoseconds: $0)) }
    rows.axis = "time since \(NumberText.time(nanoseconds: Double(range.lowerBound))) of the run"
    return "<figure><h3>\(HTMLText.escaped(title))</h3>" + rows.html
      + "<figcaption>\(HTMLText.escaped(explanation)) Dark blue: dominant kernel, light blue: other kernels, green: upload, "
      + "pink: download, orange: synchronization, grey: other calls, slate: waits.</figcaption></figure>\n"
  }

  /// "2 ms", "0.5 s": a round time without the zeros of a measured one.
  private static func round(nanoseconds: Double) -> String {
    for (scale, unit) in [(1e9, "s"), (1e6, "ms"), (1e3, "us")] where nanoseconds >= scale {
      return NumberText.axis((nanoseconds / scale * 1000).rounded() / 1000) + " " + unit
    }
    return NumberText.axis(nanoseconds) + " ns"
  }
}
