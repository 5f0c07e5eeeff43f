import Diagnosis
import Explanation
import FileAccess
import Glibc
import Testing
import Trace
import TraceFormats

/// What files beside a trace decide.
@Suite struct CompanionTests {
  /// Bursts of ten kernels every millisecond; one batch each, whose requests a test puts where it wants. Times are microseconds.
  static func served(
    batches: Int = 40, batch: (begin: Double, end: Double) = (400, 650), request: (received: Double, queued: Double, answered: Double)
  ) -> TraceMaker {
    var maker = TraceMaker()
    let model = maker.trace.names.intern("m")
    for index in 0..<batches {
      let start = Double(index) * 1_000
      for kernel in 0..<10 {
        let time = start + 420 + Double(kernel) * 20
        maker.kernel(launch: (time, time + 4), time + 6, time + 22)
      }
      maker.call("cudaStreamSynchronize", start + 620, start + 630)
      func at(_ time: Double) -> Int64 { Int64((start + time) * 1e3) }
      maker.trace.batches.append(
        BatchEvent(
          id: Int64(index), model: model, rows: 8, requests: 1, gatherStart: at(batch.begin), computeStart: at(batch.begin),
          computeEnd: at(batch.end), outputEnd: at(batch.end)))
      maker.trace.requests.append(
        RequestEvent(
          id: Int64(index), batch: Int64(index), model: model, rows: 8, received: at(request.received), parsed: at(request.queued),
          enqueued: at(request.queued), responseStart: at(request.answered), responseEnd: at(request.answered)))
    }
    return maker
  }

  static func verdict(_ maker: TraceMaker, _ context: TraceContext = TraceContext()) throws -> TraceVerdict {
    try #require(TraceExplanation(of: maker.trace, name: "", context: context).verdict)
  }

  @Test func everyNanosecondOfTheDeviceHasAPlaceOfRequests() throws {
    let maker = Self.served(request: (received: 100, queued: 300, answered: 700))
    let explanation = TraceExplanation(of: maker.trace, name: "")
    let requests = try #require(explanation.requests)
    let device = try #require(explanation.device)
    #expect(requests.requests == 40 && requests.batches == 40)
    #expect(requests.idle.values.reduce(0, +) == device.idle.total)
    #expect(requests.busy.values.reduce(0, +) == device.busy.device)
    #expect(requests.busy == [.batch: device.busy.device])
    #expect(requests.frontEnd == 200_000 && requests.queue == 100_000 && requests.compute == 250_000 && requests.response == 50_000)
    // From answer to next request 400 us a batch, of 39 in full between first and last work.
    let turns: Int64 = 39
    #expect(requests.idle[.nowhere] == .some(turns * 400_000))
    #expect(requests.idle[.frontEnd] == .some(turns * 250_000) && requests.idle[.queue] == .some(turns * 100_000))
  }

  @Test func whereRequestsWaitDecidesWhatLiesBeforeTheGPU() throws {
    let away = try Self.verdict(Self.served(request: (received: 395, queued: 398, answered: 660)))
    #expect(away.regime == .loadLimited && away.confidence == .medium)
    let decoding = try Self.verdict(Self.served(request: (received: -300, queued: 395, answered: 660)))
    #expect(decoding.regime == .frontEndBound)
    let waiting = try Self.verdict(Self.served(request: (received: -330, queued: -300, answered: 660)))
    #expect(waiting.regime == .batchingBound)
    // Two batches earlier: every batch leaves some behind, so that the next one was there to be run.
    let backlog = try Self.verdict(Self.served(request: (received: -2_300, queued: -2_200, answered: 660)))
    #expect(backlog.regime == .noBatchPipelining)
    // The batch itself lasts a millisecond: its host part is what the GPU waits for.
    let inside = try Self.verdict(Self.served(batch: (-300, 650), request: (received: -330, queued: -310, answered: 660)))
    #expect(inside.regime == .noBatchPipelining && !inside.isUpstream)
  }

