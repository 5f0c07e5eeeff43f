import CheckedNumbers
import Diagnosis

/// Hatching over the nine colours, so that an estimated share is told without colour.
enum SVGPatterns {
  static let definitions: String = {
    var text = "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>"
    for style in 0..<9 {
      text += "<pattern id=\"h\(style)\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
      text += "<rect width=\"6\" height=\"6\" style=\"fill:var(--s\(style))\"/>"
      text += "<line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" style=\"stroke:var(--paper);stroke-width:2\"/></pattern>"
    }
    return text + "</defs></svg>\n"
  }()

  static func fill(_ style: Int, isEstimated: Bool) -> String {
    isEstimated ? "fill:url(#h\(style % 9))" : "fill:var(--s\(style % 9))"
  }

  static func swatch(_ style: Int, isEstimated: Bool) -> String {
    "<svg width=\"16\" height=\"12\" aria-hidden=\"true\"><rect width=\"16\" height=\"12\" style=\"\(fill(style, isEstimated: isEstimated))\"/></svg>"
  }

  static func number(_ value: Double) -> String { NumberText.fixed(value, decimals: 2) }
}

extension StackedBars {
  var html: String {
    let (left, width, height, gap) = (90.0, 800.0, 26.0, 12.0)
    let total = Double(bars.count) * (height + gap) + 24
    var text =
      "<figure><div class=\"scroll\"><svg class=\"wide\" viewBox=\"0 0 \(Int(saturating: left + width + 20)) \(Int(saturating: total))\" role=\"img\" "
    text += "aria-label=\"Shares of wall time by variant\">"
    for (index, bar) in bars.enumerated() {
      let y = Double(index) * (height + gap) + 4
      text += "<text x=\"0\" y=\"\(SVGPatterns.number(y + 17))\">\(HTMLText.escaped(bar.name))</text>"
      var x = left
      for part in bar.parts {
        let length = max(0, min(part.figure.value, 1)) * width
        let label = "\(part.label): \(part.figure.text)\(part.isEstimated ? " (estimated)" : "")"
        text +=
          "<rect x=\"\(SVGPatterns.number(x))\" y=\"\(SVGPatterns.number(y))\" width=\"\(SVGPatterns.number(length))\" height=\"\(Int(saturating: height))\" "
        text += "style=\"\(SVGPatterns.fill(part.style, isEstimated: part.isEstimated))\"><title>\(HTMLText.escaped(label))</title></rect>"
        x += length
      }
    }
    for tick in stride(from: 0.0, through: 1, by: 0.25) {
      let x = left + tick * width
      text +=
        "<text class=\"soft\" text-anchor=\"middle\" x=\"\(SVGPatterns.number(x))\" y=\"\(SVGPatterns.number(total - 4))\">\(Int(saturating: tick * 100)) %</text>"
    }
    text += "</svg></div><div class=\"legend\">"
    for part in legend {
      text += "<span>\(SVGPatterns.swatch(part.style, isEstimated: part.isEstimated))\(HTMLText.escaped(part.label))</span>"
    }
    return text + "</div><figcaption>Shares of wall time, one bar per variant. Hatched: estimated with the plan.</figcaption></figure>\n"
  }
}

