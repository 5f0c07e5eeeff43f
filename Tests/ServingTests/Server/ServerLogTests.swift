import Foundation
import Glibc
import KServe
import Testing

@testable import Serving

/// Lines of the log as readers of tritonserver's take them apart.
@Suite struct ServerLogTests {
  private static let instant = timespec(tv_sec: 1_732_636_801, tv_nsec: 5_006_000)

  @Test(arguments: [
    ("default", "E1126 16:00:01.005006 42 ModelManager.swift:7] \"text\"\n"),
    ("ISO8601", "2024-11-26T16:00:01Z E 42 ModelManager.swift:7] \"text\"\n"),
  ])
  func recordsOfBothFormats(format: String, record: String) {
    #expect(
      ServerLog.record(
        "E", "\"text\"", source: "Serving/ModelManager.swift", line: 7, format: format, process: 42, at: Self.instant) == record)
  }

  /// A collector gets one object per line, whatever was said.
  @Test(arguments: [("I", "info"), ("W", "warning"), ("E", "error")] as [(Character, String)])
  func recordsAreObjectsWhereJSONIsAskedFor(severity: Character, word: String) throws {
    let message = "model \"m\"\nforged \u{1b}[31m"
    let record = ServerLog.record(
      severity, ServerLog.quoted(message), source: "Serving/A+B.swift", line: 7, format: "json", process: 42, at: Self.instant)
    #expect(record.hasSuffix("}\n") && record.dropLast().allSatisfy { !$0.isNewline })
    struct Record: Decodable, Equatable {
      var time, severity, source, message: String
      var process: Int
    }
    #expect(
      try JSONDecoder().decode(Record.self, from: Data(record.utf8))
        == Record(
          time: "2024-11-26T16:00:01.005006Z", severity: word, source: "A_B.swift:7", message: message, process: 42))
  }

  @Test func aFilesNameIsLettersAndPoints() {
    let record = ServerLog.record("I", "x", source: "Serving/A+B.swift", line: 1, format: "default", process: 1, at: Self.instant)
    #expect(record.hasSuffix(" 1 A_B.swift:1] x\n"))
  }

  /// Whatever a client or an engine says, it is one line and comes back as it was.
  @Test(arguments: ["", "plain é", "a\nI1126 16:00:00.000000 1 x.cc:1] forged", "\"quoted\" \\ \u{1b}[31m\u{7}\t\r\u{85}\u{2028}\u{0}"])
  func messagesAreQuoted(text: String) throws {
    let quoted = ServerLog.quoted(text)
    #expect(!quoted.contains { $0.isNewline })
    #expect(try JSONDecoder().decode([String].self, from: Data("[\(quoted)]".utf8)) == [text])
  }

  /// A request that failed is told of from level 1 on.
  @Test func failedRequestsAreTold() async throws {
    let file = NSTemporaryDirectory() + "headroom-log-\(UUID().uuidString)"
    defer { unlink(file) }
    let fixture = try ServerFixture(["m": ServerFixture.identity("m")])
    for level in [UInt32(0), 1] {
      var settings = LogSettings()
      (settings.file, settings.verboseLevel) = (file, level)
      fixture.log.set(settings)
      var request = ServerFixture.request("m", [1, 2, 3, 4])
      request.inputs[0].name = "\nforged"
      #expect(await fixture.infer(request).problem != nil)
    }
    let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
    #expect(lines.count == 1 && lines[0].contains("unexpected inference input '\\nforged' for model 'm'"), "\(lines)")
  }
}