  @Test func aBatchThatAnArrivalFillsWaitsForTheLoadAndNotForATimer() throws {
    // Four requests a batch, 240 us apart; the fourth one sends it.
    func maker(last: Double) -> TraceMaker {
      var maker = Self.served(request: (received: 390, queued: 395, answered: 660))
      maker.trace.requests = RequestTable()
      let model = maker.trace.names.intern("m")
      for index in 0..<40 {
        for place in 0..<4 {
          let at = Int64((Double(index) * 1_000 + last - Double(3 - place) * 240) * 1e3)
          maker.trace.requests.append(
            RequestEvent(
              id: Int64(index * 4 + place), batch: Int64(index), model: model, rows: 8, received: at - 5_000, parsed: at, enqueued: at,
              responseStart: Int64(index * 1_000 + 660) * 1_000, responseEnd: Int64(index * 1_000 + 660) * 1_000))
        }
      }
      return maker
    }
    let filled = try Self.verdict(maker(last: 398))
    #expect(filled.regime == .loadLimited && filled.title.hasPrefix("too few requests"))
    // The picture calls the same time by the same name.
    func text(_ maker: TraceMaker) -> String {
      TraceExplanation(of: maker.trace, name: "", context: TraceContext()).answer.joined(separator: "\n")
    }
    #expect(text(maker(last: 398)).contains("idle: waiting for requests"))
    #expect(text(maker(last: 250)).contains("idle: batching delay"))
    #expect(!text(maker(last: 398)).contains("host outside CUDA"))
    // The last one came 150 us before: a timer sent it.
    #expect(try Self.verdict(maker(last: 250)).regime == .batchingBound)
  }

  @Test func aGainBeforeTheGPUIsBoundByTheRequestsOwnCycle() throws {
    let maker = Self.served(request: (received: -330, queued: -300, answered: 660))
    var context = TraceContext()
    func gain() throws -> Double {
      let explanation = TraceExplanation(of: maker.trace, name: "", context: context)
      return try #require(explanation.findings.first?.found.first { $0.code == .HR121 }?.gain.change)
    }
    // 700 us queued of a server's 990.
    #expect(try gain() <= 990.0 / 290 - 1 + 1e-9)
    // A client that waits 10 ms for each answer gains 7.5 %.
    context.load = KnownLoad(tool: "locust", requestsPerSecond: 1_000, meanMilliseconds: 10)
    #expect((try gain() - (10 / 9.3 - 1)).magnitude < 1e-6)
  }

  @Test func theGeneratorDecidesWhetherMissingRequestsAreItsOwn() throws {
    var context = TraceContext()
    context.load = KnownLoad(tool: "headroom", requestsPerSecond: 1_000, isClientBound: true)
    let maker = Self.served(request: (received: 395, queued: 398, answered: 660))
    #expect(try Self.verdict(maker, context).regime == .clientBound)
    // A front end that is the limit is not the generator's, whatever that says.
    let slow = Self.served(request: (received: -300, queued: 395, answered: 660))
    #expect(try Self.verdict(slow, context).regime == .frontEndBound)
  }

  @Test func requestsOfSomethingElseDecideNothing() throws {
    var maker = Self.served(request: (received: 100, queued: 300, answered: 700))
    // All of it half a millisecond late: the work lies outside the batches.
    func shift(_ times: inout [Int64]) { for index in times.indices { times[index] += 500_000 } }
    shift(&maker.trace.batches.gatherStart)
    shift(&maker.trace.batches.computeStart)
    shift(&maker.trace.batches.computeEnd)
    shift(&maker.trace.batches.outputEnd)
    let verdict = try Self.verdict(maker)
    #expect(verdict.isUpstream && verdict.regime == nil)
    #expect(verdict.evidence.contains { $0.text.contains("outside the recorded batches") })
  }

  @Test func impossibleTimesOfRequestsDoNotTrap() {
    var maker = Self.served(request: (received: 100, queued: 300, answered: 700))
    maker.trace.requests.received[3] = .max
    maker.trace.requests.enqueued[4] = Trace.unknown
    maker.trace.requests.responseEnd[5] = .min + 1
    maker.trace.batches.outputEnd[6] = .max
    maker.trace.batches.gatherStart[7] = .max
    _ = TraceExplanation(of: maker.trace, name: "").answer
  }

