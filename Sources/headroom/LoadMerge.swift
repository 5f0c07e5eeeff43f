import ArgumentParser
import FileAccess
import JSONText
import LoadGenerator
import LoadModel
import Reporting

/// `headroom load merge`.
enum LoadMerge {
  static func run(_ files: [String], json: Bool) throws {
    var logs: [(file: String, log: HistogramLog)] = []
    var parts: [(file: String, part: RunPart)] = []
    for file in files {
      let text = try Files.readText(file)
      do throws(LoadInputError) {
        if text.first(where: { !$0.isWhitespace }) == "{" {
          parts.append((file, try part(text)))
        } else {
          logs.append((file, try HistogramLog(text: text)))
        }
      } catch { throw LoadError("\(file): \(error)") }
    }
    if let log = logs.first, let part = parts.first {
      throw LoadError("\(log.file) is a histogram log and \(part.file) a part: merge one kind at a time")
    }
    let page = parts.isEmpty ? LoadMergePage(pages: histograms(of: logs.map(\.log)), files: files.count) : merged(parts)
    Terminal.print(json ? page.json.serialized(pretty: true) : page.lines.joined(separator: "\n"))
    if page.problems.isEmpty { return }
    for problem in page.problems.prefix(16) { Terminal.note("headroom load merge: invalid: \(problem)") }
    if page.problems.count > 16 { Terminal.note("headroom load merge: and \(page.problems.count - 16) more") }
    throw ExitCode(4)
  }

  private static func part(_ text: String) throws(LoadInputError) -> RunPart {
    let tree: JSONValue
    do throws(JSONError) { tree = try JSONValue.parse(text) } catch { throw LoadInputError("\(error)") }
    return try RunPart(json: tree)
  }

  private static func merged(_ parts: [(file: String, part: RunPart)]) -> LoadMergePage {
    do throws(MergedRun.Invalid) {
      let run = try MergedRun(parts)
      let pages: [(String?, Histogram)] = [("latency", run.latency), ("since send", run.uncorrected), ("send lag", run.sendLag)]
      return LoadMergePage(pages: pages, files: parts.count, run: run)
    } catch { return LoadMergePage(pages: [], files: parts.count, problems: error.problems) }
  }

  private static func histograms(of logs: [HistogramLog]) -> [(String?, Histogram)] {
    var merged: [String?: Histogram] = [:]
    for log in logs {
      for entry in log.entries {
        if merged[entry.tag]?.add(entry.histogram) == nil { merged[entry.tag] = entry.histogram }
      }
    }
    return merged.sorted { ($0.key ?? "") < ($1.key ?? "") }.map { ($0.key, $0.value) }
  }
}

/// What `load merge` prints.
struct LoadMergePage {
  var pages: [(tag: String?, histogram: Histogram)]
  var files: Int
  var run: MergedRun?
  var problems: [MergedRun.Problem] = []

  var lines: [String] {
    if !problems.isEmpty { return ["no figures: the run is invalid"] }
    var lines: [String] = []
    if let run {
      lines.append("\(run.name): \(run.partCount) part\(run.partCount == 1 ? "" : "s"), seed \(run.seed)")
      lines.append(
        "\(NumberText.significant(run.answersPerSecond, digits: 4)) requests/s, \(NumberText.significant(run.rowsPerSecond, digits: 4)) rows/s, "
          + "\(NumberText.scaled(run.bytesReceivedPerSecond, unit: "B"))/s received")
      let kinds = run.errors.sorted { $0.key < $1.key }.map { "\($0.key) \(NumberText.grouped($0.value))" }
      lines.append(
        "\(NumberText.grouped(run.latency.count)) answers, \(NumberText.grouped(run.errorCount)) errors"
          + (kinds.isEmpty ? "" : ": " + kinds.joined(separator: ", ")))
      lines.append(
        "\(NumberText.grouped(run.lateCount)) requests sent late; the last part began "
          + "\(NumberText.time(nanoseconds: run.startedLateSeconds * 1e9)) after the start")
      lines.append(
        run.clientBound.isEmpty
          ? "no part was client-bound"
          : "client-bound: part \(run.clientBound.joined(separator: ", ")); its figures are the generator's own")
      lines.append("")
    }
    for (tag, histogram) in pages { lines += table(tag, histogram) }
    return lines
  }

  private func table(_ tag: String?, _ histogram: Histogram) -> [String] {
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

  var json: JSONValue {
    [
      "schema": "headroom.load-merge/1", "headroom": .string(Headroom.version), "mode": "measured", "valid": .bool(problems.isEmpty),
      "problems": .array(problems.map { .string($0.description) }),
      "run": run.map { run in
        [
          "name": .string(run.name), "parts": JSONValue(run.partCount), "seed": .string(run.seed),
          "requestsPerSecond": JSONValue(run.answersPerSecond), "rowsPerSecond": JSONValue(run.rowsPerSecond),
          "bytesReceivedPerSecond": JSONValue(run.bytesReceivedPerSecond), "answers": JSONValue(run.latency.count),
          "errors": JSONValue(run.errorCount),
          "errorsByKind": .object(run.errors.sorted { $0.key < $1.key }.map { .init($0.key, JSONValue($0.value)) }),
          "lateCount": JSONValue(run.lateCount), "startedLateSeconds": JSONValue(run.startedLateSeconds),
          "clientBoundParts": .array(run.clientBound.map { .string($0) }),
        ]
      } ?? .null,
      "histograms": .array(
        pages.map { ["tag": JSONValue($0.tag), "values": LoadReport.latency($0.histogram), "encoded": .string($0.histogram.encoded)] }),
    ]
  }
}
