import Diagnosis
import Testing
import Trace
import TraceFormats

@testable import Explanation

/// Traces of situations that a first line must not miss: graphs recorded whole, two GPUs, collectives, generation, a program that starts.
@Suite struct SituationTests {
  func explain(_ maker: TraceMaker, _ context: TraceContext = TraceContext()) -> TraceExplanation {
    TraceExplanation(of: maker.trace, name: "made up", context: context)
  }

  func graphs(count: Int, every period: Double, lasting length: Double) -> TraceMaker {
    var maker = TraceMaker()
    for index in 0..<count {
      let start = 100 + Double(index) * period
      maker.call("cudaGraphLaunch_v10000", start - 20, start - 10, correlation: Int64(10_000 + index))
      maker.call("cudaStreamSynchronize_v3020", start - 5, start + length + 5)
      maker.trace.graphExecutions.append(
        GraphExecution(
          start: Int64(start * 1e3), end: Int64((start + length) * 1e3), stream: maker.trace.intern(maker.stream(7)),
          correlation: Int64(10_000 + index)))
    }
    return maker
  }

  @Test func graphsRecordedWholeAreGPUWork() throws {
    let explanation = explain(graphs(count: 200, every: 500, lasting: 450))
    let device = try #require(explanation.device)
    #expect(device.busy.graphs == 200 && device.busy.kernel == 200 * 450_000)
    let verdict = try #require(explanation.verdict)
    #expect(verdict.regime == .deviceBound && verdict.confidence == .medium)
    #expect(verdict.title.contains("CUDA graphs run 90 % of the time; their kernels are not in the trace"))
    #expect(verdict.confirm.contains("--cuda-graph-trace=node"))
    // What a graph hides is unknown, not nought.
    #expect(device.counters[.smActive] == nil && device.counters[.tensorActive] == nil && device.counters[.nvidiaSMI] != nil)
    #expect(explanation.answer.contains { $0.contains("200 CUDA graphs recorded whole") })
    #expect(explanation.answer.allSatisfy { !$0.contains("hold a block") })
  }

  @Test func graphsRecordedWholeCountTheStepsOfARate() throws {
    var context = TraceContext()
    context.rate = 2_500
    let device = try #require(explain(graphs(count: 200, every: 500, lasting: 300), context).device)
    #expect(device.counters.rate?.stepsInTrace == 200)
    // 300 us in each of 400.
    #expect((device.counters.gpuBusy.value - 0.75).magnitude < 0.01)
    let run = try #require(Comparison.Run(explain(graphs(count: 200, every: 500, lasting: 300))))
    #expect(run.values["kernel_time"]?.value == 60e6)
  }

  @Test func aGraphThatIsLaunchedLateIsNotToldToBecomeAGraph() throws {
    var maker = TraceMaker()
    for index in 0..<100 {
      let start = 100 + Double(index) * 200
      maker.call("cudaGraphLaunch_v10000", start - 90, start - 5, correlation: Int64(10_000 + index))
      maker.trace.graphExecutions.append(
        GraphExecution(
          start: Int64(start * 1e3), end: Int64((start + 100) * 1e3), stream: maker.trace.intern(maker.stream(7)),
          correlation: Int64(10_000 + index)))
    }
    let verdict = try #require(explain(maker).verdict)
    #expect(verdict.regime == .launchBound && verdict.title.contains("CUDA graphs to be launched"))
    #expect(!verdict.confirm.contains("reduce-overhead"))
  }

  @Test func otherGPUsAreNamedAndUnevenWorkIsSaid() throws {
    var maker = TraceMaker()
    for index in 0..<100 {
      let start = Double(index) * 101
      maker.kernel(launch: (Double(index) * 5, Double(index) * 5 + 3), 500 + start, 600 + start)
      if index % 10 == 0 { maker.kernel(launch: (500 + start, 503 + start), 510 + start, 520 + start, stream: 9, device: 1) }
    }
    let explanation = explain(maker)
    let line = try #require(explanation.answer.first { $0.hasPrefix("GPUs") })
    #expect(line.contains("GPU 0 (this one) 99 %") && line.contains("GPU 1 1.0 %"))
    #expect(explanation.answer.joined(separator: " ").contains("uneven"))
  }

