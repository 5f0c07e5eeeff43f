import Diagnosis
import FileAccess
import JSONText
import Testing
import TimeBase

@testable import Serving
@testable import ServingDiagnosis

@Suite("Live diagnosis")
struct LiveDiagnosisTests {
  private static let idleLoops = FrontEndClock.Usage(
    seconds: 10, loops: 2, busyShare: 0.05, busiestShare: 0.08, waitShare: 0, coresUsed: 0.2)

  @Test("a model whose instance is always busy with kernels is device-bound, and no more than likely")
  func saturated() throws {
    let diagnosis = LiveWorld.saturated().diagnosis(.init(frontEnd: Self.idleLoops, loops: 2, allRequests: 3984))
    let verdict = try #require(diagnosis.assessment?.verdict)
    #expect(verdict.side == .device)
    #expect(verdict.claims.map(\.regime) == [.deviceBound])
    #expect(verdict.claims.map(\.confidence) == [.medium])
    #expect(diagnosis.sentence == "device-bound (medium confidence)")
    #expect(diagnosis.instanceBusyShare > 0.99)
    let rate = diagnosis.figures.requestsPerSecond.value
    #expect((398...399).contains(rate))
    // 8 requests of 20.08 ms each: what the instance can pass is what it does.
    let capacity = try #require(diagnosis.evidence.stages[.launchThread]?.capacity?.value)
    #expect((capacity / rate - 1).magnitude < 0.02)
  }

  @Test("a server at a steady low rate is load-limited, and that is decided")
  func starved() throws {
    let diagnosis = LiveWorld.starved().diagnosis(.init(frontEnd: Self.idleLoops, loops: 2, allRequests: 199))
    let verdict = try #require(diagnosis.assessment?.verdict)
    #expect(verdict.side == .upstream)
    #expect(verdict.sideConfidence == .high)
    #expect(verdict.claims.map(\.regime) == [.loadLimited])
    #expect(diagnosis.sentence == "load-limited: the server keeps up with the offered load (high confidence)")
    let starved = try #require(diagnosis.evidence.device.noRequestsIdle?.value)
    #expect(starved > 0.9)
  }

  @Test("full event loops are named, when somebody sampled them")
  func frontEnd() throws {
    let loops = FrontEndClock.Usage(seconds: 10, loops: 1, busyShare: 0.97, busiestShare: 0.97, waitShare: 0, coresUsed: 1)
    let diagnosis = LiveWorld.starved().diagnosis(.init(frontEnd: loops, loops: 1, allRequests: 199))
    let verdict = try #require(diagnosis.assessment?.verdict)
    #expect(verdict.claims.map(\.regime) == [.frontEndBound])
    #expect(diagnosis.assessment?.ranked.contains { $0.finding.code == .HR111 } == true)
    let unseen = LiveWorld.starved().diagnosis()
    #expect(unseen.assessment?.ranked.contains { $0.finding.code == .HR111 } == false)
    #expect(unseen.assessment?.undecided.contains { $0.code == .HR111 } == true)
  }

  @Test("time between batches while requests wait is the loop's, not the device's")
  func noBatchPipelining() throws {
    var world = LiveWorld()
    for index in 0..<900 {
      let gather = Double(index) * 11_000 + 6_000
      // Eight requests wait throughout; the loop takes them 10 ms after the last batch ended.
      world.batch(arrivals: (0..<8).map { gather - 5_500 + Double($0) }, gather: gather, kernels: 500, handOff: 5_400)
    }
    let diagnosis = world.diagnosis()
    #expect(diagnosis.assessment?.ranked.contains { $0.finding.code == .HR131 } == true)
  }

