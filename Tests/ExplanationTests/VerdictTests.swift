import Diagnosis
import Explanation
import FileAccess
import Testing
import Trace
import TraceFormats

@Suite struct TraceVerdictTests {
  func explain(_ maker: TraceMaker) -> TraceExplanation { TraceExplanation(of: maker.trace, name: "made up") }

  @Test func lateLaunchesAreLaunchBound() throws {
    let explanation = explain(TraceMaker.eager(steps: 50, layers: 20))
    let verdict = try #require(explanation.verdict)
    #expect(verdict.regime == .launchBound)
    #expect(verdict.confidence == .high)
    let best = try #require(explanation.findings.first?.recommendations.first)
    #expect(best.code == .HR132)
    #expect((best.gain.change ?? 0) > 1)
  }

  @Test func aBusyDeviceIsNotLaunchBoundHoweverMuchTheHostWaits() throws {
    // The host sits in one synchronize call for most of the trace: that costs nothing while the device works.
    let explanation = explain(TraceMaker.saturated(kernels: 200))
    let verdict = try #require(explanation.verdict)
    #expect(verdict.regime == .computeBound || verdict.regime == .deviceBound)
    #expect(verdict.confidence == .high)
    #expect(explanation.findings.first?.found.contains { $0.code == .HR131 || $0.code == .HR134 || $0.code == .HR132 } == false)
    #expect(explanation.answer.contains { $0.hasPrefix("No effect") && $0.contains("CUDA graphs") })
  }

  @Test func silenceBetweenBurstsIsUpstreamAndInconclusiveOfWhere() throws {
    let explanation = explain(TraceMaker.eager(steps: 30, layers: 10, pause: 5_000))
    let verdict = try #require(explanation.verdict)
    #expect(verdict.isUpstream)
    #expect(verdict.regime == nil)
    #expect(verdict.confidence == .medium)
    #expect(verdict.confirm.contains("--triton-trace") || verdict.confirm.contains("profile"))
    // Nothing behind a limit that may lie before the GPU is claimed to raise throughput.
    #expect(explanation.findings.first?.recommendations.allSatisfy { $0.effect != .throughput } == true)
  }

  @Test func aLoadResultDecidesWhatLiesBeforeTheGPU() throws {
    let maker = TraceMaker.eager(steps: 30, layers: 10, pause: 5_000)
    func verdict(clientBound: Bool?, open: Bool?) throws -> TraceVerdict {
      var context = TraceContext()
      context.load = KnownLoad(tool: "headroom", requestsPerSecond: 200, meanMilliseconds: 3, isClientBound: clientBound, isOpen: open)
      return try #require(TraceExplanation(of: maker.trace, name: "", context: context).verdict)
    }
    #expect(try verdict(clientBound: true, open: nil).regime == .clientBound)
    #expect(try verdict(clientBound: true, open: nil).confidence == .high)
    #expect(try verdict(clientBound: false, open: true).regime == .loadLimited)
    // A closed loop whose generator had room may wait for its users or for the front end.
    #expect(try verdict(clientBound: false, open: false).regime == nil)
    #expect(try verdict(clientBound: nil, open: nil).confidence == .medium)
  }

  @Test func aLoadResultSaysNothingOfALaunchBoundProgram() throws {
    var context = TraceContext()
    context.load = KnownLoad(tool: "locust", requestsPerSecond: 2_600, isClientBound: true)
    let verdict = try #require(TraceExplanation(of: TraceMaker.eager(steps: 50, layers: 20).trace, name: "", context: context).verdict)
    #expect(verdict.regime == .launchBound)
  }

  @Test func pageableCopiesAreTransferBoundHoweverBusyTheDevice() throws {
    var maker = TraceMaker()
    for index in 0..<20 {
      let start = Double(index) * 1_000
      maker.copy(bytes: 10 << 20, pageable: true, call: (start, start + 900), start + 5, start + 905)
      maker.kernel(launch: (start + 910, start + 915), start + 920, start + 925)
    }
    let explanation = explain(maker)
    #expect(explanation.verdict?.regime == .transferBound)
    #expect(explanation.verdict?.title.contains("pageable") == true)
    #expect(explanation.findings.first?.found.contains { $0.code == .HR141 } == true)
  }

  @Test func copiesThatFillTheSpanAreNotCalledAGPUThatWorks() throws {
    var maker = TraceMaker()
    for index in 0..<40 {
      let start = Double(index) * 1_000
      maker.copy(bytes: 40 << 20, call: (start, start + 5), start + 10, start + 960)
      maker.kernel(launch: (start + 6, start + 10), start + 962, start + 982)
    }
    let explanation = explain(maker)
    #expect(explanation.verdict?.regime == .transferBound)
    let text = explanation.answer.joined(separator: " ").split(separator: " ").joined(separator: " ")
    #expect(text.contains("without them: kernels need 2.0 % of the time"))
    // Beside kernels of two percent nothing is hidden: what is left is to copy less.
    #expect(text.contains("copy less") && !text.contains("the GPU works nearly all the time; more needs"))
  }