  @Test func gpusThatTakeTurnsAreNotLaunchBound() throws {
    var maker = TraceMaker()
    for index in 0..<60 {
      let start = 1_000 + Double(index) * 1_000
      // Launched while the other one works, long before it may run.
      maker.thread = 1 << 24 | Int64(7 + index % 2)
      maker.kernel(launch: (start - 900, start - 895), start, start + 990, stream: Int64(7 + index % 2), device: Int64(index % 2))
    }
    let explanation = explain(maker)
    let verdict = try #require(explanation.verdict)
    #expect(verdict.title.contains("take turns") && verdict.regime == nil && !verdict.isUpstream)
    // A replay does not know that they wait for each other: nothing is claimed.
    #expect(explanation.findings.allSatisfy { $0.recommendations.isEmpty })
    #expect(explanation.device?.idle[.dependency] ?? 0 > 20_000_000)
  }

  @Test func collectivesWithNothingBesideThemAreCommunication() throws {
    var maker = TraceMaker()
    for index in 0..<40 {
      let start = 1_000 + Double(index) * 2_000
      for part in 0..<10 {
        let time = start + Double(part) * 100
        maker.kernel(launch: (start - 900 + Double(part), start - 899.5 + Double(part)), time, time + 99)
      }
      maker.kernel(
        "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)", launch: (start - 800, start - 799), start + 1_000,
        start + 1_998, grid: 24, stream: 20)
    }
    let explanation = explain(maker)
    #expect(try #require(explanation.verdict).title.hasPrefix("communication-bound: 50 %"))
    #expect(explanation.device?.shares.communicationAlone == Int64(40 * 998_000))
  }

  @Test func theHostBetweenDecodeStepsIsNamed() throws {
    var maker = TraceMaker()
    var time = 1_000.0
    for _ in 0..<60 {
      for layer in 0..<20 {
        let start = time + Double(layer) * 100
        maker.kernel(
          layer % 2 == 0 ? "void flash_fwd_splitkv_kernel<128>(Params)" : "nvjet_sm90_hsh_64x8_64x16_4x2_h_bz_TNT",
          launch: (time - 50 + Double(layer), time - 49.5 + Double(layer)), start, start + 99)
      }
      maker.copy(bytes: 64, direction: 2, call: (time - 20, time - 18), time + 2_000, time + 2_002)
      maker.call("cudaEventSynchronize_v3020", time - 10, time + 2_008)
      time += 3_500
    }
    let explanation = explain(maker)
    let verdict = try #require(explanation.verdict)
    #expect(verdict.named == .HR401 && verdict.title.hasPrefix("decode loop"))
    let finding = try #require(explanation.findings.first?.found.first { $0.code == .HR401 })
    #expect(finding.gain.change.map { $0 > 0.5 && $0 < 0.8 } == true)
    #expect(explanation.findings.first?.found.contains { $0.code == .HR134 } == false)
  }

