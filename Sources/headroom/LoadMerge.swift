import FileAccess
import JSONText
import LoadGenerator
import LoadModel
import Reporting

/// What `load merge` prints of one kind of values.
struct LoadMergePage {
  var tag: String?
  var histogram: Histogram
  var files: Int

  var lines: [String] {
    func time(_ value: Double?) -> String { value.map { NumberText.time(nanoseconds: $0) } ?? "-" }
    var table = TextTable([.init(tag ?? "latency", .left), .init("value")])
    table.add(["mean", time(histogram.mean)])
    table.add(["min", time(histogram.minimum.map(Double.init))])
    for percentile in LoadResult.percentiles {
      table.add(["p" + LoadReport.name(of: percentile), time(histogram.value(atPercentile: percentile).map(Double.init))])
    }
    table.add(["max", time(histogram.maximum.map(Double.init))])
    return ["\(NumberText.grouped(histogram.count)) values of \(files) file\(files == 1 ? "" : "s"), taken as nanoseconds"] + table.lines
      + [""]
  }

  static func json(_ pages: [LoadMergePage]) -> JSONValue {
    [
      "schema": "headroom.load-merge/1", "headroom": .string(Headroom.version), "mode": "measured",
      "histograms": .array(pages.map { ["tag": JSONValue($0.tag), "values": LoadReport.latency($0.histogram)] }),
    ]
  }
}

/// `headroom load merge`.
enum LoadMerge {
  static func run(_ files: [String], json: Bool) throws {
    var merged: [String?: Histogram] = [:]
    for file in files {
      let log: HistogramLog
      do { log = try HistogramLog(text: Files.readText(file)) } catch let error as LoadInputError { throw LoadError("\(file): \(error)") }
      for entry in log.entries {
        if merged[entry.tag]?.add(entry.histogram) == nil { merged[entry.tag] = entry.histogram }
      }
    }
    let tags = merged.keys.sorted { ($0 ?? "") < ($1 ?? "") }
    let pages = tags.compactMap { tag in merged[tag].map { LoadMergePage(tag: tag, histogram: $0, files: files.count) } }
    if json {
      Terminal.print(LoadMergePage.json(pages).serialized(pretty: true))
    } else {
      Terminal.print(pages.flatMap(\.lines).joined(separator: "\n"))
    }
  }
}
