import Console
import FileAccess
import JSONText
import LoadGenerator
import LoadModel
public import ProcessContract
import Reporting

/// `headroom load merge`: logs of the parts of one run become its report, any other logs one histogram for each kind of values.
public enum LoadMerge {
  /// Merges, reports, and says how the process is to end.
  ///
  /// - Throws: `LoadError`, `FileError`.
  public static func run(_ files: [String], output: LoadRunOptions.Output) throws -> ExitStatus {
    var logs: [(name: String, log: HistogramLog)] = []
    for file in files {
      do { logs.append((file, try HistogramLog(text: Files.readText(file)))) } catch let error as LoadInputError {
        throw LoadError("\(file): \(error)")
      }
    }
    let parts = logs.compactMap { entry in entry.log.part.map { (name: entry.name, part: $0, log: entry.log) } }
    // Runs that were whole by themselves are added up as histograms, as files of other programs are.
    if parts.isEmpty || logs.count > 1 && parts.allSatisfy({ $0.part.share.count == 1 }) {
      try printHistograms(logs.map(\.log), output)
      return .ok
    }
    if parts.count < logs.count, let other = logs.first(where: { $0.log.part == nil }) {
      throw LoadError("\(other.name): it is no part of a run, and others are; merge them apart")
    }
    let problems = RunMerge.problems(parts.map { ($0.name, $0.part) })
    guard problems.isEmpty, let result = RunMerge.result(parts.map { ($0.part, $0.log) }) else {
      if output.isJSON { Terminal.print(LoadMergePage.json([], problems: problems).serialized(pretty: true)) }
      Terminal.note("headroom load merge: the run is not valid, and there are no figures of it:")
      for problem in problems { Terminal.note("  " + problem) }
      return .runInvalid
    }
    let conditions = output.failOn
    let page = LoadReport(result: result, conditions: conditions, parts: parts.map(\.part))
    if let prefix = output.csvPrefix { try page.writeCSV(prefix: prefix, startEpochSeconds: parts[0].part.startEpochSeconds) }
    if let file = output.page { try Files.write(file, page.html) }
    if let file = output.histogramLog {
      var merged = HistogramLog(startEpochSeconds: parts[0].part.startEpochSeconds)
      merged.entries = logs.flatMap(\.log.entries).sorted { $0.startSeconds < $1.startSeconds }
      try Files.write(file, merged.text)
    }
    if output.isJSON {
      Terminal.print(page.json.serialized(pretty: true))
    } else {
      Terminal.print(page.lines(width: Terminal.width).joined(separator: "\n"))
    }
    if conditions.contains(where: { $0.isMet(by: result) }) { return .thresholdCrossed }
    return result.answers == 0 ? .failed : .ok
  }

  private static func printHistograms(_ logs: [HistogramLog], _ output: LoadRunOptions.Output) throws {
    var merged: [String?: LoadModel.Histogram] = [:]
    for log in logs {
      for entry in log.entries where merged[entry.tag]?.add(entry.histogram) == nil { merged[entry.tag] = entry.histogram }
    }
    let tags = merged.keys.sorted { ($0 ?? "") < ($1 ?? "") }
    let pages = tags.compactMap { tag in merged[tag].map { LoadMergePage(tag: tag, histogram: $0, files: logs.count) } }
    if output.isJSON {
      Terminal.print(LoadMergePage.json(pages, problems: []).serialized(pretty: true))
    } else {
      Terminal.print(pages.flatMap(\.lines).joined(separator: "\n"))
    }
  }
}
