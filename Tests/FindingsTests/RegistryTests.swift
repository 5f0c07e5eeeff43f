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
    #expect(FindingRegistry.rules.map { $0.code } == FindingCode.allCases)
    #expect(Set(FindingRegistry.rules.map { $0.name }).count == FindingCode.allCases.count)
    for code in FindingCode.allCases { #expect(FindingRegistry.rule(for: code)?.code == code) }
  }

  @Test func everyRuleFileIsRegisteredAndEveryRuleHasItsFile() throws {
    let files = try Files.entries(of: Self.root + "/Sources/Diagnosis/Findings").filter { $0.hasPrefix("HR") }
    #expect(files == FindingRegistry.rules.map { "\($0).swift" }.sorted())
  }

  @Test func everyRuleHasItsPageAndEveryPageItsRule() throws {
    let pages = try Files.entries(of: Self.root + "/Docs/findings").filter { $0.hasPrefix("HR") }
    #expect(pages.map { "Docs/findings/" + $0 } == FindingRegistry.rules.map { $0.page }.sorted())
    for rule in FindingRegistry.rules {
      let text = try Files.readText(Self.root + "/" + rule.page)
      #expect(text.hasPrefix("# \(rule.code.rawValue) \(rule.name)\n"), "\(rule.page)")
      for heading in [
        "## What it says", "## Why it is bad", "## Evidence and threshold", "## Example", "## Fix", "## What would change the verdict",
      ] {
        #expect(text.contains("\n\(heading)\n"), "\(rule.page) lacks \(heading)")
      }
    }
  }

  @Test func theIndexNamesEveryPage() throws {
    let index = try Files.readText(Self.root + "/Docs/findings/README.md")
    for rule in FindingRegistry.rules {
      #expect(index.contains("](\(rule.code.rawValue)-\(rule.name).md)"), "\(rule.code)")
    }
  }
}