  @Test func aRequestTraceOnAnotherClockIsJoined() throws {
    var maker = Self.served(request: (received: 395, queued: 398, answered: 660))
    var entries: [String] = []
    for row in 0..<maker.trace.batches.count {
      // A run whose batches come at irregular times.
      func stamp(_ name: String, _ time: Int64) -> String { "{\"name\": \"\(name)\", \"ns\": \(time + 5_000_000_000)}" }
      let batch = maker.trace.batches[row]
      entries.append(
        "{\"id\": \(row), \"model_name\": \"m\", \"timestamps\": [\(stamp("REQUEST_START", batch.gatherStart - 9_000)), \(stamp("QUEUE_START", batch.gatherStart - 2_000)), \(stamp("COMPUTE_START", batch.gatherStart)), \(stamp("COMPUTE_END", batch.outputEnd)), \(stamp("REQUEST_END", batch.outputEnd + 9_000))]}"
      )
    }
    (maker.trace.batches, maker.trace.requests) = (BatchTable(), RequestTable())
    let folder = try TemporaryTraces()
    defer { folder.empty() }
    let path = "\(folder.path)/triton-trace.json"
    try Files.write(path, "[" + entries.joined(separator: ",\n") + "]")
    var companions = TraceCompanions()
    companions.tritonTrace = path
    var context = TraceContext()
    var trace = maker.trace
    try companions.read(into: &context, &trace) { try Files.readText($0) }
    let clock = try #require(context.requestClock)
    #expect(trace.requests.count == 40 && (clock.offset + 5_000_000_000).magnitude <= UInt64(clamping: clock.residual + 1_000_000))
    let explanation = TraceExplanation(of: trace, name: "", context: context)
    #expect(explanation.verdict?.regime == .loadLimited)
    #expect(explanation.answer.contains { $0.hasPrefix("Requests") } && explanation.answer.joined().contains("clocks joined to"))
    #expect(explanation.json["requests"]?["clock"]?["matchedBatches"]?.integerValue ?? 0 >= 39)

    // What cannot be joined is said, and the trace explained without it.
    try Files.write(path, "[{\"id\": 1, \"timestamps\": [{\"name\": \"QUEUE_START\", \"ns\": 5}]}]")
    (context, trace) = (TraceContext(), maker.trace)
    try companions.read(into: &context, &trace) { try Files.readText($0) }
    #expect(context.requestClock == nil && context.requestNotes.count == 1 && trace.requests.isEmpty)
    try Files.write(path, "hello")
    #expect(throws: CompanionError.self) { try companions.read(into: &context, &trace) { try Files.readText($0) } }
  }

  @Test func rangesOfADataLoaderNameTheSilence() throws {
    var maker = TraceMaker.eager(steps: 30, layers: 10, pause: 5_000)
    #expect(try Self.verdict(maker).isWaitingForInput == false)
    let name = maker.trace.names.intern("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__")
    for step in 0..<30 {
      let end = Int64(step + 1) * 5_210_000
      maker.trace.ranges.append(RangeEvent(start: end - 4_900_000, end: end, thread: maker.thread, text: name))
    }
    let verdict = try Self.verdict(maker)
    #expect(verdict.isWaitingForInput && verdict.confidence == .high && verdict.title.hasPrefix("input-bound"))
  }
}

/// Counters and the driver's words beside a trace.
@Suite struct GPUMetricsTests {
  static let query = """
    timestamp, utilization.gpu [%], clocks.current.sm [MHz], clocks.max.sm [MHz], power.draw [W], power.limit [W], clocks_event_reasons.active
    2026/01/01 00:00:00.000, 96 %, 1410 MHz, 1980 MHz, 698.20 W, 700.00 W, 0x0000000000000004
    2026/01/01 00:00:00.200, 98 %, 1440 MHz, 1980 MHz, 699.10 W, 700.00 W, 0x0000000000000004
    2026/01/01 00:00:00.400, 0 %, 345 MHz, 1980 MHz, 90.00 W, 700.00 W, 0x0000000000000001
    """

