import Diagnosis
import FileAccess
import Glibc
import Testing

/// One registry, one source file and one page a finding.
@Suite struct RegistryTests {
  static let root: String = {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  @Test func everyCodeIsRegisteredOnce() {
    #expect(FindingRegistry.codes == FindingRegistry.codes.sorted() && Set(FindingRegistry.codes).count == FindingRegistry.codes.count)
    #expect(Set(FindingRegistry.rules.map { $0.name }).count == FindingRegistry.rules.count)
    for code in FindingRegistry.codes { #expect(FindingRegistry.rule(for: code)?.code == code) }
  }

  @Test func everyRuleFileIsRegisteredAndEveryRuleHasItsFile() throws {
    let files = try Files.entries(of: Self.root + "/Sources/Diagnosis/Findings").filter { $0.hasPrefix("HR") }
    #expect(files == FindingRegistry.rules.map { "\($0).swift" }.sorted())
  }

  /// The pages are made of the rules: `HEADROOM_WRITE_PAGES=1 make test-swift FILTER=RegistryTests` writes them.
  @Test func everyPageIsWhatItsRuleSays() throws {
    let writes = getenv("HEADROOM_WRITE_PAGES").map { String(cString: $0) } == "1"
    for rule in FindingRegistry.rules {
      let path = Self.root + "/" + rule.page
      if writes { try Files.write(path, FindingPages.page(of: rule)) }
      #expect(try Files.readText(path) == FindingPages.page(of: rule), "\(rule.page)")
    }
    let pages = try Files.entries(of: Self.root + "/Docs/findings").filter { $0.hasPrefix("HR") }
    #expect(pages.map { "Docs/findings/" + $0 } == FindingRegistry.rules.map { $0.page }.sorted())
  }

  @Test func theIndexHasARowOfEachRule() throws {
    let path = Self.root + "/Docs/findings/README.md"
    var lines = try Files.readText(path).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let isRow = { (line: String) in line.hasPrefix("| HR") && FindingRegistry.codes.contains { line.hasPrefix("| \($0.rawValue) | [") } }
    if getenv("HEADROOM_WRITE_PAGES").map({ String(cString: $0) }) == "1", let first = lines.firstIndex(where: isRow) {
      lines.removeAll(where: isRow)
      lines.insert(contentsOf: FindingPages.indexRows, at: first)
      try Files.write(path, lines.joined(separator: "\n"))
    }
    #expect(lines.filter(isRow) == FindingPages.indexRows)
  }

  /// A finding is one file and a line of the registry: what the documentation promises, tried with one that does not exist.
  @Test func aFindingTakesItsFileAndALineOfTheRegistry() {
    enum HR999MadeUp: FindingRule {
      static let code = FindingCode(999)
      static let name = "made-up"
      static let example = "This test."
      static let explanation = FindingExplanation(
        inOneLine: "It is always there", gainsComputedBy: "nothing", summary: "S.", says: "A.", whyBad: "B.", evidence: "C.", example: "D.",
        fix: "E.",
        wouldChange: "F.")
      static func examine(_ run: RunEvidence) -> Examination { .found(Observation(.high, seen: ["seen"], whyBad: "because", fixes: [])) }
    }
    let findings = Findings(of: Runs.healthy, codes: [HR999MadeUp.code], rules: FindingRegistry.rules + [HR999MadeUp.self])
    #expect(findings.found.map { $0.code } == [HR999MadeUp.code])
    #expect(findings.found.first?.page == "Docs/findings/HR999-made-up.md")
    #expect(FindingPages.page(of: HR999MadeUp.self).hasPrefix("# HR999 made-up\n\nS.\n\n## What it says\n\nA.\n"))
  }
}
