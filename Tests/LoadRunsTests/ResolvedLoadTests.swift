import FileAccess
import Foundation
import LoadGenerator
import LoadModel
import ProcessContract
import Testing
import TimeBase
import Workload

@testable import LoadRuns

/// A run as options and a scenario file say it; where both speak, the options.
@Suite struct ResolvedLoadTests {
  private static func resolve(_ target: LoadRunOptions.Target, _ change: (inout LoadRunOptions) -> Void = { _ in }) throws -> ResolvedLoad {
    var options = LoadRunOptions(LoadRunOptions.Request(target))
    change(&options)
    return try ResolvedLoad(options)
  }

  private static func withScenario(_ text: String, _ body: (String) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "load-" + UUID().uuidString + ".yaml"
    try Files.write(path, text)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
  }

  private static let scenario = """
    url: 127.0.0.1:9000
    seed: 11
    workload:
      users: 7
      seconds: 4
    requests:
      - model: m
        rows: 2
    """

  @Test func withoutOptionsOneUserAsksOneRow() throws {
    let load = try Self.resolve(.model(name: "m", version: nil)) { $0.request.server = "127.0.0.1:8000" }
    #expect(load.configuration.load == .closed(users: 1, spawnRate: 1, think: .constant(.zero)))
    #expect(load.configuration.duration == .milliseconds(10_000))
    #expect(load.scenario.requests.map(\.rows) == [.fixed(1)])
    #expect(load.encoding == .binary && load.seed == 1 && load.models == ["m"])
  }

  @Test func theScenarioFileSpeaksWhereOptionsDoNot() throws {
    try Self.withScenario(Self.scenario) { file in
      let load = try Self.resolve(.scenario(file: file))
      #expect(load.configuration.load == .closed(users: 7, spawnRate: 7, think: .constant(.zero)))
      #expect(load.configuration.duration == .milliseconds(4000))
      #expect(load.seed == 11)
      #expect(load.endpoint.port == 9000)
    }
  }

  @Test func optionsGoBeforeTheScenarioFile() throws {
    try Self.withScenario(Self.scenario) { file in
      let load = try Self.resolve(.scenario(file: file)) {
        $0.pace.rate = RateProfile(perSecond: 50)
        $0.pace.isPoisson = true
        $0.pace.windowSeconds = 1
        $0.pace.seed = 3
        $0.request.server = "127.0.0.1:9001"
      }
      #expect(load.configuration.load == .open(RateProfile(perSecond: 50), isPoisson: true))
      #expect(load.configuration.duration == .milliseconds(1000))
      #expect(load.seed == 3)
      #expect(load.endpoint.port == 9001)
    }
  }

  @Test func aSearchStartsFromAHundredPerSecond() throws {
    let load = try Self.resolve(.model(name: "m", version: nil)) {
      $0.request.server = "127.0.0.1"
      $0.pace.findRate = FailCondition(text: "p99<50ms")
    }
    #expect(load.configuration.load == .open(RateProfile(perSecond: 100), isPoisson: false))
  }

  @Test func aServerIsGivenWithoutAPath() {
    let error = #expect(throws: UsageError.self) {
      try Self.resolve(.model(name: "m", version: nil)) { $0.request.server = "http://127.0.0.1/v2" }
    }
    #expect(error?.description == "--url http://127.0.0.1/v2: give host and port alone; the model's path is known")
  }

  @Test func certificatesAreForTLSAlone() {
    let error = #expect(throws: UsageError.self) {
      try Self.resolve(.page(url: "http://127.0.0.1/", method: nil, bodyFile: nil)) { $0.request.certificateFile = "ca.pem" }
    }
    #expect(error?.description == "--ca: only https:// needs certificates")
  }

  @Test func aPageIsNoModel() throws {
    let load = try Self.resolve(.page(url: "http://127.0.0.1:80/x", method: "PUT", bodyFile: nil))
    #expect(load.models.isEmpty)
    #expect(load.scenario.requests.count == 1)
  }
}
