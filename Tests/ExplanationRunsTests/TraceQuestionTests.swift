import Explanation
import ExplanationRuns
import PlanReports
import ProcessContract
import Testing
import Trace

/// What `headroom explain` refuses before it reads anything, and how it reads what people write.
@Suite struct TraceQuestionTests {
  private static func question(_ change: (inout TraceQuestion) -> Void = { _ in }) -> TraceQuestion {
    var question = TraceQuestion(files: ["t.sqlite"], gpus: GPUSelection(names: nil), model: ModelSelection())
    change(&question)
    return question
  }

  private static let refused: [(String, @Sendable (inout TraceQuestion) -> Void)] = [
    ("nothing to explain", { $0.files = [] }),
    ("give traces, or a server", { $0.isDemo = true }),
    ("give traces, or a server", { ($0.files, $0.isDemo, $0.asksForMetric) = ([], true, true) }),
    ("give traces, or a server", { $0.server.url = "http://a:1" }),
    ("--from -1.0", { $0.from = -1 }),
    ("--to nan", { $0.to = .nan }),
    ("--to 1.0 is not after", { ($0.from, $0.to) = (1, 1) }),
    ("--requests-per-step 0.0", { $0.requestsPerStep = 0 }),
    ("--rows 0", { $0.rows = 0 }),
    ("--steps inf", { $0.steps = .infinity }),
    ("--format xml", { $0.format = "xml" }),
    ("--rate fast", { $0.rate = "fast" }),
    ("--observed gpu-util", { $0.observed = ["gpu-util"] }),
    ("--observed x=3%", { $0.observed = ["x=3%"] }),
    ("--observed gpu-util=101%", { $0.observed = ["gpu-util=101%"] }),
    ("--report nonsense", { $0.report = "nonsense" }),
    ("--metrics belongs", { $0.server.metrics = "http://a:1" }),
    ("--slo belongs", { $0.server.goal = "p99<1ms" }),
    ("--url watches", { ($0.files, $0.server.url, $0.server.statistics) = ([], "http://a:1", "a,b") }),
    ("--url ftp://a", { ($0.files, $0.server.url) = ([], "ftp://a") }),
    ("--for 0s", { ($0.files, $0.server.url, $0.server.duration) = ([], "http://a:1", "0s") }),
    ("--slo soon", { ($0.files, $0.server.url, $0.server.goal) = ([], "http://a:1", "soon") }),
    ("--triton-stats a", { ($0.files, $0.server.statistics) = ([], "a") }),
    ("--triton-stats needs", { ($0.files, $0.server.statistics) = ([], "a,b") }),
    ("--triton-metrics a", { ($0.server.statistics, $0.server.statisticsPages) = ("a,b", "a") }),
    ("--observed-seconds 0.0", { ($0.server.statistics, $0.server.observedSeconds) = ("a,b", 0) }),
  ]

  @Test(arguments: refused.indices) func whatCannotBeMeantIsNamed(index: Int) {
    let error = #expect(throws: UsageError.self) { try Self.question(Self.refused[index].1).check() }
    #expect(error?.description.hasPrefix(Self.refused[index].0) == true, "\(error?.description ?? "")")
  }

  @Test func statisticsMayStandBesideATrace() throws {
    try Self.question().check()
    try Self.question { ($0.server.statistics, $0.server.observedSeconds) = ("a,b", 9) }.check()
    try Self.question { ($0.files, $0.server.url, $0.server.duration) = ([], "http://a:1", "30") }.check()
    try Self.question { ($0.files, $0.isDemo) = ([], true) }.check()
  }

  @Test(arguments: [("1344/s", 1344.0), ("80 steps/s", 80), ("1,344", 1344), ("5req/s", 5), ("2.5 batches/s", 2.5)])
  func ratesAreReadAsPeopleWriteThem(text: String, perSecond: Double) throws {
    #expect(try Self.question { $0.rate = text }.ratePerSecond() == perSecond)
  }

  @Test func observationsAreShares() throws {
    let seen = try Self.question { $0.observed = ["gpu-util=30%", "sm=0.05", "tensor-active=1%", "memory=100"] }.observations()
    #expect(seen == [.nvidiaSMI: 0.3, .smActive: 0.05, .tensorActive: 0.01, .memoryActive: 1])
  }

  // MARK: - Windows

  private static var trace: Trace {
    var trace = Trace()
    let name = trace.names.intern("k")
    let kernel = trace.intern(KernelDescription(demangledName: name, shortName: name, grid: (96, 1, 1), block: (384, 1, 1)))
    let stream = trace.intern(StreamDescription(process: 1 << 24, device: 0, context: 1, stream: 7))
    for start in [Int64(1_000_000_000), 2_000_000_000] {
      trace.kernels.append(KernelEvent(start: start, end: start + 500_000_000, description: kernel, stream: stream))
      trace.ranges.append(RangeEvent(start: start, end: start + 600_000_000, thread: 1, text: trace.names.intern("decode")))
    }
    return trace
  }

  @Test func aWindowCountsFromTheFirstWorkOfTheGPU() throws {
    #expect(try TraceWindow.asked(range: nil, from: nil, to: nil, of: Self.trace, path: "t") == nil)
    let window = try #require(try TraceWindow.asked(range: nil, from: 0.25, to: 1, of: Self.trace, path: "t"))
    #expect(window.windows == [1_250_000_000..<2_000_000_000])
    let open = try #require(try TraceWindow.asked(range: nil, from: 1, to: nil, of: Self.trace, path: "t"))
    #expect(open.windows == [2_000_000_000..<2_500_000_000])
    // Beyond everything, and beyond what a clock can hold.
    #expect(try TraceWindow.asked(range: nil, from: 1e9, to: nil, of: Self.trace, path: "t")?.windows.first?.isEmpty == false)
  }

  @Test func aRangeIsCutByTheTimes() throws {
    let window = try #require(try TraceWindow.asked(range: "decode", from: nil, to: 0.5, of: Self.trace, path: "t"))
    #expect(window.windows == [1_000_000_000..<1_500_000_000])
    #expect(window.text.hasPrefix("while \"decode\" was open (2 ranges), up to"))
    let error = #expect(throws: (any Error).self) { try TraceWindow.asked(range: "prefill", from: nil, to: nil, of: Self.trace, path: "t") }
    #expect("\(try #require(error))".contains("\"decode\""))
  }

  @Test func pagesOfSeveralTracesAreOne() {
    let explanations = ["a", "b"].map { TraceExplanation(of: Self.trace, name: $0) }
    let output = ExplainOutput(isVerbose: false, explanations: explanations)
    #expect(output.page.sections.count == explanations.reduce(0) { $0 + $1.report.sections.count })
    #expect(output.page.sections.contains { $0.heading.hasPrefix("b: ") })
    #expect(output.document["traces"]?.arrayValue?.count == 2 && output.document["mode"]?.stringValue == "measured")
    #expect(ExplainOutput(isVerbose: false).page.sections.isEmpty)
  }
}