  @Test("time in which the batcher holds requests is not blamed on either side")
  func held() throws {
    var world = LiveWorld()
    for index in 0..<499 {
      let arrival = Double(index) * 20_000 + 5_000
      world.batch(arrivals: [arrival], gather: arrival + 10_000, kernels: 500, reason: .delay)
    }
    let diagnosis = world.diagnosis(.init(frontEnd: Self.idleLoops, loops: 2, allRequests: 499))
    let verdict = try #require(diagnosis.assessment?.verdict)
    #expect(verdict.side == nil && verdict.sideConfidence == .inconclusive)
    #expect(verdict.claims.map(\.regime) == [.batchingBound] && verdict.claims.map(\.confidence) == [.inconclusive])
    #expect(diagnosis.sentence.hasPrefix("batching-bound, or too few requests: inconclusive"))
    #expect(diagnosis.toConfirm?.contains("max_queue_delay_microseconds") == true)
  }

  @Test("nothing ran: nothing is claimed")
  func empty() {
    let diagnosis = LiveWorld().diagnosis()
    #expect(diagnosis.assessment == nil && diagnosis.regime == .null)
    #expect(diagnosis.sentence == "no requests in the last 10 s")
    #expect(diagnosis.json["findings"] == [] && diagnosis.json["waterfall"] == [] && diagnosis.json["stages"] == [])
    let answer = LiveWorld.answer([LiveWorld()])
    #expect(answer.summary == "no requests in the last 10 s")
    #expect(answer.json["regime"] == .null)
    #expect(LiveWorld.answer([]).summary == "no model is loaded")
  }

  @Test("requests that wait and were not answered are no empty server")
  func stuck() {
    var world = LiveWorld()
    world.state.queuedRequests = 3
    world.state.readyInstances = 0
    #expect(world.diagnosis().sentence == "no request was answered in the last 10 s: 3 wait, 1 of 1 instances are at work")
    #expect(LiveWorld.answer([world]).summary.contains("3 wait"))
  }

  @Test("failed requests alone claim nothing of the device")
  func failures() {
    var world = LiveWorld()
    for index in 0..<100 { world.failure(at: Double(index) * 90_000) }
    let diagnosis = world.diagnosis()
    #expect(diagnosis.failed == 100 && diagnosis.answered == 0)
    #expect(diagnosis.assessment == nil)
    #expect(diagnosis.sentence == "100 requests failed and none was answered in the last 10 s")
  }

  @Test("while a batch runs, the time since the last one ended is no idle time")
  func inFlight() throws {
    var world = LiveWorld.saturated()
    world.events.batches.removeAll { $0.outputEnd > LiveWorld.at(5_000_000) }
    world.events.kernels.removeAll { $0.end > LiveWorld.at(5_000_000) }
    world.events.requests.removeAll { $0.responseStart > LiveWorld.at(5_000_000) }
    world.state.readyInstances = 0
    let diagnosis = world.diagnosis()
    #expect(diagnosis.sentence == "device-bound (medium confidence)")
    #expect(diagnosis.notes.contains { $0.contains("batches that still run are not counted") })
    // The same events of a server where all instances wait: five seconds of nothing.
    world.state.readyInstances = 1
    let idle = world.diagnosis()
    let starved = try #require(idle.evidence.device.noRequestsIdle?.value)
    #expect((0.49...0.52).contains(starved))
  }

  @Test("a load that came within the window gives no verdict")
  func notSteady() {
    var world = LiveWorld.saturated()
    world.events.batches.removeAll { $0.formed < LiveWorld.at(7_000_000) }
    world.events.kernels.removeAll { $0.start < LiveWorld.at(7_000_000) }
    world.events.requests.removeAll { $0.responseEnd < LiveWorld.at(7_000_000) }
    let diagnosis = world.diagnosis()
    #expect(diagnosis.assessment?.verdict.claims.map(\.regime) == [.notSteady])
    #expect(diagnosis.assessment?.verdict.isInconclusive == true)
  }

  @Test("idle causes and kernels add up to the window")
  func waterfall() throws {
    for world in [LiveWorld.saturated(), LiveWorld.starved(), LiveWorld.saturated(simulated: true)] {
      let bars = try #require(world.diagnosis().json["waterfall"]?.arrayValue)
      let sum = bars.reduce(0.0) { $0 + ($1["ofWall"]?["value"]?.doubleValue ?? .nan) }
      #expect((sum - 1).magnitude < 1e-9)
    }
  }

