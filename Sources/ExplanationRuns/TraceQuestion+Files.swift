import CheckedNumbers
import Console
import Explanation
import FileAccess
import JSONText
import LoadGenerator
import ModelGraph
import PlanReports
import ProcessContract
import Reporting
import Summaries
import Trace
import TraceFormats

/// Reading the files that were given, each explained or summed up.
extension TraceQuestion {
  /// Answers, on standard output and in the files that were asked for.
  ///
  /// - Throws: `UsageError`, `FileError`, and what planning a model throws.
  package func run() throws -> ExitStatus {
    do { return server.isAsked && files.isEmpty ? try explainServer() : try explainFiles() } catch {
      // Of a server's window its files are a part; a trace's own are named where they are read.
      guard error is ServerStatisticsError || error is LoadError || error is EngineFileError || (error is FileError && files.isEmpty) else {
        throw error
      }
      Terminal.note("headroom explain: \(error)")
      return .failed
    }
  }

  private func explainServer() throws -> ExitStatus {
    let progress = ProgressLine(isQuiet: isQuiet)
    let explanation = try server.explain(observed: try observations()[.nvidiaSMI], gpus: gpus, models: model) { progress.report($0) }
    progress.clear()
    if isJSON {
      Terminal.print(Self.document("servers", explanation.json).serialized(pretty: true))
    } else {
      Terminal.print((explanation.answer + (isVerbose ? explanation.verboseLines : [])).joined(separator: "\n"))
    }
    return explanation.bottleneck == .inconclusive ? .inconclusive : .ok
  }

  private static func document(_ key: String, _ explanation: JSONValue) -> JSONValue {
    .object([
      .init("schema", "headroom.explain/3"), .init("headroom", .string(ProgramVersion.current)), .init("mode", "measured"),
      .init(key, [explanation]),
    ])
  }

  private func explainFiles() throws -> ExitStatus {
    let progress = ProgressLine(isQuiet: isQuiet || !Terminal.errorIsTerminal)
    let context = try knownBeside()
    var companions = TraceCompanions()
    (companions.load, companions.tritonTrace, companions.gpuMetrics) = (load, tritonTrace, gpuMetrics)
    let requests = try reports()
    var output = ExplainOutput(isVerbose: isVerbose)
    var paths: [String] = []
    do throws(TraceImportError) { for file in files { paths += try TraceImporters.files(at: file) } } catch {
      Terminal.note("headroom explain: \(error)")
      return .failed
    }
    let (engines, traces) = try engineFiles(paths)
    if let engines { return try explainEngine(engines) }
    if !isQuiet, let estimate = ReadingTime(of: traces).text { Terminal.note(estimate) }
    for path in traces {
      do throws(TraceImportError) {
        let imported = try TraceImporters.read(
          path,
          ImportOptions(progress: { bytes, total in
            let share = total.map { " \(NumberText.percent(Double(bytes) / Double(max(1, $0))))" } ?? ""
            progress.report("reading \(path):\(share)")
          }))
        let chosen = try chosenProcess(imported.trace, path)
        let window = try TraceWindow.asked(range: range, from: from, to: to, of: imported.trace, path: path)
        if report != nil {
          progress.clear()
          let filter = SummaryFilter(process: chosen, device: device, windows: window?.windows)
          for request in requests {
            Terminal.print(SummaryTable(request, of: imported.trace, filter: filter).text(SummaryTable.Format(rawValue: format) ?? .table))
          }
          continue
        }
        var own = context
        var trace = imported.trace
        do throws(CompanionError) { try companions.read(into: &own, &trace) { try Files.readText($0) } } catch {
          progress.clear()
          Terminal.note("headroom explain: \(error)")
          return .failed
        }
        (own.windows, own.windowText, own.process) = (window?.windows, window?.text, chosen)
        own.hasImportNotes = true
        own.isDamaged = imported.notes.contains { $0.severity == .warning && ($0.kind == .incomplete || $0.kind == .unreadable) }
        var explanation = TraceExplanation(of: trace, name: path, context: own) { progress.report("\(path): \($0)") }
        explanation.notes = imported.notes.map(\.text) + explanation.notes
        output.explanations.append(explanation)
        if let chrome { try writeChrome(trace, to: chrome) }
      } catch {
        output.failures.append((path, error.description))
      }
    }
    progress.clear()
    if report != nil {
      for failure in output.failures { Terminal.note("headroom explain: \(failure.reason)") }
      return output.failures.isEmpty ? .ok : .failed
    }
    try show(output)
    if !output.failures.isEmpty { return .failed }
    return output.explanations.contains { $0.verdict.map { $0.confidence != .inconclusive } ?? false } ? .ok : .inconclusive
  }

