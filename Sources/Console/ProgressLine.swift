import Synchronization

/// One line of progress: rewritten in place on a terminal; elsewhere a plain line per stage, and one every ten seconds while a stage goes on.
package final class ProgressLine: Sendable {
  private struct State: Sendable {
    var stages: [(name: String, text: String)] = []
    var width = 0
    var lastLine = ContinuousClock.now
  }

  /// In a log, a share done is worth a line this often.
  private static let logInterval = Duration.seconds(10)

  private let state = Mutex(State())
  private let isTerminal: Bool
  private let isQuiet: Bool

  package init(isQuiet: Bool) {
    self.isTerminal = Terminal.errorIsTerminal
    self.isQuiet = isQuiet
  }

  /// A stage of "NAME: what", or "NAME: what, 20 %", which a log shows now and then only.
  package func report(_ text: String) {
    if isQuiet { return }
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    let (name, what) = (parts.first ?? "", parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "")
    if !isTerminal {
      let isDue = state.withLock { state in
        guard !what.contains("%") || ContinuousClock.now - state.lastLine >= Self.logInterval else { return false }
        state.lastLine = .now
        return true
      }
      if isDue { Terminal.note("\(name): \(what)") }
      return
    }
    state.withLock { state in
      if let index = state.stages.firstIndex(where: { $0.name == name }) {
        state.stages[index].text = what
      } else {
        state.stages.append((name, what))
      }
      let line = String(state.stages.map { "\($0.name): \($0.text)" }.joined(separator: " | ").prefix(118))
      let padding = String(repeating: " ", count: max(0, state.width - line.count))
      state.width = line.count
      Terminal.progress("\r" + line + padding)
    }
  }

  /// Takes the line away.
  package func clear() {
    if isQuiet || !isTerminal { return }
    state.withLock { state in
      if state.width > 0 { Terminal.progress("\r" + String(repeating: " ", count: state.width) + "\r") }
      state.width = 0
    }
  }
}
