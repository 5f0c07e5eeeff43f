import CheckedNumbers
import Glibc
import LoadGenerator
import LoadModel
import Testing
import Threads
import TimeBase
import Workload

/// A sanitizer makes everything several times slower: how much is done in a time says nothing there.
private let isFast = getenv("HEADROOM_SANITIZED") == nil

/// Whole runs against a server of our own; every one lasts a fraction of a second.
@Suite(.serialized) struct RunTests {
  static func run(
    _ server: StandInServer, _ load: OfferedLoad, milliseconds: Int64 = 300, plan: RequestPlan? = nil,
    change: (inout LoadConfiguration) -> Void = { _ in }
  ) throws -> LoadResult {
    let endpoint = try Endpoint(host: "127.0.0.1", port: server.port)
    var configuration = LoadConfiguration(load: load)
    configuration.warmUp = .zero
    configuration.duration = .milliseconds(milliseconds)
    change(&configuration)
    let plan = plan ?? .plain("GET", "/x", endpoint: endpoint, headers: ["X-Test: 1"], body: nil)
    return try LoadRun(configuration, plan: plan, endpoint: endpoint).run(start: MonotonicClock.now, pause: nap)
  }

  /// What the collecting thread does between looks.
  static func nap() -> Bool {
    MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(5))
    return false
  }

  static func users(_ count: Int, think: ThinkTime = .constant(.zero)) -> OfferedLoad {
    .closed(users: count, spawnRate: 1e6, think: think)
  }
  static func rate(_ rate: Double) -> OfferedLoad { .open(RateProfile(perSecond: rate), isPoisson: false) }

  @Test(.enabled(if: isFast)) func aClosedLoopKeepsItsUsersBusy() throws {
    let server = StandInServer { _, _ in StandInServer.ok }
    defer { server.stop() }
    let result = try Self.run(server, Self.users(4)) { $0.threads = 2 }
    #expect(result.answers > 10)
    #expect(result.errorCount == 0)
    #expect(result.health.connectionsOpened == 4)
    let request = try #require(server.requests.first)
    #expect(request.hasPrefix("GET /x HTTP/1.1\r\nHost: 127.0.0.1:"))
    #expect(request.contains("X-Test: 1\r\n"))
    // Little: nobody thinks, all wait.
    #expect(try #require(result.inFlight) <= 4.4)
    #expect(try #require(result.latency.maximum) >= #require(result.uncorrected.maximum))
  }

  @Test func usersThinkBetweenAnswers() throws {
    let server = StandInServer { _, _ in StandInServer.ok }
    defer { server.stop() }
    let result = try Self.run(server, Self.users(3, think: .constant(.milliseconds(50))), milliseconds: 400)
    // At most one now and one each 50 ms.
    #expect((3...27).contains(server.requests.count))
    #expect(result.health.thinkSeconds == 0.05)
  }

  @Test func anOpenLoopSendsItsArrivalsAndSharesTheirParts() throws {
    let server = StandInServer { _, _ in StandInServer.ok }
    defer { server.stop() }
    let whole = try Self.run(server, Self.rate(200), milliseconds: 500)
    // Every arrival was sent, or is counted as unsent: how many, the machine says.
    #expect(whole.answers == 100 - Int64(clamping: whole.health.unsentAtEnd))
    #expect(server.requests.count == Int(clamping: whole.answers))
    if isFast { #expect(whole.health.unsentAtEnd == 0) }
    for index in 0..<2 {
      let share = try #require(RunShare(text: "\(index)/2"))
      let part = try Self.run(server, Self.rate(200), milliseconds: 500) { $0.share = share }
      #expect(part.answers == 50 - Int64(clamping: part.health.unsentAtEnd))
    }
  }

  @Test(.enabled(if: isFast)) func answersMayComeInAnyPieces() throws {
    let answers = [
      ["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 2\r\n\r", "\n", "o", "k"],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r", "\no\r\n1\r\nk\r\n0\r\n", "\r\n"],
      ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], ["HTTP/1.1 204 No Content\r\n\r\n"],
    ]
    let server = StandInServer { number, _ in .pieces(answers[number % answers.count]) }
    defer { server.stop() }
    let result = try Self.run(server, Self.users(3))
    #expect(result.answers > 10)
    #expect(result.errorCount == 0)
    #expect(result.health.connectionsOpened == 3)
  }

  @Test(.enabled(if: isFast)) func aServerThatClosesAfterEachAnswerIsNoError() throws {
    let server = StandInServer { number, _ in
      .close(
        number.isMultiple(of: 2)
          ? "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" : "HTTP/1.1 200 OK\r\n\r\nto the end")
    }
    defer { server.stop() }
    for load in [Self.users(2), Self.rate(100)] {
      let result = try Self.run(server, load)
      #expect(result.answers > 5)
      #expect(result.errorCount == 0, "\(result.errors)")
    }
  }

  @Test(arguments: [
    (StandInServer.Reply.pieces(["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"]), LoadErrorKind.serverStatus),
    (.pieces(["HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"]), .clientStatus),
    (.pieces(["HTTP/1.1 302 Away\r\nContent-Length: 0\r\n\r\n"]), .otherStatus), (.pieces(["good day\r\n"]), .protocolBroken),
    (.pieces(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]), .protocolBroken), (.close(""), .connection),
    (.close("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), .connection),
  ])
  func faultsAreToldApart(reply: StandInServer.Reply, kind: LoadErrorKind) throws {
    let server = StandInServer { _, _ in reply }
    defer { server.stop() }
    for load in [Self.users(2), Self.rate(50)] {
      let result = try Self.run(server, load, milliseconds: 200)
      #expect(result.answers == 0)
      #expect(Set(result.errors.keys) == [kind])
    }
  }

  @Test func noAnswerIsATimeout() throws {
    let server = StandInServer { _, _ in .silence }
    defer { server.stop() }
    for load in [Self.users(2), Self.rate(20)] {
      let result = try Self.run(server, load, milliseconds: 1000) { $0.timeout = .milliseconds(200) }
      #expect(result.answers == 0)
      #expect(try #require(result.errors[.timeout]) >= 2)
    }
  }

  @Test func noServerIsAConnectError() throws {
    let server = StandInServer { _, _ in StandInServer.ok }
    server.stop()
    for load in [Self.users(2), Self.rate(20)] {
      let result = try Self.run(server, load, milliseconds: 250)
      #expect(result.answers == 0)
      #expect(try #require(result.errors[.connect]) >= 2)
      #expect(Set(result.errors.keys) == [.connect])
    }
  }

  @Test(.enabled(if: isFast)) func anOpenLoopSeesAStallInEveryRequestThatWasDue() throws {
    // One connection, so that what is due while it stalls cannot be sent: the classic coordinated omission.
    let server = StandInServer { number, _ in
      if number == 20 { MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(300)) }
      return StandInServer.ok
    }
    defer { server.stop() }
    let result = try Self.run(server, Self.rate(100), milliseconds: 600) {
      $0.maxConnections = 1
      // Neighbours on this machine are not what is tested.
      $0.lateAfter = .milliseconds(60)
    }
    #expect(result.answers == 60)
    // About 30 requests were due in the stall: half of all. The uncorrected figures show one slow answer.
    #expect(try #require(result.latency.value(atPercentile: 75)) > 50_000_000)
    #expect(result.uncorrected.count(above: 100_000_000) <= 2)
    #expect(result.verdict.kind == .serverBehind)
  }

  @Test func anInterruptionEndsTheRunAndKeepsItsFigures() throws {
    let server = StandInServer { _, _ in StandInServer.ok }
    defer { server.stop() }
    let endpoint = try Endpoint(host: "127.0.0.1", port: server.port)
    var configuration = LoadConfiguration(load: Self.users(2))
    (configuration.warmUp, configuration.duration) = (.zero, .milliseconds(60_000))
    let plan = RequestPlan.plain("GET", "/", endpoint: endpoint, headers: [], body: nil)
    var isTold = false
    let result = try LoadRun(configuration, plan: plan, endpoint: endpoint).run(
      start: MonotonicClock.now,
      pause: {
        _ = Self.nap()
        if isTold || server.requests.count < 10 { return false }
        isTold = true
        return true
      })
    #expect(result.wasInterrupted)
    #expect(result.answers > 0)
    #expect(result.windowSeconds < 30)
  }

  @Test func kindsOfRequestsAreDrawnByWeightAndToldApart() throws {
    let server = StandInServer { _, request in
      request.hasPrefix("GET /bad") ? .pieces(["HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nfull"]) : StandInServer.ok
    }
    defer { server.stop() }
    let endpoint = try Endpoint(host: "127.0.0.1", port: server.port)
    let plans = ["/good", "/bad"].map { RequestPlan.plain("GET", $0, endpoint: endpoint, headers: [], body: nil) }
    let mix = RequestPlan(name: "mix", mixing: [(plans[0], 3), (plans[1], 1)])
    let result = try Self.run(server, Self.rate(800), milliseconds: 500, plan: mix)
    #expect(result.groups.map { $0.name.split(separator: "/").last } == ["good", "bad"])
    #expect(result.groups[0].latency == result.latency)
    #expect(result.groups[1].errors == result.errorCount)
    // Five standard deviations of as many draws as were sent: of all 400 they are 43.
    let (draws, bad) = (Double(result.answers + result.errorCount), Double(result.groups[1].errors))
    #expect(abs(bad - draws / 4) <= 5 * (draws * 3 / 16).squareRoot(), "\(bad) of \(draws)")
    #expect(result.errorSamples[.serverStatus] == "503 full")
  }

  // MARK: KServe

  static let metadata = """
    {"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-1,4]},{"name":"n","datatype":"INT64","shape":[-1,1]}],"outputs":[]}
    """

  static func kserve(_ answer: @escaping @Sendable (Int) -> String) -> StandInServer {
    StandInServer { number, request in
      func reply(_ body: String) -> StandInServer.Reply {
        .pieces(["HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body])
      }
      if request.hasPrefix("GET /v2/models/m/config") { return reply("{\"max_batch_size\":8}") }
      if request.hasPrefix("GET") { return reply(metadata) }
      return reply(answer(number))
    }
  }

  static func answer(shape: String) -> String { "{\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":\(shape),\"data\":[1.5]}]}" }

  @Test func requestsAreBuiltFromTheModelsMetadata() throws {
    let server = Self.kserve { _ in Self.answer(shape: "[2,1]") }
    defer { server.stop() }
    let exchange = BlockingExchange(try Endpoint(host: "127.0.0.1", port: server.port))
    let model = try KServeModel(name: "m", version: nil, exchange: exchange)
    var options = KServeModel.RequestOptions()
    options.rows = .fixed(2)
    options.variety = 3
    let binary = try model.plan(options, verifiesValues: false)
    #expect(binary.count == 3)
    let request = try #require(server.requests.last)
    #expect(request.hasPrefix("POST /v2/models/m/infer HTTP/1.1\r\n"))
    #expect(request.contains(#"{"name":"x","shape":[2,4],"datatype":"FP32","parameters":{"binary_data_size":32}}"#))
    #expect(request.contains(#"{"name":"n","shape":[2,1],"datatype":"INT64","parameters":{"binary_data_size":16}}"#))
    #expect(request.unicodeScalars.count == request.unicodeScalars.count(where: { $0.value < 256 }))
    options.isBinary = false
    options.data = .zero
    _ = try model.plan(options, verifiesValues: false)
    #expect(try #require(server.requests.last).contains(#""shape":[2,4],"datatype":"FP32","data":[0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0]"#))
    // The same seed, the same bytes.
    options.data = .random
    let first = try model.plan(options, verifiesValues: false)
    let second = try model.plan(options, verifiesValues: false)
    #expect(first.byteCount == second.byteCount)
    options.rows = .fixed(9)
    #expect(throws: LoadError.self) { try model.plan(options, verifiesValues: false) }
  }

  /// The message asks for as many sizes as the option takes: the rows are not among them, what is known is filled in.
  @Test func openDimensionsAreAskedForAsTheyAreGiven() throws {
    func model(batch: Int, shape: String) throws -> (KServeModel, StandInServer) {
      let metadata =
        #"{"name":"m","platform":"x","inputs":[{"name":"ids","datatype":"FP32","shape":"# + shape
        + #"}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,1]}]}"#
      let server = StandInServer { _, request in
        let body = request.hasPrefix("GET /v2/models/m/config") ? "{\"max_batch_size\":\(batch)}" : metadata
        return .pieces(["HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body])
      }
      let exchange = BlockingExchange(try Endpoint(host: "127.0.0.1", port: server.port))
      return (try KServeModel(name: "m", version: nil, exchange: exchange), server)
    }
    for (batch, shape, wanted, given) in [
      (8, "[-1,-1]", "--shape ids:SIZE", [Int64(1), 2]), (8, "[-1,3,-1]", "--shape ids:3,SIZE", [7]),
      (0, "[-1,-1]", "--shape ids:SIZE,SIZE", [7]),
    ] {
      let (model, server) = try model(batch: batch, shape: shape)
      defer { server.stop() }
      let open = #expect(throws: LoadError.self) { try model.plan(.init(), verifiesValues: false) }
      #expect("\(String(describing: open))".contains(wanted), "\(String(describing: open))")
      var options = KServeModel.RequestOptions()
      options.shapes = ["ids": given]
      let wrong = #expect(throws: LoadError.self) { try model.plan(options, verifiesValues: false) }
      #expect(
        "\(String(describing: wrong))".contains("it takes \(wanted.split(separator: ",").count) size"), "\(String(describing: wrong))")
    }
  }

  @Test func anAnswerOfAnotherShapeIsAnError() throws {
    // The plan's own request is answered rightly, every later one in three is not.
    let server = Self.kserve { Self.answer(shape: $0 > 20 && $0.isMultiple(of: 3) ? "[7,1]" : "[1,1]") }
    defer { server.stop() }
    let exchange = BlockingExchange(try Endpoint(host: "127.0.0.1", port: server.port))
    let plan = try KServeModel(name: "m", version: nil, exchange: exchange).plan(.init(), verifiesValues: false)
    let result = try Self.run(server, Self.users(1), milliseconds: isFast ? 300 : 3000, plan: plan)
    #expect(result.answers > 0)
    #expect(try #require(result.errors[.shape]) > 0)
    #expect(Set(result.errors.keys) == [.shape])
  }
}
