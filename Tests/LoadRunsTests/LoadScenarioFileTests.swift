import LoadRuns
import LoadModel
import Testing
import TimeBase
import Workload

@Suite struct LoadScenarioFileTests {
  static func parse(_ text: String) throws -> LoadScenario { try LoadScenarioFile.parse(text, file: "mix.yaml", folder: "in/") }

  @Test func theTemplateReads() throws {
    let scenario = try Self.parse(LoadScenarioFile.template)
    #expect(scenario.url == "localhost:8000")
    #expect(scenario.encoding == .binary)
    #expect(scenario.load == .closed(users: 50, spawnRate: 25, think: .uniform(.milliseconds(100), .milliseconds(500))))
    #expect(scenario.warmUpSeconds == 3 && scenario.seconds == 20 && scenario.seed == 1)
    #expect(scenario.failOn.map(\.text) == ["p99>2s", "errors>0"])
    #expect(scenario.requests.map(\.weight) == [3, 1])
    #expect(scenario.requests[0].rows.mean == 0.6 + 2.4 + 3.2)
    #expect(scenario.requests[1].rows == .uniform(1, 16))
  }

  @Test func everythingARequestMaySay() throws {
    let scenario = try Self.parse(
      """
      headers: ["X-A: b"]
      workload: {rate: "0-100:5,100:10", arrivals: poisson}
      requests:
        - {model: m, version: "2", weight: 0.5, rows: 4, data: file, inputs: {x: x.bin, y: /y.bin}, shapes: {x: [3, 4]}}
        - {path: /p?q=1, method: PUT, body: b.json}
      """)
    #expect(scenario.load == .open(try #require(RateProfile(text: "0-100:5,100:10")), isPoisson: true))
    #expect(scenario.headers == ["X-A: b"])
    let first = scenario.requests[0]
    #expect(first.target == .model(name: "m", version: "2"))
    #expect(first.inputFiles == ["x": "in/x.bin", "y": "/y.bin"])
    #expect(first.shapes == ["x": [3, 4]])
    #expect(scenario.requests[1].target == .path("/p?q=1", method: "PUT", bodyFile: "in/b.json"))
  }

  @Test(arguments: [
    ("", "mix.yaml: the file is empty"), ("requests: []", "mix.yaml: requests: at least one is needed"),
    ("requests:\n  - model: m\n    wieght: 2", "mix.yaml:3: requests[0].wieght: there is no such field here"),
    ("requests:\n  - model: m\n    weight: -1", "mix.yaml:3: requests[0].weight: \"-1\"; a number from"),
    ("requests:\n  - model: m\n    rows: 0", "mix.yaml:3: requests[0].rows: \"0\"; 8, a range"),
    ("requests:\n  - weight: 1", "mix.yaml:2: requests[0].model: either a model or a path is needed"),
    ("requests:\n  - {model: m, path: /}", "either a model or a path is needed"),
    ("requests:\n  - path: nowhere", "requests[0].path: \"nowhere\"; a path such as"),
    ("protocol: grpc\nrequests:\n  - path: /", "over gRPC there are models only"),
    ("protocol: http\nrequests:\n  - model: m", "mix.yaml:1: protocol: \"http\"; binary, json or grpc"),
    ("workload: {users: 1, rate: 5}\nrequests:\n  - model: m", "mix.yaml:1: workload.users: give one of"),
    ("workload: {rate: 5, think: \"constant:1\"}\nrequests:\n  - model: m", "only users of a closed loop think"),
    ("workload: {users: 5, arrivals: poisson}\nrequests:\n  - model: m", "only an open loop has arrivals"),
    ("workload: {replay: none.txt}\nrequests:\n  - model: m", "workload.replay: cannot open in/none.txt"),
    ("failOn: [p99]\nrequests:\n  - model: m", "mix.yaml:1: failOn: \"p99\"; p99>50ms"),
    ("requests:\n  - {model: m, data: file}", "data: file needs a file for each input"),
    ("requests:\n  - {model: m, shapes: {x: [0]}}", "requests[0].shapes.x: \"0\"; a size above 0"),
    ("requests: [\n", "mix.yaml: line 2"),
  ])
  func slipsAreNamedWithLineAndField(text: String, message: String) {
    #expect { try Self.parse(text) } throws: { error in
      let text = "\(error)"
      if !text.contains(message) { print(text) }
      return text.contains(message)
    }
  }
}
