import Console
import Explanation
import JSONText
import Reporting

/// Explained traces as text, page and JSON.
struct ExplainOutput {
  /// In the order of the files.
  var explanations: [TraceExplanation]
  /// Files that could not be read.
  var failures: [(path: String, reason: String)]
  /// Everything behind the ten lines.
  var isVerbose: Bool

  /// Ten lines of each, with its notes on standard error.
  func print() {
    for (index, explanation) in explanations.enumerated() {
      if explanations.count > 1 { Terminal.print((index > 0 ? "\n" : "") + explanation.name) }
      Terminal.print(explanation.answer.joined(separator: "\n"))
      if isVerbose {
        Terminal.print(explanation.report.terminalLines(width: Terminal.width).joined(separator: "\n"))
      } else {
        for note in explanation.notes.prefix(3) { Terminal.note("note: \(note)") }
        if explanation.notes.count > 3 { Terminal.note("note: \(explanation.notes.count - 3) more with --verbose") }
      }
    }
    for failure in failures { Terminal.note("headroom explain: \(failure.reason)") }
  }

  /// `headroom.explain/3`.
  var document: JSONValue {
    [
      "schema": "headroom.explain/3", "headroom": .string(Headroom.version),
      "mode": .string(explanations.contains { $0.isSimulated } ? "simulated" : "measured"), "traces": .array(explanations.map(\.json)),
      "failed": .array(failures.map { ["file": .string($0.path), "reason": .string($0.reason)] }),
    ]
  }

  /// One page for all files.
  var page: Report {
    guard var page = explanations.first?.report else {
      return Report(title: "headroom explain", question: "nothing was read", banner: nil, facts: [])
    }
    for other in explanations.dropFirst() {
      page.sections += other.report.sections.map { section in
        var section = section
        section.heading = "\(other.name): \(section.heading)"
        return section
      }
      page.notes += other.notes.map { "\(other.name): \($0)" }
    }
    return page
  }
}