  @Test func aProgramThatStartsUpHasNoGains() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 5), 8, 20)
    maker.call("cudaFree_v3020", 30, 200_000)
    for index in 0..<60 {
      let start = 200_100 + Double(index) * 50
      maker.kernel(launch: (start, start + 5), start + 8, start + 20)
    }
    let explanation = explain(maker)
    let verdict = try #require(explanation.verdict)
    #expect(verdict.regime == .notSteady && verdict.title.contains("one call of cudaFree takes 98 % of the trace"))
    #expect(verdict.confirm.contains("--from 0.2"))
    #expect(explanation.findings.first?.found.allSatisfy { $0.gain.change == nil } == true)
    #expect(explanation.answer.contains { $0.hasPrefix("Headroom   unknown") })
  }

  /// Products of 8 x side by side x side in fp16, 35 us each: of 8,192 the weights are 134 MB, 28 us at an H200's 4.8 TB/s.
  private static func products(side: Int) -> TraceMaker {
    var maker = TraceMaker()
    let shapes = maker.trace.names.intern("[[8, \(side)], [\(side), \(side)]]")
    let (name, types) = (maker.trace.names.intern("aten::mm"), maker.trace.names.intern("c10::Half"))
    for index in 0..<200 {
      let launch = Double(index) * 10
      maker.trace.operators.append(
        OperatorEvent(
          start: Int64(launch * 1e3), end: Int64((launch + 8) * 1e3), thread: maker.thread, name: name, inputShapes: shapes,
          inputTypes: types))
      maker.kernel(
        "nvjet_sm90_hsh_64x8_64x16_2x1_v_bz_TNT", launch: (launch + 2, launch + 5), 100 + Double(index) * 36, 135 + Double(index) * 36,
        grid: 128)
    }
    return maker
  }

  @Test func productsThatStreamTheirWeightsAreMemoryBound() throws {
    let maker = Self.products(side: 8192)
    let explanation = explain(maker)
    let products = try #require(explanation.device?.products)
    #expect(products.rows.count == 1 && products.streamingNanoseconds == 200 * 35_000, "\(products.rows)")
    #expect(explanation.verdict?.regime == .memoryBound && explanation.verdict?.title.contains("stream their weights") == true)
    #expect(explanation.findings.first?.found.contains { $0.code == .HR202 } == true)
  }

  /// A step's weights against L2, from the shapes of its products: 134 MB do not fit into an H200's 50 MB, 2 MB do.
  @Test(arguments: [(8192, true), (1024, false)])
  func weightsBeyondL2AreABound(side: Int, isFound: Bool) throws {
    let found = try #require(explain(Self.products(side: side)).findings.first).found.first { $0.code == .HR206 }
    #expect((found != nil) == isFound)
    // The reading takes 28 of a period of 36 us: without it the same work takes 8.
    if let found {
      guard case .atMost(let figure) = found.gain else { return #expect(Bool(false), "\(found.gain)") }
      #expect((figure.value - (36 / 8.0 - 1)).magnitude < 0.2)
    }
  }

  @Test func pagesOfUnifiedMemoryAreNamed() throws {
    var maker = TraceMaker()
    for index in 0..<40 {
      let start = Double(index) * 1_000
      maker.copy(bytes: 2 << 20, direction: 11, call: (start, start + 2), start + 10, start + 800)
      maker.kernel(launch: (start + 2, start + 6), start + 810, start + 990)
    }
    let explanation = explain(maker)
    #expect(explanation.verdict?.regime == .transferBound && explanation.verdict?.title.contains("unified memory") == true)
    #expect(explanation.verdict?.confirm.contains("cudaMemPrefetchAsync") == true)
    #expect(explanation.device?.copies.rows.first?.name == "unified memory to device")
  }

  @Test func kernelsThatWaitForTheirPagesAreNotCalledMemoryBound() throws {
    var maker = TraceMaker()
    for index in 0..<40 {
      let start = Double(index) * 1_000
      maker.kernel(
        "void at::native::vectorized_elementwise_kernel<4>(int)", launch: (start, start + 4), start + 10, start + 900, grid: 1_000)
      maker.copy(bytes: 2 << 20, direction: 11, call: (start + 5, start + 6), start + 20, start + 880)
    }
    let verdict = try #require(explain(maker).verdict)
    #expect(verdict.regime == .transferBound && verdict.title.contains("kernels wait for them"))
  }

  @Test func callsThatAllocateInTheLoopHaveAFix() throws {
    var maker = TraceMaker()
    for index in 0..<60 {
      let start = Double(index) * 300
      maker.call("cudaMalloc_v3020", start + 15, start + 240)
      maker.kernel(launch: (start + 250, start + 254), start + 257, start + 310)
    }
    let explanation = explain(maker)
    #expect(explanation.verdict?.title.contains("most for cudaMalloc") == true)
    let fix = try #require(explanation.findings.first?.recommendations.first { $0.code == .HR134 })
    #expect(fix.fix.contains("cudaMallocAsync") && (fix.gain.change ?? 0) > 1)
  }

  @Test func emptyLastWavesAreNamed() throws {
    var maker = TraceMaker()
    // 150 blocks, one per SM at 168 registers and 384 threads: 132 and then 18.
    for index in 0..<100 {
      maker.kernel(
        "my_kernel", launch: (Double(index), Double(index) + 0.5), 200 + Double(index) * 101, 300 + Double(index) * 101, grid: 150)
    }
    let explanation = explain(maker)
    #expect(try #require(explanation.verdict).title.hasPrefix("wave quantization: 43 %"))
    #expect(explanation.findings.first?.found.first { $0.code == .HR205 }?.seen.map(\.text).joined().contains("132 or 264 blocks") == true)
  }

  @Test func aLastWaveThatEverySMSharesIsNoLoss() throws {
    var maker = TraceMaker()
    // Five blocks for each SM, four at a time: the last runs four times as fast.
    for index in 0..<100 {
      let begin = 200 + Double(index) * 101
      maker.kernel("my_kernel", launch: (Double(index), Double(index) + 0.5), begin, begin + 100, grid: 660, registers: 40)
    }
    let explanation = explain(maker)
    #expect(try #require(explanation.device?.kernels.slotEfficiency) < 0.8)
    #expect(explanation.findings.first?.found.contains { $0.code == .HR205 } == false)
    #expect(try #require(explanation.verdict).title.hasPrefix("wave quantization") == false)
  }

  @Test func oneKernelIsTooLittle() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 5), 8, 108)
    let explanation = explain(maker)
    #expect(explanation.verdict?.confidence == .inconclusive)
    #expect(explanation.answer.first == "Inconclusive: too little in the trace: 1 kernel, 0 copies and fills")
    #expect(!explanation.answer.contains { $0.hasPrefix("No effect") })
  }

  @Test func aTraceWithoutCallsSaysThatTheyAreMissing() throws {
    var maker = TraceMaker()
    for index in 0..<100 { maker.kernel(launch: nil, Double(index) * 100, Double(index) * 100 + 20) }
    let explanation = explain(maker)
    #expect(explanation.headline.hasPrefix("Inconclusive: the trace holds no CUDA calls"))
    #expect(explanation.verdict?.confirm.contains("record the calls too") == true)
  }

  @Test func anAMDBoardIsSpokenToInItsOwnWords() throws {
    var maker = TraceMaker(gpu: "AMD Instinct MI300X", smCount: 304)
    for index in 0..<200 {
      let start = Double(index) * 20
      maker.kernel(
        "Cijk_Alik_Bljk_HHS_BH_MT128x128x32_MI16x16x16x1_SN", launch: (start, start + 6), start + 8, start + 14, call: "hipLaunchKernel")
    }
    let explanation = explain(maker)
    let text = explanation.answer.joined(separator: " ")
    #expect(!text.contains("nvidia-smi") && !text.contains("DCGM") && !text.contains("CUDA"))
    #expect(text.contains("counters are modelled for NVIDIA's GPUs only"))
    #expect(text.contains("HIP graph") && text.contains("of CUs hold a block"))
  }

  @Test func processesThatShareAGPUAreNamed() throws {
    var maker = TraceMaker()
    for index in 0..<100 {
      maker.kernel(launch: (Double(index) * 10, Double(index) * 10 + 3), 50 + Double(index) * 10, 58 + Double(index) * 10)
    }
    let other = maker.trace.intern(StreamDescription(process: 2 << 24, device: 0, stream: 7))
    for row in stride(from: 0, to: 100, by: 4) { maker.trace.kernels.stream[row] = other }
    let explanation = explain(maker)
    #expect(explanation.notes.contains { $0.contains("2 processes work on it, by kernel time: 1 75 %, 2 25 %") })
    #expect(explanation.answer.joined(separator: " ").contains("of 2 processes"))
  }

  @Test func whatATraceWithoutGPUWorkHoldsIsSaidWithWhatReadsIt() {
    var trace = Trace()
    trace.run["source"] = "kineto"
    for index in 0..<3 {
      trace.operators.append(
        OperatorEvent(
          start: Int64(index) * 1_000, end: Int64(index) * 1_000 + 900, thread: 1 << 24 | 1, name: trace.names.intern("aten::mm")))
    }
    let explanation = TraceExplanation(of: trace, name: "cpu only")
    #expect(explanation.refusal == "no GPU work in the trace: 3 operators on the CPU and no kernel, copy or fill")
    #expect(
      explanation.answer.last?.contains("ProfilerActivity.CUDA") == true || explanation.answer.joined().contains("ProfilerActivity.CUDA"))
  }

  @Test func aWindowOfSeveralPartsHoldsTheirTimeAlone() throws {
    let maker = TraceMaker.eager(steps: 40, layers: 20)
    // The first 200 us of every second step: a step takes 410.
    let windows: [Range<Int64>] = (0..<20).map { (index: Int64) -> Range<Int64> in
      let start = index * 820_000
      return start..<start + 200_000
    }
    var context = TraceContext()
    (context.windows, context.windowText) = (windows, "while \"step\" was open (20 ranges)")
    let explanation = explain(maker, context)
    let device = try #require(explanation.device)
    #expect(device.wall == 20 * 200_000)
    // Ten kernels of 5 us in each.
    #expect(device.busy.kernel == 20 * 10 * 5_000)
    #expect(device.idle.total == device.wall - device.busy.device)
    #expect(device.idle.byCause.values.reduce(0, +) == device.idle.total)
    // Also the stretch up to a window's end is given to what the device waited for then.
    #expect(device.idle.byCause[.launchNotRecorded] == nil)
    #expect(explanation.verdict?.regime == .launchBound)
    #expect(explanation.answer.contains { $0.hasPrefix("Window     only while \"step\" was open (20 ranges)") })
    #expect(explanation.findings.first?.found.allSatisfy { if case .replayed = $0.gain { false } else { true } } == true)
  }

  @Test func aKernelAcrossWindowsCountsInEachAsFarAsItLies() throws {
    var maker = TraceMaker()
    maker.kernel(launch: (0, 5), 10, 110)
    maker.kernel(launch: (100, 105), 200, 210)
    let activity = try #require(DeviceActivity.all(of: maker.trace, windows: [0..<50_000, 60_000..<120_000]).first)
    #expect(activity.events.map { $0.end - $0.start } == [40_000, 50_000])
    #expect(activity.wall == 110_000)
    var gaps: [Range<Int64>] = []
    activity.eachGap { gap, _, after in
      gaps.append(gap)
      #expect(after != nil)
    }
    #expect(gaps == [0..<10_000, 110_000..<120_000])
    #expect(DeviceActivity.all(of: maker.trace, windows: []).isEmpty)
  }

  @Test func workThatRunsBehindItsWindowIsSaid() {
    var maker = TraceMaker()
    for index in 0..<100 { maker.kernel(launch: (Double(index), Double(index) + 0.5), 50 + Double(index) * 100, 150 + Double(index) * 100) }
    var context = TraceContext()
    (context.windows, context.windowText) = ([0..<1_000_000], "up to 1 ms")
    #expect(explain(maker, context).notes.contains { $0.contains("runs after it: the GPU is behind its host") })
  }

  /// Kernels that a host launches one by one, with pages that it reads back by touching them.
  func unifiedMemory(steps: Int, isRead: Bool) -> TraceMaker {
    var maker = TraceMaker()
    for index in 0..<steps {
      let start = Double(index) * 1_500
      maker.kernel(launch: (start, start + 4), start + 6, start + 400, grid: 1_056)
      maker.call("cudaDeviceSynchronize", start + 5, start + 402)
      guard isRead else { continue }
      maker.trace.copies.append(
        CopyEvent(
          start: Int64((start + 800) * 1e3), end: Int64((start + 900) * 1e3), stream: maker.trace.intern(maker.stream(7)), bytes: 2 << 20,
          direction: 12, sourceKind: 4, destinationKind: 4))
    }
    return maker
  }

  @Test func idleTimeBeforePagesThatTheHostTouchesIsTheHosts() throws {
    let explanation = explain(unifiedMemory(steps: 40, isRead: true))
    let device = try #require(explanation.device)
    #expect(device.idle.byCause[.launchNotRecorded] == nil)
    #expect(device.unlinked == 0)
    // 400 us before each copy and 600 behind it, but for the last.
    #expect(device.idle.total == 40 * 400_000 + 39 * 606_000)
    #expect(device.idle.byCause.values.reduce(0, +) == device.idle.total)
    #expect(explanation.notes.allSatisfy { !$0.contains("no launch") })
  }

  @Test func aDamagedFileIsNoBasisForCertainty() throws {
    let maker = TraceMaker.eager(steps: 40, layers: 20)
    var context = TraceContext()
    #expect(explain(maker, context).verdict?.confidence == .high)
    context.isDamaged = true
    let verdict = try #require(explain(maker, context).verdict)
    #expect(verdict.confidence == .medium && verdict.regime == .launchBound)
    #expect(verdict.evidence.map(\.text).contains { $0.contains("could not be read") })
  }

  @Test func launchesAndKernelsWithoutCorrelationSayThat() throws {
    var maker = TraceMaker.eager(steps: 20, layers: 20)
    for row in maker.trace.kernels.indices { maker.trace.kernels.correlation[row] = Trace.unknown }
    let verdict = try #require(explain(maker).verdict)
    #expect(verdict.confidence == .inconclusive && verdict.title.contains("carry no correlation"))
    #expect(verdict.confirm.contains("args.correlation"))
  }

  @Test func collectivesAreNotTooSmallForTheGPU() throws {
    var maker = TraceMaker()
    var time = 100.0
    for index in 0..<200 {
      maker.kernel(
        "nvjet_sm90_tst_128x128_64x4_2x1_v_bz_TNN", launch: (Double(index) * 4, Double(index) * 4 + 3), time, time + 300, grid: 264)
      time += 301
      maker.kernel(
        "ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
        launch: (Double(index) * 4 + 1, Double(index) * 4 + 2),
        time, time + 900, grid: 24, stream: 20)
      time += 901
    }
    let explanation = explain(maker)
    #expect(explanation.verdict?.title.hasPrefix("communication-bound") == true)
    #expect(explanation.findings.first?.found.contains { $0.code == .HR201 } == false)
    let answer = explanation.answer.joined(separator: "\n")
    #expect(answer.contains("if collectives ran beside other kernels") && !answer.contains("more needs faster kernels"))
  }

  @Test func aMIGSliceIsWeighedAsItself() throws {
    var maker = TraceMaker(gpu: "NVIDIA A100-SXM4-80GB MIG 1g.10gb", smCount: 14)
    maker.trace.gpus[0].totalMemoryBytes = 85 << 30
    for index in 0..<100 {
      maker.kernel(
        "ampere_fp16_s16816gemm_fp16_128x128_ldg8_f2f_stages_64x3_nn", launch: (Double(index) * 5, Double(index) * 5 + 4),
        10 + Double(index) * 101, 110 + Double(index) * 101, grid: 14)
    }
    let explanation = explain(maker)
    let device = try #require(explanation.device)
    #expect(device.facts.isSlice && device.facts.wholeSMCount == 108 && device.facts.smCount == 14)
    #expect(explanation.notes.contains { $0.contains("MIG slice with 14 SMs of the board's 108, 13 %") })
    // As on a whole board with as many blocks per SM: the pipe's share is of the slice.
    var whole = TraceMaker(gpu: "NVIDIA A100-SXM4-80GB", smCount: 108)
    whole.trace.gpus[0].totalMemoryBytes = 85 << 30
    for index in 0..<100 {
      whole.kernel(
        "ampere_fp16_s16816gemm_fp16_128x128_ldg8_f2f_stages_64x3_nn", launch: (Double(index) * 5, Double(index) * 5 + 4),
        10 + Double(index) * 101, 110 + Double(index) * 101, grid: 108)
    }
    let (slice, board) = (try #require(device.counters[.tensorActive]), try #require(explain(whole).device?.counters[.tensorActive]))
    #expect((slice.value - board.value).magnitude < 0.05)
  }

  @Test func anEndlessNameCostsNothing() throws {
    var maker = TraceMaker.eager(steps: 20, layers: 20)
    maker.kernel("void " + String(repeating: "x", count: 4_000_000) + "<int>(float)", launch: (9_000, 9_001), 9_010, 9_015)
    let before = ContinuousClock.now
    #expect(explain(maker).verdict?.regime == .launchBound)
    #expect(ContinuousClock.now - before < .seconds(5))
  }
}
