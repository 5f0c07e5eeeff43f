import LoadGenerator
import LoadModel
import Reporting
import Synchronization

/// What is seen while a run goes on: a line that is rewritten on a terminal, a line a second elsewhere.
final class LoadView: Sendable {
  private struct State: Sendable {
    var last: ServerStatistics?
    var width = 0
  }

  private let isQuiet: Bool
  private let model: String?
  private let exchange: BlockingExchange
  private let state = Mutex(State())

  init(isQuiet: Bool, model: String?, exchange: BlockingExchange) {
    self.isQuiet = isQuiet
    self.model = model
    self.exchange = BlockingExchange(exchange.endpoint, headers: exchange.headers, timeoutSeconds: 2)
  }

  func show(_ interval: LiveInterval) {
    if isQuiet || interval.summary.lengthSeconds < 0.2 { return }
    let summary = interval.summary
    func time(_ percentile: Double) -> String {
      interval.latency.value(atPercentile: percentile).map { NumberText.time(nanoseconds: Double($0)) } ?? "-"
    }
    var text = "\(NumberText.fixed(summary.startSeconds + summary.lengthSeconds, decimals: 0)) s"
    text += interval.isWarmUp ? " warm-up" : ""
    text += ": \(NumberText.significant(Double(summary.answers) / summary.lengthSeconds)) requests/s"
    text += ", p50 \(time(50)), p99 \(time(99)), max \(time(100)), errors \(summary.errors), connections \(summary.users)"
    if let batch = meanBatch() { text += ", batch \(NumberText.significant(batch)) rows" }
    if Terminal.errorIsTerminal {
      let line = String(text.prefix(118))
      let padding = state.withLock { state in
        defer { state.width = line.count }
        return String(repeating: " ", count: max(0, state.width - line.count))
      }
      Terminal.progress("\r" + line + padding)
    } else {
      Terminal.note(text)
    }
  }

  /// Of the last second, from the server's own statistics.
  private func meanBatch() -> Double? {
    guard let model, let now = ServerStatistics(model: model, exchange: exchange) else { return nil }
    let last = state.withLock { state in
      defer { state.last = now }
      return state.last
    }
    return last.flatMap { now.since($0)?.meanBatch }
  }

  func clear() {
    if isQuiet || !Terminal.errorIsTerminal { return }
    let width = state.withLock { $0.width }
    Terminal.progress("\r" + String(repeating: " ", count: width) + "\r")
  }
}