extension Histogram {
  var html: String {
    let (left, width, height) = (70.0, 820.0, 110.0)
    let low = series.flatMap(\.bins).map(\.low).min() ?? 0
    let high = max(low + 1, series.flatMap(\.bins).map(\.high).max() ?? 1)
    let total = Double(series.count) * (height + 34)
    var text = "<figure><h3>\(HTMLText.escaped(title))</h3><div class=\"scroll\">"
    text +=
      "<svg class=\"wide\" viewBox=\"0 0 \(Int(saturating: left + width + 20)) \(Int(saturating: total))\" role=\"img\" aria-label=\"\(HTMLText.escaped(title))\">"
    for (index, series) in self.series.enumerated() {
      let top = Double(index) * (height + 34)
      let maximum = max(1, series.bins.map(\.count).max() ?? 1)
      text += "<text x=\"0\" y=\"\(SVGPatterns.number(top + 14))\">\(HTMLText.escaped(series.name))</text>"
      text += "<text class=\"soft\" x=\"0\" y=\"\(SVGPatterns.number(top + 30))\">max \(NumberText.grouped(maximum))</text>"
      let even = width / Double(max(1, series.bins.count))
      for (number, bin) in series.bins.enumerated() where bin.count > 0 {
        let x = isEven ? left + Double(number) * even : left + (bin.low - low) / (high - low) * width
        let barWidth = max(isEven ? 1 : 3, (isEven ? even : (bin.high - bin.low) / (high - low) * width) - 1)
        let barHeight = max(1, Double(bin.count) / Double(maximum) * (height - 8))
        let ends =
          bin.high > bin.low ? "\(NumberText.significant(bin.low)) to \(NumberText.significant(bin.high))" : NumberText.significant(bin.low)
        text +=
          "<rect x=\"\(SVGPatterns.number(x))\" y=\"\(SVGPatterns.number(top + height - barHeight))\" width=\"\(SVGPatterns.number(barWidth))\" "
        text += "height=\"\(SVGPatterns.number(barHeight))\" style=\"fill:var(--s\(index % 9))\">"
        text += "<title>\(HTMLText.escaped("\(ends) \(xLabel): \(NumberText.grouped(bin.count)) \(yLabel)"))</title></rect>"
      }
      text +=
        "<line x1=\"\(Int(saturating: left))\" x2=\"\(Int(saturating: left + width))\" y1=\"\(SVGPatterns.number(top + height))\" y2=\"\(SVGPatterns.number(top + height))\" "
      text += "style=\"stroke:var(--line)\"/>"
      for tick in isEven ? evenTicks(series) : stride(from: 0.0, through: 1, by: 0.25).map({ ($0, low + (high - low) * $0) }) {
        let (place, value) = tick
        text +=
          "<text class=\"soft\" text-anchor=\"middle\" x=\"\(SVGPatterns.number(left + place * width))\" y=\"\(SVGPatterns.number(top + height + 15))\">"
        text += "\(NumberText.significant(value))</text>"
      }
    }
    return text
      + "</svg></div><figcaption>\(HTMLText.escaped(xLabel)); height: \(HTMLText.escaped(yLabel)). \(HTMLText.escaped(explanation))</figcaption></figure>\n"
  }
}

extension Histogram {
  /// Ends of some ten bins: where on the axis, and what stands there.
  private func evenTicks(_ series: Series) -> [(Double, Double)] {
    let bins = series.bins
    let step = max(1, (bins.count + 9) / 10)
    return stride(from: 0, through: bins.count, by: step).compactMap { index in
      let value: Double? = index < bins.count ? bins[index].low : bins.last?.high
      return value.map { (Double(index) / Double(max(1, bins.count)), $0) }
    }
  }
}

extension Timeline {
  var html: String {
    let (left, width, lane) = (210.0, 760.0, 22.0)
    let total = Double(lanes.count) * lane + 26
    let length = Double(max(1, range.upperBound - range.lowerBound))
    var text = "<figure><h3>\(HTMLText.escaped(title))</h3><div class=\"scroll\">"
    text +=
      "<svg class=\"wide\" viewBox=\"0 0 \(Int(saturating: left + width + 30)) \(Int(saturating: total))\" role=\"img\" aria-label=\"\(HTMLText.escaped(title))\">"
    for (index, current) in lanes.enumerated() {
      let y = Double(index) * lane
      text += "<text x=\"0\" y=\"\(SVGPatterns.number(y + 15))\">\(HTMLText.escaped(current.name))</text>"
      text +=
        "<line x1=\"\(Int(saturating: left))\" x2=\"\(Int(saturating: left + width))\" y1=\"\(SVGPatterns.number(y + lane - 1))\" y2=\"\(SVGPatterns.number(y + lane - 1))\" "
      text += "style=\"stroke:var(--line)\"/>"
      for span in current.spans {
        let x = left + Double(span.start - range.lowerBound) / length * width
        let spanWidth = max(0.6, Double(span.end - span.start) / length * width)
        let duration = NumberText.time(nanoseconds: Double(span.end - span.start))
        text +=
          "<rect x=\"\(SVGPatterns.number(x))\" y=\"\(SVGPatterns.number(y + 3))\" width=\"\(SVGPatterns.number(spanWidth))\" height=\"\(Int(saturating: lane - 6))\" "
        text +=
          "style=\"fill:var(--s\(span.style % 9));fill-opacity:.9\"><title>\(HTMLText.escaped("\(span.label): \(duration)"))</title></rect>"
      }
    }
    for tick in stride(from: 0.0, through: 1, by: 0.25) {
      text +=
        "<text class=\"soft\" text-anchor=\"middle\" x=\"\(SVGPatterns.number(left + tick * width))\" y=\"\(SVGPatterns.number(total - 6))\">"
      text += "\(NumberText.time(nanoseconds: length * tick))</text>"
    }
    return text
      + "</svg></div><figcaption>\(HTMLText.escaped(explanation)) Dark blue: dominant kernel, light blue: other kernels, green: upload, "
      + "pink: download, orange: synchronization, grey: other calls, light grey: waits.</figcaption></figure>\n"
  }
}