  @Test func nvidiaSMIsTableIsRead() throws {
    let metrics = try GPUMetrics(Self.query, path: "smi.csv")
    // The clock of the idle sample says nothing.
    #expect(metrics.clockMegahertz == 1_425 && metrics.largestClockMegahertz == 1_980)
    #expect(metrics.throttles == [.powerCap])
    #expect((metrics.shares[.nvidiaSMI] ?? 0) > 0.64 && metrics.watts.map { $0.limit == 700 } == true)
    let apps = try GPUMetrics("pid, process_name, used_gpu_memory [MiB]\n11, a, 5 MiB\n12, b, 6 MiB\n11, a, 5 MiB\n", path: "apps.csv")
    #expect(apps.processes == 2)
  }

  /// A page saved on Windows is the same page, also where its labels hold commas and the words of nvidia-smi's columns.
  @Test func linesMayEndInCarriageReturns() throws {
    let table = try GPUMetrics(Self.query.split(separator: "\n").joined(separator: "\r\n"), path: "smi.csv")
    #expect(table.clockMegahertz == 1_425)
    let page = "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\",Hostname=\"a\"} 97\r\nDCGM_FI_DEV_POWER_USAGE{gpu=\"0\",power=\"x\"} 300\r\n"
    #expect(try GPUMetrics(page, path: "dcgm.txt").shares[.nvidiaSMI] == 0.97)
  }

  @Test func aDCGMPageIsRead() throws {
    let page = """
      DCGM_FI_DEV_GPU_UTIL{gpu="0"} 97
      DCGM_FI_DEV_GPU_UTIL{gpu="1"} 3
      DCGM_FI_PROF_SM_ACTIVE{gpu="0"} 0.91
      DCGM_FI_DEV_SM_CLOCK{gpu="0"} 1500
      DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{gpu="0"} 32
      """
    let metrics = try GPUMetrics(page, path: "dcgm.txt")
    #expect(metrics.shares == [.nvidiaSMI: 0.97, .smActive: 0.91])
    #expect(metrics.clockMegahertz == 1_500 && metrics.throttles == [.softwareThermal])
    #expect(throws: CompanionError.self) { try GPUMetrics("hello", path: "x") }
    #expect(throws: CompanionError.self) { try GPUMetrics("", path: "x") }
  }

  @Test func samplesInTheTraceStandBesideThePrediction() throws {
    var maker = TraceMaker.saturated(kernels: 100)
    for (text, value) in [("GR Active [Throughput %]", 98.0), ("SMs Active [Throughput %]", 95), ("GPC Clock Frequency [MHz]", 1.2e9)] {
      let name = maker.trace.names.intern(text)
      for time in 0..<10 { maker.trace.counters.append(CounterSample(time: Int64(time) * 100_000, counter: name, device: 0, value: value)) }
    }
    let explanation = TraceExplanation(of: maker.trace, name: "")
    let metrics = try #require(explanation.metrics)
    #expect(((metrics.shares[.graphicsActive] ?? 0) - 0.98).magnitude < 1e-9 && metrics.clockMegahertz == 1_200)
    #expect(explanation.report.terminalLines(width: 100).joined().contains("98 %"))
    // 1,200 of 1,980 MHz without a reason: likely the clock.
    #expect(explanation.verdict?.named == .HR301 && explanation.verdict?.confidence == .medium)
  }

  @Test func aHeldClockIsTheLimitWhereKernelsAre() throws {
    var context = TraceContext()
    context.metrics = try GPUMetrics(Self.query, path: "smi.csv")
    let explanation = TraceExplanation(of: TraceMaker.saturated(kernels: 200).trace, name: "", context: context)
    #expect(explanation.verdict?.named == .HR301 && explanation.verdict?.confidence == .high)
    let finding = try #require(explanation.findings.first?.found.first { $0.code == .HR301 })
    guard case .replayed(let gain) = finding.gain else {
      Issue.record("\(finding.gain)")
      return
    }
    // Products at 1,980 in place of 1,425 MHz.
    #expect((0.3...0.39).contains(gain.value))
    // A GPU that mostly waits is not limited by its clock.
    let waiting = TraceExplanation(of: TraceMaker.eager(steps: 50, layers: 20).trace, name: "", context: context)
    #expect(waiting.verdict?.named == nil)
  }
}

