import Console
import Explanation
import JSONText
import ProcessContract
import Reporting

/// Explained traces as text, page and JSON.
package struct ExplainOutput: Sendable {
  /// In the order of the files.
  package var explanations: [TraceExplanation]
  /// Files that could not be read.
  package var failures: [(path: String, reason: String)]
  /// Everything behind the ten lines.
  package var isVerbose: Bool

  /// Nothing was read yet.
  package init(isVerbose: Bool, explanations: [TraceExplanation] = []) {
    (self.explanations, failures, self.isVerbose) = (explanations, [], isVerbose)
  }

  /// Ten lines of each, with its notes on standard error.
  package func print() {
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
  package var document: JSONValue {
    [
      "schema": "headroom.explain/3", "headroom": .string(ProgramVersion.current),
      "mode": .string(explanations.contains { $0.isSimulated } ? "simulated" : "measured"), "traces": .array(explanations.map(\.json)),
      "failed": .array(failures.map { ["file": .string($0.path), "reason": .string($0.reason)] }),
    ]
  }

  /// One page for all files.
  package var page: Report {
    guard var page = explanations.first?.report else {
      return Report(title: "headroom explain", question: "nothing was read", banner: nil, facts: [])
    }
    // Of several files a card says which it is of.
    func named(_ cards: [Report.Card], _ explanation: TraceExplanation) -> [Report.Card] {
      cards.map { card in
        var card = card
        (card.name, card.setting) = (explanation.name, card.name)
        return card
      }
    }
    if explanations.count > 1 { page.cards = named(page.cards, explanations[0]) }
    for other in explanations.dropFirst() {
      let report = other.report
      page.cards += named(report.cards, other)
      page.sections += report.sections.map { section in
        var section = section
        section.heading = "\(other.name): \(section.heading)"
        return section
      }
      page.notes += other.notes.map { "\(other.name): \($0)" }
    }
    return page
  }
}
