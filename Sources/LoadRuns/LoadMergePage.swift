import JSONText
import LoadModel
import ProcessContract
import Reporting

/// What `load merge` prints of one kind of values.
package struct LoadMergePage {
  package var tag: String?
  package var histogram: Histogram
  package var files: Int

  /// Of the values with that tag in `files` files.
  package init(tag: String?, histogram: Histogram, files: Int) {
    self.tag = tag
    self.histogram = histogram
    self.files = files
  }

  package var lines: [String] {
    var table = TextTable([.init(tag ?? "latency", .left), .init("value")])
    table.add(["mean", LoadReport.time(histogram.mean)])
    table.add(["min", LoadReport.time(histogram.minimum.map(Double.init))])
    for percentile in LoadResult.percentiles {
      let value = histogram.value(atPercentile: percentile).map(Double.init)
      table.add(["p" + LoadReport.name(of: percentile), LoadReport.time(value)])
    }
    table.add(["max", LoadReport.time(histogram.maximum.map(Double.init))])
    return ["\(NumberText.grouped(histogram.count)) values of \(files) file\(files == 1 ? "" : "s"), taken as nanoseconds"] + table.lines
      + [""]
  }

  package static func json(_ pages: [LoadMergePage], problems: [String]) -> JSONValue {
    [
      "schema": "headroom.load-merge/1", "headroom": .string(ProgramVersion.current), "mode": "measured", "valid": .bool(problems.isEmpty),
      "problems": .array(problems.map { .string($0) }),
      "histograms": .array(pages.map { ["tag": JSONValue($0.tag), "values": LoadReport.latency($0.histogram)] }),
    ]
  }
}