  /// The page, where one was asked for, and what is printed. `banner` stands above the lines.
  package func show(_ output: ExplainOutput, banner: String? = nil) throws {
    if let page { try Files.write(page, output.page.html) }
    if isJSON { return Terminal.print(output.document.serialized(pretty: true)) }
    if let banner { Terminal.print(banner) }
    output.print()
  }

  /// What the options say beside the files.
  private func knownBeside() throws -> TraceContext {
    var context = TraceContext()
    context.rate = try ratePerSecond()
    context.steps = steps
    context.requestsPerStep = requestsPerStep
    context.device = device
    context.observed = try observations()
    if gpus.names != nil { context.gpu = try gpus.choose().first?.model.gpu }
    if let onnx = server.onnx {
      context.model = ModelBesideTrace(
        name: onnx, graph: try model.load(onnx, for: .plan).graph, rows: rows, type: server.type.rawValue)
    }
    if server.isAsked { context.server = try server.windowOfFiles() }
    return context
  }

  /// TensorRT's files among those given, told by content, and the rest.
  private func engineFiles(_ paths: [String]) throws -> (EngineFiles?, [String]) {
    var files = EngineFiles()
    var found: [String] = []
    var rest: [String] = []
    for path in paths {
      // A pipe can be read once only.
      let head = Files.isRegular(path) ? (try? TraceSource(path))?.contentHead : nil
      if let head, EngineFiles.kind(ofBeginning: String(decoding: head, as: UTF8.self)) != nil {
        found.append(path)
      } else {
        rest.append(path)
      }
    }
    if found.isEmpty { return (nil, paths) }
    if let other = rest.first { throw UsageError("\(found[0]) is TensorRT's and \(other) is not: explain them one after the other") }
    for path in found { try files.add(try Files.readText(path), path: path) }
    return (files, [])
  }

  private func explainEngine(_ files: EngineFiles) throws -> ExitStatus {
    let explanation = EngineExplanation(files, gpu: gpus.names == nil ? nil : try gpus.choose().first?.model.gpu)
    if isJSON {
      Terminal.print(Self.document("engines", explanation.json).serialized(pretty: true))
    } else {
      Terminal.print(explanation.answer.joined(separator: "\n"))
      if isVerbose { Terminal.print(explanation.tableLines.joined(separator: "\n")) }
      for note in explanation.notes { Terminal.note("note: \(note)") }
    }
    return explanation.total == nil ? .inconclusive : .ok
  }

  package func writeChrome(_ trace: Trace, to path: String) throws(TraceImportError) {
    do { try ChromeOutput.write(trace, to: path, all: writesWholeTrace, note: isQuiet ? { _ in } : Terminal.note) } catch {
      throw TraceImportError(path: path, reason: "\(error)")
    }
  }

  /// The global id of the process that was asked for.
  private func chosenProcess(_ trace: Trace, _ path: String) throws(TraceImportError) -> Int64? {
    guard let process else { return nil }
    let known = SummaryFilter.processes(in: trace)
    if let found = known[process] { return found }
    let list = known.keys.sorted().prefix(20).map(String.init).joined(separator: ", ")
    throw TraceImportError(
      path: path, reason: "no process \(process) in it", remedy: list.isEmpty ? "It names no processes" : "Give one of \(list)")
  }
}