  @Test func theCallThatTheGPUWaitsForIsNamed() throws {
    var maker = TraceMaker()
    for index in 0..<40 {
      let start = Double(index) * 300
      maker.call("cudaMalloc_v3020", start + 15, start + 240)
      maker.call("cudaStreamIsCapturing_v10000", start + 242, start + 246)
      maker.kernel(launch: (start + 250, start + 254), start + 257, start + 310)
    }
    let verdict = try #require(explain(maker).verdict)
    #expect(verdict.title.contains("most for cudaMalloc"))
  }

  @Test func gainsOfAHandfulOfKernelsAreNone() throws {
    let explanation = explain(TraceMaker.eager(steps: 2, layers: 4))
    #expect(explanation.findings.allSatisfy { $0.found.allSatisfy { $0.gain.change == nil } })
  }

  @Test func scalarsReadBackAreUnnecessarySynchronization() throws {
    var maker = TraceMaker()
    var time = 0.0
    for _ in 0..<200 {
      maker.kernel(launch: (time, time + 5), time + 7, time + 12)
      maker.copy(bytes: 4, direction: 2, pageable: true, call: (time + 10, time + 16), time + 18, time + 20)
      maker.call("cudaStreamSynchronize", time + 17, time + 24)
      time += 40
    }
    let explanation = explain(maker)
    #expect(explanation.verdict?.title.hasPrefix("unnecessary synchronization") == true)
    #expect(explanation.findings.first?.recommendations.first?.code == .HR134)
  }

  @Test func oneBlockGridsAreTooSmall() throws {
    var maker = TraceMaker()
    for index in 0..<50 {
      maker.kernel(
        "spin_kernel", launch: (Double(index), Double(index) + 0.5), 100 + Double(index) * 1_001, 1_100 + Double(index) * 1_001, grid: 1)
    }
    #expect(explain(maker).verdict?.regime == .underfilled)
  }

  @Test func fewKernelsAreNeverCertain() throws {
    let verdict = try #require(explain(TraceMaker.eager(steps: 2, layers: 5)).verdict)
    #expect(verdict.confidence < .high)
  }

  @Test func unknownLaunchesCapTheVerdict() throws {
    var maker = TraceMaker()
    for index in 0..<100 { maker.kernel(launch: nil, Double(index) * 100, Double(index) * 100 + 20) }
    let explanation = explain(maker)
    let verdict = try #require(explanation.verdict)
    #expect(verdict.confidence == .inconclusive)
    #expect(verdict.title.hasPrefix("inconclusive"))
    #expect(explanation.findings.first?.refusal != nil)
  }

  @Test func anObservationThatIsNotPredictedIsAMismatch() throws {
    var context = TraceContext()
    context.observed = [.nvidiaSMI: 0.95]
    let maker = TraceMaker.eager(steps: 50, layers: 20)
    let explanation = TraceExplanation(of: maker.trace, name: "", context: context)
    #expect(explanation.mismatches.map(\.counter) == [.nvidiaSMI])
    #expect(explanation.answer.contains { $0.hasPrefix("Mismatch") })
    let predicted = try #require(explanation.device?.counters[.nvidiaSMI]).value
    context.observed = [.nvidiaSMI: predicted]
    #expect(TraceExplanation(of: maker.trace, name: "", context: context).mismatches.isEmpty)
  }

  @Test func linesAreEightyColumnsAndTheSameEachTime() {
    let maker = TraceMaker.eager(steps: 50, layers: 20)
    let lines = explain(maker).answer
    #expect(lines.allSatisfy { $0.count <= 80 })
    #expect(lines == explain(maker).answer)
    #expect(lines.first == "Bottleneck: launch-bound: the GPU waits for the host to launch kernels (high")
    #expect(explain(maker).json == explain(maker).json)
  }

  /// Traces of strangers, where they are at hand: busy shares are those of an independent union, verdicts a reading.
  @Test(
    .enabled(if: Files.kind(of: "../shared/traces") == .folder),
    arguments: [
      ("kineto/h100-bert-small.json.gz", 0.0792, Regime?.some(.launchBound)),
      ("kineto/h100-unlinked-launches.json.gz", 0.919, .some(.memoryBound)),
      ("kineto/mi300-graph-launch.json.gz", 0.998, .some(.memoryBound)), ("kineto/resnet50-top-level-list.json.gz", 0.503, nil),
      ("nsys/a100-cloverleaf-3.13.2.sqlite", 0.887, .some(.deviceBound)),
      ("nsys/h100-2gpu-transfer-3.25.0.sqlite", 0.993, .some(.transferBound)),
    ])
  func strangersTracesHaveTheirLabels(file: String, busy: Double, regime: Regime?) throws {
    let path = "../shared/traces/\(file)"
    guard Files.kind(of: path) == .file else { return }
    let explanation = TraceExplanation(of: try TraceImporters.read(path).trace, name: file)
    let device = try #require(explanation.device)
    let share = Double(device.busy.device) / Double(device.wall)
    #expect((share - busy).magnitude < 0.002, "\(file): \(share)")
    let verdict = try #require(explanation.verdict)
    if let regime {
      let kernelRegimes: [Regime] = [.deviceBound, .memoryBound, .computeBound]
      #expect(
        verdict.regime == regime || kernelRegimes.contains(regime) && verdict.regime.map(kernelRegimes.contains) == true, "\(verdict.title)"
      )
    }
  }
}