  @Test("simulated devices are marked wherever they show")
  func simulated() throws {
    let answer = LiveWorld.answer([LiveWorld.saturated(simulated: true)])
    let json = answer.json
    #expect(json["mode"]?.stringValue == "simulated")
    let model = try #require(json["models"]?.arrayValue?.first)
    #expect(model["mode"]?.stringValue == "simulated")
    #expect(model["device"]?["isSimulated"]?.boolValue == true)
    #expect(model["figures"]?["requestsPerSecond"]?["kind"]?.stringValue == "simulated")
    #expect(model["regime"]?["claims"]?.arrayValue?.first?["weight"]?["kind"]?.stringValue == "simulated")
    #expect(LivePage.text(nonce: "n").contains("SIMULATED"))
    #expect(LiveWorld.answer([LiveWorld.saturated()]).json["mode"]?.stringValue == "measured")
  }

  @Test("the busiest model is named first, a filter leaves the others out")
  func models() {
    let worlds = [LiveWorld.starved(name: "a", number: 1), LiveWorld.saturated(name: "b", number: 2)]
    let answer = LiveWorld.answer(worlds)
    #expect(answer.focus?.state.name == "b")
    #expect(answer.summary == "b: device-bound (medium confidence)")
    #expect(answer.models.map(\.answered) == [199, 3984])
    let one = LiveWorld.answer(worlds, filter: "a")
    #expect(one.models.map(\.state.name) == ["a"])
    #expect(one.slices.reduce(0) { $0 + $1.answered } == 199)
    #expect(one.models.first?.notes.contains { $0.hasPrefix("this device also ran b: ") } == true)
  }

  @Test("of two models on one server each has its own ten lines, the busiest first, word for word")
  func twoModels() throws {
    let worlds = [LiveWorld.starved(name: "rank", number: 1), LiveWorld.saturated(name: "enc", number: 2)]
    var events = LiveTrace.Events()
    for world in worlds {
      events.requests += world.events.requests
      events.batches += world.events.batches
      events.kernels += world.events.kernels
    }
    let answer = LiveAnswer(
      version: "1", filter: nil, states: worlds.map(\.state), events: events, start: Instant(nanoseconds: LiveWorld.window.lowerBound),
      now: Instant(nanoseconds: LiveWorld.window.upperBound), uptime: .milliseconds(60_000), frontEnd: Self.idleLoops
    ) { LiveHeadroom.find(of: $0, events: $1, serverContext: $2, goal: .assumed) }
    let golden = try Files.readText("Tests/Data/answers/live-two-models.txt")
    #expect(Self.masked(answer.text) == golden, "\(answer.text)")
    // What belongs to which model, to the figure.
    let entries = try #require(answer.json["answers"]?.arrayValue)
    #expect(entries.map { $0["model"]?.stringValue } == ["rank", "enc"])
    func now(_ index: Int) -> String? { entries[index]["answer"]?["now"]?.stringValue }
    #expect(now(0)?.hasPrefix("19.9 requests/s answered") == true && now(1)?.hasPrefix("398 requests/s answered") == true)
    let metrics = answer.models.map { $0.metrics(headroom: answer.headrooms[$0.state.number]) }
    #expect(metrics.map(\.model) == ["rank", "enc"] && metrics.map(\.verdict) == ["load_limited", "device_bound"])
    for (metric, entry) in zip(metrics, entries) {
      #expect(metric.maximum?.requestsPerSecond == entry["headroom"]?["maximumRequestsPerSecond"]?["value"]?.doubleValue)
    }
  }

