import ArgumentParser
import CheckedNumbers
import Console
import Explanation
import FileAccess
import JSONText
import Reporting
import Summaries
import Trace
import TraceFormats

/// Reading the files that were given, each explained or summed up.
extension ExplainCommand {
  func explainFiles() throws -> Int32 {
    let progress = ProgressLine(isQuiet: quiet || !Terminal.errorIsTerminal)
    let context = try knownBeside()
    var companions = TraceCompanions()
    (companions.load, companions.tritonTrace, companions.gpuMetrics) = (load, tritonTrace, gpuMetrics)
    let requests = try reports()
    var output = ExplainOutput(explanations: [], failures: [], isVerbose: verbose)
    var paths: [String] = []
    do throws(TraceImportError) { for file in files { paths += try TraceImporters.files(at: file) } } catch {
      Terminal.note("headroom explain: \(error)")
      return 1
    }
    let (engines, traces) = try engineFiles(paths)
    if let engines { return try explainEngine(engines) }
    if !quiet, let estimate = ReadingTime(of: traces).text { Terminal.note(estimate) }
    for path in traces {
      do throws(TraceImportError) {
        let imported = try TraceImporters.read(
          path,
          ImportOptions(progress: { bytes, total in
            let share = total.map { " \(NumberText.percent(Double(bytes) / Double(max(1, $0))))" } ?? ""
            progress.report("reading \(path):\(share)")
          }))
        let chosen = try chosenProcess(imported.trace, path)
        let window = try ExplainWindow.asked(range: range, from: from, to: to, of: imported.trace, path: path)
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
          return 1
        }
        (own.windows, own.windowText, own.process) = (window?.windows, window?.text, chosen)
        own.hasImportNotes = true
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
      return output.failures.isEmpty ? 0 : 1
    }
    if let html { try Files.write(html, output.page.html) }
    if json { Terminal.print(output.document.serialized(pretty: true)) } else { output.print() }
    if !output.failures.isEmpty { return 1 }
    return output.explanations.contains { $0.verdict.map { $0.confidence != .inconclusive } ?? false } ? 0 : 3
  }

  /// What the options say beside the files.
  private func knownBeside() throws -> TraceContext {
    var context = TraceContext()
    context.rate = try rate.map(Self.perSecond)
    context.steps = steps
    context.requestsPerStep = requestsPerStep
    context.device = device
    context.observed = try observations()
    if gpus.gpu != nil { context.gpu = try gpus.choose().first?.model.gpu }
    if let onnx = server.onnx {
      context.model = ModelBesideTrace(
        name: onnx, graph: try modelOptions.load(onnx, for: .plan).graph, rows: rows, type: server.dtype.rawValue)
    }
    if server.isAsked { context.server = try server.windowBesideTrace() }
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
    if let other = rest.first { throw ValidationError("\(found[0]) is TensorRT's and \(other) is not: explain them one after the other") }
    do {
      for path in found { try files.add(try Files.readText(path), path: path) }
    } catch let error as EngineFileError {
      Terminal.note("headroom explain: \(error)")
      throw ExitCode(.failed)
    }
    return (files, [])
  }

  private func explainEngine(_ files: EngineFiles) throws -> Int32 {
    let explanation = EngineExplanation(files, gpu: gpus.gpu == nil ? nil : try gpus.choose().first?.model.gpu)
    if json {
      let document: JSONValue = [
        "schema": "headroom.explain/3", "headroom": .string(Headroom.version), "mode": "measured", "engines": [explanation.json],
      ]
      Terminal.print(document.serialized(pretty: true))
    } else {
      Terminal.print(explanation.answer.joined(separator: "\n"))
      if verbose { Terminal.print(explanation.tableLines.joined(separator: "\n")) }
      for note in explanation.notes { Terminal.note("note: \(note)") }
    }
    return explanation.total == nil ? 3 : 0
  }

  private func writeChrome(_ trace: Trace, to path: String) throws(TraceImportError) {
    do { try ChromeOutput.write(trace, to: path, all: all, note: quiet ? { _ in } : Terminal.note) } catch {
      throw TraceImportError(path: path, reason: "\(error)")
    }
  }

  func reports() throws -> [SummaryRequest] {
    try (report?.split(separator: ",") ?? []).map { name in
      do { return try SummaryRequest(parsing: String(name)) } catch { throw ValidationError("--report \(name): \(error)") }
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
