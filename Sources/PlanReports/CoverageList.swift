import ProcessContract
import FileAccess
import GPUModel
import JSONText
import ModelGraph
import ONNXFormat
import Planning
import Reporting

/// `plan --coverage`: how much of many files is planned, and the same by operator.
package struct CoverageList {
  package enum Outcome: String {
    /// At least nine tenths of the work.
    case planned
    case partial
    case refused
  }

  package struct Entry {
    package var file: String
    package var outcome: Outcome
    package var operators: [String]
    package var coverage: PlanCoverage?
    /// What reading and planning had to say.
    package var notes: [String] = []
    /// Why a file is refused.
    package var error: String?
  }

  package private(set) var entries: [Entry] = []

  package init(paths: [String], options: ONNXReader.Options, model: KernelModel, type: ComputeType, rows: Int) throws {
    let files = try paths.flatMap(Self.files)
    if files.isEmpty { throw UsageError("no .onnx file in \(paths.joined(separator: ", "))") }
    for file in files {
      entries.append(Self.entry(file, options, PlanBuilder(model: model, type: type), rows))
    }
  }

  /// The ONNX files of a folder, its folders included, in order of their names; a file is itself.
  private static func files(_ path: String) throws -> [String] {
    guard Files.kind(of: path) == .folder else { return [path] }
    return try Files.entries(of: path).sorted().flatMap { name -> [String] in
      let inner = "\(path)/\(name)"
      if Files.kind(of: inner) == .folder { return try files(inner) }
      return name.hasSuffix(".onnx") ? [inner] : []
    }
  }

  private static func entry(_ file: String, _ options: ONNXReader.Options, _ builder: PlanBuilder, _ rows: Int) -> Entry {
    let operators = (try? ONNXReader.operators(path: file))?.keys.sorted() ?? []
    do {
      let graph = try ONNXReader.read(path: file, options: options)
      let plan = try builder.plan(graph)
      let batch = try plan.at(rows: rows)
      let coverage = plan.coverage(batch)
      return Entry(
        file: file, outcome: coverage.isSufficient ? .planned : .partial, operators: operators, coverage: coverage,
        notes: graph.notes + batch.notes)
    } catch {
      return Entry(file: file, outcome: .refused, operators: operators, error: "\(error)")
    }
  }

  private func count(_ outcome: Outcome, _ operation: String? = nil) -> Int {
    entries.count { $0.outcome == outcome && (operation == nil || $0.operators.contains(operation ?? "")) }
  }

  private var operatorsWithoutRule: [String] { operators.filter { !ONNXReader.hasRule(for: $0) } }

  private var operators: [String] { Set(entries.flatMap(\.operators)).sorted() }

  /// Tables as Markdown has them.
  package var text: String {
    let unknown = operatorsWithoutRule.map { operation in
      let files = entries.count { $0.operators.contains(operation) }
      return "\(operation) (\(files) file\(files == 1 ? "" : "s"))"
    }
    var lines = [
      "\(NumberText.grouped(count(.planned))) of \(NumberText.grouped(entries.count)) files are planned (at least 90 % of their FLOPs; without FLOPs, of their bytes), "
        + "\(NumberText.grouped(count(.partial))) in part, \(NumberText.grouped(count(.refused))) refused.",
      "Operators that are only counted as the bytes they move, without a rule of their own: "
        + (unknown.isEmpty ? "none." : unknown.joined(separator: ", ") + "."),
      "", "A file counts with every operator that it has, planned or not:", "",
      "| operator | files | files planned | files in part | files refused |", "|---|---:|---:|---:|---:|",
    ]
    for operation in operators {
      let counts = [Outcome.planned, .partial, .refused].map { count($0, operation) }
      lines.append("| \(operation) | \(counts.reduce(0, +)) | " + counts.map(String.init).joined(separator: " | ") + " |")
    }
    let rest = entries.filter { $0.outcome != .planned }
    if !rest.isEmpty {
      lines += ["", "| not planned | share | why |", "|---|---:|---|"]
      for entry in rest {
        let share = entry.coverage.map { "\(NumberText.percent($0.share)) of \($0.measure.rawValue)" } ?? "-"
        let reason = entry.error ?? entry.coverage?.unplanned.first.map { "\($0.layer): \($0.reason)" } ?? ""
        lines.append("| \(Self.shortened(entry.file)) | \(share) | \(Self.cell(reason, file: entry.file)) |")
      }
    }
    return lines.joined(separator: "\n")
  }

  /// The folder's and the file's own name: "test_abs/model.onnx".
  private static func shortened(_ file: String) -> String { file.split(separator: "/").suffix(2).joined(separator: "/") }

  /// One line without column marks and without the path.
  private static func cell(_ text: String, file: String) -> String {
    let line = text.split(whereSeparator: \.isNewline).joined(separator: " ").split(separator: "|").joined(separator: "/")
    guard line.hasPrefix(file + ": ") else { return line }
    return String(line.dropFirst(file.count + 2))
  }

  package var json: JSONValue {
    [
      "schema": "headroom.coverage/1", "headroom": JSONValue(ProgramVersion.current), "mode": "simulated",
      "counts": [
        "planned": JSONValue(count(.planned)), "partial": JSONValue(count(.partial)), "refused": JSONValue(count(.refused)),
      ],
      "operators": .object(
        operators.map { operation in
          JSONValue.Member(
            operation,
            [
              "planned": JSONValue(count(.planned, operation)), "partial": JSONValue(count(.partial, operation)),
              "refused": JSONValue(count(.refused, operation)),
            ])
        }),
      "operatorsWithoutRule": .array(operatorsWithoutRule.map { JSONValue($0) }),
      "files": .array(
        entries.map { entry in
          [
            "file": JSONValue(entry.file), "outcome": JSONValue(entry.outcome.rawValue),
            "measure": JSONValue(entry.coverage?.measure.rawValue), "plannedShare": JSONValue(entry.coverage?.share),
            "error": JSONValue(entry.error), "notes": .array(entry.notes.map { JSONValue($0) }),
            "unplanned": .array((entry.coverage?.unplanned ?? []).map { JSONValue("\($0.operation) \($0.layer): \($0.reason)") }),
          ]
        }),
    ]
  }
}