  /// Figures are the simulation's arithmetic: "#". "p99" is a word.
  private static func masked(_ text: String) -> String {
    var (masked, isNumber, before) = ("", false, Character(" "))
    for character in text {
      let isDigit = character.isASCII && character.isNumber
      if isNumber, isDigit || character == "." || character == "," { continue }
      isNumber = isDigit && !before.isLetter && !before.isNumber
      masked.append(isNumber ? "#" : character)
      before = character
    }
    return masked
  }

  @Test("headroom is searched on a simulation fitted to the window, and the ten lines begin with it")
  func headroom() throws {
    func answer(_ world: LiveWorld) -> LiveAnswer {
      LiveAnswer(
        version: "1", filter: nil, states: [world.state], events: world.events, start: Instant(nanoseconds: LiveWorld.window.lowerBound),
        now: Instant(nanoseconds: LiveWorld.window.upperBound), uptime: .milliseconds(60_000), frontEnd: Self.idleLoops
      ) { LiveHeadroom.find(of: $0, events: $1, serverContext: $2, goal: .assumed) }
    }
    // 20 requests/s of 2 ms in batches of one: batches of eight were never seen, and count as eight times as long.
    let starved = answer(.starved())
    let headroom = try #require(starved.headrooms[1])
    let rate = try #require(headroom.maximumRate)
    #expect(headroom.isLowerBound && rate.kind == .estimated && rate.value > 350 && rate.value < 520, "\(headroom.text)")
    let lines = starved.text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines[0].hasPrefix("m  headroom at least ") && lines[0].contains("p99 <= 100 ms"))
    #expect(lines.contains("Load-limited: the server keeps up with the offered load (high confidence)"))
    #expect(lines.allSatisfy { $0.count <= 80 })
    // Eight requests in 20 ms, always eight ahead: there is no more.
    let saturated = try #require(answer(.saturated()).headrooms[1])
    let times = try #require(saturated.times)
    #expect(!saturated.isLowerBound && times.value > 0.7 && times.value < 1.1, "\(saturated.text)")
    // Nothing is simulated from nothing.
    let idle = try #require(answer(LiveWorld()).headrooms[1])
    #expect(idle.text == "unknown, because no request was answered in the last 10 s")
    var few = LiveWorld()
    for index in 0..<5 { few.batch(arrivals: [Double(index) * 1e6], gather: Double(index) * 1e6 + 40, kernels: 2000) }
    #expect(try #require(answer(few).headrooms[1]).unknownBecause?.hasPrefix("5 batches in the window are too few") == true)
  }

  @Test("of a window that is not steady no headroom is stated, in lines, JSON and metrics alike")
  func headroomOfAnUnsteadyWindow() throws {
    var arrives = LiveWorld.saturated()
    arrives.events.batches.removeAll { $0.formed < LiveWorld.at(7_000_000) }
    arrives.events.kernels.removeAll { $0.start < LiveWorld.at(7_000_000) }
    arrives.events.requests.removeAll { $0.responseEnd < LiveWorld.at(7_000_000) }
    // Fewer answers than a trend is looked for in: forty in the first half, none in the second.
    var stops = LiveWorld()
    for index in 0..<40 {
      let arrival = Double(index) * 100_000 + 100
      stops.batch(arrivals: [arrival], gather: arrival + 40, kernels: 2_000, reason: .zeroDelay)
    }
    for (world, change) in [(arrives, "hardly a request at its start"), (stops, "hardly a request at its end")] {
      let answer = LiveAnswer(
        version: "1", filter: nil, states: [world.state], events: world.events, start: Instant(nanoseconds: LiveWorld.window.lowerBound),
        now: Instant(nanoseconds: LiveWorld.window.upperBound), uptime: .milliseconds(60_000), frontEnd: Self.idleLoops
      ) { LiveHeadroom.find(of: $0, events: $1, serverContext: $2, goal: .assumed) }
      let headroom = try #require(answer.headrooms[1])
      let text = "unknown, because the window is not steady: \(change)"
      #expect(headroom.text == text && headroom.maximumRate == nil && headroom.times == nil)
      #expect(answer.text.hasPrefix("m  headroom unknown, because the window is not steady:"), "\(answer.text)")
      #expect(answer.text.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(answer.text)")
      let entry = try #require(answer.json["answers"]?.arrayValue?.first?["headroom"])
      #expect(entry["maximumRequestsPerSecond"] == .null && entry["timesToday"] == .null && entry["text"]?.stringValue == text)
      let model = try #require(answer.models.first)
      #expect(model.metrics(headroom: headroom).maximum == nil && answer.answer(of: model).changes.isEmpty)
      // As a scrape finds it, which sees the answers alone.
      #expect(LiveDiagnosis.steadiness(world.events, of: world.state, window: LiveWorld.window)?.isSteady == false)
    }
  }

  @Test("changes are tried on the simulation fitted to the window, and no more is said than it reproduces")
  func changes() throws {
    // 100 requests/s at random, batches of up to eight held for 20 ms by the delay and done in 2 ms: the delay buys nothing.
    var world = LiveWorld()
    world.state.scheduling.batching?.maximumQueueDelay = .microseconds(20_000)
    var random = SplitMix64(seed: 5)
    var (time, waiting) = (0.0, [Double]())
    func flush(_ world: inout LiveWorld) {
      guard let first = waiting.first else { return }
      world.batch(
        arrivals: waiting, gather: waiting.count == 8 ? (waiting.last ?? first) + 40 : first + 20_000, kernels: 2_000,
        reason: waiting.count == 8 ? .full : .delay)
      waiting = []
    }
    while time < 9_970_000 {
      time += 20_000 * random.nextUnitDouble()
      if let first = waiting.first, waiting.count == 8 || time > first + 20_000 { flush(&world) }
      waiting.append(time)
    }
    let answer = LiveAnswer(
      version: "1", filter: nil, states: [world.state], events: world.events, start: Instant(nanoseconds: LiveWorld.window.lowerBound),
      now: Instant(nanoseconds: LiveWorld.window.upperBound), uptime: .milliseconds(60_000), frontEnd: nil
    ) { LiveHeadroom.find(of: $0, events: $1, serverContext: $2, goal: .assumed) }
    let model = try #require(answer.models.first)
    let said = answer.answer(of: model)
    let change = try #require(said.changes.first { $0.setting == "max_queue_delay_microseconds: 0" }, "\(answer.text)")
    #expect(change.kind == "estimated" && change.effect == .p99, "\(answer.text)")
    #expect(try #require(change.change).value < -0.5, "\(answer.text)")
    #expect(said.changes.allSatisfy { $0.kind != "not quantified" })
    // Sixty requests show no 99th percentile to compare the simulation by: nothing is quantified, and headroom alone is estimated.
    var few = LiveWorld()
    for index in 0..<60 {
      few.batch(arrivals: [Double(index) * 160_000], gather: Double(index) * 160_000 + 1_000, kernels: 2_000, reason: .delay)
    }
    let silent = LiveAnswer(
      version: "1", filter: nil, states: [few.state], events: few.events, start: Instant(nanoseconds: LiveWorld.window.lowerBound),
      now: Instant(nanoseconds: LiveWorld.window.upperBound), uptime: .milliseconds(60_000), frontEnd: nil
    ) { LiveHeadroom.find(of: $0, events: $1, serverContext: $2, goal: .assumed) }
    let advice = silent.answer(of: try #require(silent.models.first)).changes
    #expect(!advice.isEmpty && advice.allSatisfy { $0.kind == "not quantified" }, "\(silent.text)")
    #expect(silent.headrooms[1]?.maximumRate?.kind == .estimated)
  }

  @Test("slices hold every answer once, and the client is never claimed")
  func slices() {
    let answer = LiveWorld.answer([LiveWorld.saturated()])
    #expect(answer.slices.count == 10)
    #expect(answer.slices.reduce(0) { $0 + $1.answered } == 498 * 8)
    #expect(answer.json["client"] == .null)
    #expect(answer.notes.contains { $0.contains("cannot be seen here") })
  }
}