/// Shapes of matrix products.
@Suite struct ProductUseTests {
  /// A hundred launches inside an operator or a range of that form.
  static func products(_ add: (inout TraceMaker, Int64, Int64) -> Void) throws -> ProductUse? {
    var maker = TraceMaker()
    for index in 0..<100 {
      let start = Double(index) * 50
      maker.kernel(launch: (start + 5, start + 9), start + 12, start + 17)
      add(&maker, Int64(start * 1e3), Int64((start + 20) * 1e3))
    }
    return try #require(TraceExplanation(of: maker.trace, name: "").device).products
  }

  static func operation(_ name: String, _ shapes: String, _ types: String = "[\"c10::Half\", \"c10::Half\"]") throws -> ProductUse? {
    try products { maker, start, end in
      let (id, shape, type) = (maker.trace.names.intern(name), maker.trace.names.intern(shapes), maker.trace.names.intern(types))
      maker.trace.operators.append(
        OperatorEvent(start: start, end: end, thread: maker.thread, name: id, inputShapes: shape, inputTypes: type))
    }
  }

  @Test(arguments: [
    ("aten::mm", "[[50, 1024], [1024, 512]]", "50 x 512 x 1024"),
    ("aten::addmm", "[[512], [50, 1024], [1024, 512], [], []]", "50 x 512 x 1024"),
    ("aten::linear", "[[4, 128, 768], [3072, 768], [3072]]", "512 x 3072 x 768"),
    ("aten::bmm", "[[96, 128, 64], [96, 64, 128]]", "96 x 128 x 128 x 64"),
    ("aten::matmul", "[[8, 12, 128, 64], [8, 12, 64, 128]]", "96 x 128 x 128 x 64"),
  ])
  func shapesOfOperatorsAreProducts(name: String, shapes: String, text: String) throws {
    let products = try #require(try Self.operation(name, shapes))
    let row = try #require(products.rows.first)
    #expect(products.rows.count == 1 && row.text == text && row.count == 100 && row.total == 500_000 && row.type == .fp16)
    #expect(products.coverage == 1)
    // The model and the limit of an H200 stand beside what was measured.
    #expect((row.predicted ?? 0) > 500 && row.limit > 0 && row.limitShare > 0 && row.limitShare <= 1)
    let expected = row.operations * 100 / (Double(99 * 50_000 + 5_000) / 1e9) / (products.peak ?? 1)
    #expect((try #require(products.mfu(span: 99 * 50_000 + 5_000)) - expected).magnitude < 1e-9)
  }

  @Test func rangesOfPyTorchsNVTXAreProductsToo() throws {
    let products = try Self.products { maker, start, end in
      let text = maker.trace.names.intern("aten::addmm, seq = 12, op_id = 3, sizes = [[512], [50, 1024], [1024, 512], [], []]")
      maker.trace.ranges.append(RangeEvent(start: start, end: end, thread: maker.thread, text: text))
    }
    #expect(products?.rows.first?.text == "50 x 512 x 1024")
  }

  @Test func theInnermostOperatorCounts() throws {
    let products = try Self.products { maker, start, end in
      for (name, shapes, inset) in [
        ("aten::linear", "[[50, 1024], [512, 1024]]", Int64(0)), ("aten::mm", "[[50, 1024], [1024, 512]]", 2_000),
      ] {
        let (id, shape) = (maker.trace.names.intern(name), maker.trace.names.intern(shapes))
        maker.trace.operators.append(
          OperatorEvent(start: start + inset, end: end - inset, thread: maker.thread, name: id, inputShapes: shape))
      }
    }
    #expect(products?.rows.count == 1 && products?.rows.first?.count == 100)
  }

  @Test func shapesThatDoNotFitAreNone() throws {
    for (name, shapes) in [
      ("aten::mm", "[[50, 1024], [512, 512]]"), ("aten::mm", "[[50]]"), ("aten::bmm", "[[2, 3, 4], [5, 4, 3]]"),
      ("aten::mm", "[[0, 4], [4, 4]]"),
      ("aten::mm", "[[9223372036854775807, 9223372036854775807], [9223372036854775807, 2]]"), ("aten::relu", "[[50, 1024], [1024, 512]]"),
      ("aten::linear", "[[], []]"), ("aten::matmul", "nonsense"),
    ] {
      #expect(try Self.operation(name, shapes) == nil, "\(name) \(shapes)")
    }
  }
}
