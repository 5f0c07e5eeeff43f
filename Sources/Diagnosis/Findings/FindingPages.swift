/// The pages under `Docs/findings`, made of the rules themselves.
public enum FindingPages {
  /// The page of a rule, in Markdown.
  public static func page(of rule: any FindingRule.Type) -> String {
    let text = rule.explanation
    var lines = ["# \(rule.code.rawValue) \(rule.name)", "", text.summary]
    for (heading, body) in [
      ("What it says", text.says), ("Why it is bad", text.whyBad), ("Evidence and threshold", text.evidence), ("Example", text.example),
      ("Fix", text.fix), ("What would change the verdict", text.wouldChange),
    ] {
      lines += ["", "## " + heading, "", body]
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Rows of the index's table.
  public static var indexRows: [String] {
    FindingRegistry.rules.map { rule in
      "| \(rule.code.rawValue) | [\(rule.name)](\(rule.code.rawValue)-\(rule.name).md) | \(rule.explanation.inOneLine) | \(rule.explanation.gainsComputedBy) |"
    }
  }
}
