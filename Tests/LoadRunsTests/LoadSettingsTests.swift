import LoadModel
import LoadRuns
import ProcessContract
import Testing

/// Options of `headroom load`: what they refuse, and what a run is started with.
@Suite struct LoadSettingsTests {
  private static func settings(_ change: (inout LoadSettings) -> Void = { _ in }) -> LoadSettings {
    var settings = LoadSettings(targets: [])
    settings.request.model = "m"
    change(&settings)
    return settings
  }

  private static let refused: [(String, @Sendable (inout LoadSettings) -> Void)] = [
    ("--rows 0", { $0.request.rows = "0" }),
    ("--method G-T", { $0.request.method = "G-T" }),
    ("--header X", { $0.request.headers = ["X"] }),
    ("--header X: a\r\nY: b", { $0.request.headers = ["X: a\r\nY: b"] }),
    ("--bearer", { $0.request.bearer = "a\nb" }),
    ("--input x", { $0.request.inputs = ["x"] }),
    ("--data file", { $0.request.data = .file }),
    ("--shape x", { $0.request.shapes = ["x"] }),
    ("--shape x:1,-2", { $0.request.shapes = ["x:1,-2"] }),
    ("--users 0", { $0.pace.users = 0 }),
    ("--spawn-rate 0.0", { $0.pace.spawnRate = 0 }),
    ("--think often", { ($0.pace.users, $0.pace.think) = (1, "often") }),
    ("--rate fast", { $0.pace.rate = "fast" }),
    ("--users is a closed loop", { ($0.pace.users, $0.pace.rate) = (1, "5") }),
    ("--think and --spawn-rate", { ($0.pace.rate, $0.pace.spawnRate) = ("5", 1) }),
    ("--scenario server", { $0.pace.scenario = .server }),
    ("--scenario offline", { ($0.pace.scenario, $0.pace.users) = (.offline, 1) }),
    ("--find-rate soon", { $0.pace.findRate = "soon" }),
    ("--find-rate starts", { ($0.pace.findRate, $0.pace.rate) = ("p99<50ms", "0-10:3") }),
    ("--find-rate is an open loop", { ($0.pace.findRate, $0.pace.users) = ("p99<50ms", 2) }),
    ("--duration 0.0", { $0.pace.rest.windowSeconds = 0 }),
    ("--warmup nan", { $0.pace.rest.warmUpSeconds = .nan }),
    ("--threads 65", { $0.pace.rest.threads = 65 }),
    ("--connections 0", { $0.pace.rest.connections = 0 }),
    ("--max-connections 0", { $0.pace.rest.maximumConnections = 0 }),
    ("--timeout inf", { $0.pace.rest.timeoutSeconds = .infinity }),
    ("--late-after-ms", { $0.pace.rest.lateAfterMilliseconds = 0 }),
    ("--fail-on never", { $0.failOn = ["never"] }),
    ("--share 4/4", { $0.share = "4/4" }),
    ("--start-at 0.0", { $0.startAt = 0 }),
    ("give one URL", { $0.targets = ["http://a", "http://b"] }),
    ("with --model the server is named by --url", { $0.targets = ["http://a/"] }),
    ("give a URL", { $0.request.model = nil }),
    ("load merge", { $0.targets = ["merge"] }),
    ("--model: the scenario file", { $0.targets = ["mix.yaml"] }),
    ("--protocol grpc", { ($0.request.model, $0.targets, $0.request.encoding) = (nil, ["http://a/"], .grpc) }),
  ]

  @Test(arguments: refused.indices) func whatCannotBeMeantIsNamed(index: Int) {
    let settings = Self.settings(Self.refused[index].1)
    let error = #expect(throws: UsageError.self) { try settings.check() }
    #expect(error?.description.hasPrefix(Self.refused[index].0) == true, "\(error?.description ?? "")")
  }

  @Test func aRunIsStartedWithWhatWasSaid() throws {
    let settings = Self.settings {
      ($0.request.rows, $0.request.inputs, $0.request.shapes) = ("1-8", ["x=a=b"], ["x:3,224"])
      ($0.request.headers, $0.request.bearer) = (["A: b"], "t")
      ($0.pace.users, $0.pace.think, $0.pace.rest.windowSeconds) = (7, "constant:0.2", 3)
      ($0.failOn, $0.share, $0.startAt) = (["p99>50ms"], "1/4", 1_800_000_000)
    }
    try settings.check()
    let run = try settings.parsed()
    #expect(run.request.inputFiles == ["x": "a=b"] && run.request.shapes == ["x": [3, 224]])
    #expect(run.request.headers == ["A: b", "Authorization: Bearer t"])
    #expect(run.pace.users == 7 && run.pace.windowSeconds == 3 && run.pace.think != nil)
    #expect(run.output.failOn.count == 1 && run.share == RunShare(text: "1/4") && run.startEpochSeconds == 1_800_000_000)
    guard case .model(let name, nil) = run.request.target else { throw UsageError("another target") }
    #expect(name == "m")
  }

  @Test func targetsAreToldApart() throws {
    let scenario = Self.settings { ($0.targets, $0.request.model) = (["mix.yml"], nil) }
    try scenario.check()
    if case .scenario(let file) = try scenario.parsed().request.target { #expect(file == "mix.yml") } else { Issue.record("no scenario") }
    let page = Self.settings { ($0.targets, $0.request.model, $0.request.method) = (["http://a/x"], nil, "PUT") }
    try page.check()
    if case .page(let url, let method, _) = try page.parsed().request.target { #expect(url == "http://a/x" && method == "PUT") }
    let merge = Self.settings { $0.targets = ["merge", "a.hlog"] }
    try merge.check()
    #expect(merge.isMerge)
  }
}
