import Diagnosis
import Reporting

/// Answers of several variants or models: headroom of each first, then ten lines for each.
public struct AnswerList: Sendable {
  private let answers: [RunAnswer]
  private let footer: String

  /// `footer`: said below them; empty for nothing.
  public init(_ answers: [RunAnswer], footer: String) {
    self.answers = answers
    self.footer = footer
  }

  /// Lines of at most 80 columns. `isWhole`: with the ten lines; else headroom alone, above tables that say the rest.
  public func lines(isWhole: Bool) -> [String] {
    var lines: [String] = []
    let longest = min(24, answers.map(\.name.count).max() ?? 0)
    for answer in answers {
      let head = answer.name + String(repeating: " ", count: max(0, longest - answer.name.count)) + "  headroom "
      let tail = "[\(answer.headroom.kindText)]"
      var wrapped = Report.wrap(
        "\(answer.headroom.text)", width: AnswerLines.width, indent: String(repeating: " ", count: longest + 2), first: head)
      let last = wrapped.last ?? ""
      if last.count + 1 + tail.count <= AnswerLines.width {
        wrapped[wrapped.count - 1] = last + String(repeating: " ", count: AnswerLines.width - last.count - tail.count) + tail
      } else {
        wrapped.append(String(repeating: " ", count: AnswerLines.width - tail.count) + tail)
      }
      lines += wrapped
    }
    guard isWhole else { return lines }
    for answer in answers {
      lines.append("")
      lines += Report.wrap("\(answer.name): \(answer.setting)", width: AnswerLines.width, indent: "  ", first: "")
      lines += answer.lines
    }
    if !footer.isEmpty { lines += [""] + Report.wrap(footer, width: AnswerLines.width, indent: "", first: "") }
    return lines
  }
}
