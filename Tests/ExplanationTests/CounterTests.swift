import Diagnosis
import Explanation
import FileAccess
import JSONText
import Testing
import Trace
import TraceFormats

@Suite struct CounterTests {
  @Test func graphicsActiveAddsTheEnginesOwnTimePerStartFromIdle() throws {
    // 200 kernels of 5 us, 20 us apart, in 10 us more per step: each starts on an idle device.
    let explanation = TraceExplanation(of: TraceMaker.eager(steps: 20, layers: 10).trace, name: "eager")
    let device = try #require(explanation.device)
    let graphics = try #require(device.counters[.graphicsActive])
    let busy = Double(device.busy.kernel) / Double(device.wall)
    #expect(device.busy.kernelStartsFromIdle == 200)
    let expected = busy + 200 * CounterConstants.engineNanosecondsPerStart / Double(device.wall)
    #expect((graphics.value - expected).magnitude < 1e-9)
    #expect(graphics.interval?.contains(expected) == true)
    #expect(graphics.kind == .estimated)
  }

  @Test func aShortGapCountsWholeAndNoMore() throws {
    var maker = TraceMaker()
    for index in 0..<100 {
      maker.kernel(launch: (Double(index), Double(index) + 0.5), 200 + Double(index) * 5.5, 205 + Double(index) * 5.5)
    }
    let device = try #require(TraceExplanation(of: maker.trace, name: "queued").device)
    let graphics = try #require(device.counters[.graphicsActive])
    // Gaps of 0.5 us: the engine never turns off.
    #expect(graphics.value > 0.99)
  }

  @Test func theUnprofiledRateReplacesTheTracesOwn() throws {
    var context = TraceContext()
    let maker = TraceMaker.eager(steps: 50, layers: 10)
    let plain = try #require(TraceExplanation(of: maker.trace, name: "").device)
    // Each step takes 210 us here; without the profiler it would take 150.
    context.rate = 1e6 / 150
    let device = try #require(TraceExplanation(of: maker.trace, name: "", context: context).device)
    #expect(device.counters.rate?.stepsInTrace == 50)
    let expected = 50e-6 / 150e-6
    #expect((device.counters.gpuBusy.value - expected).magnitude < 0.01)
    #expect(device.counters.gpuBusy.kind == .estimated)
    #expect(plain.counters.gpuBusy.kind == .measured)
    // Without it the report says that busy is a lower bound, and by how much it could be off.
    #expect((plain.counters.upperBound ?? 0) > plain.counters.gpuBusy.value)
    #expect(plain.counters.basis.contains("lower bound"))
  }

  @Test func longCopiesCountAFifthForNvidiaSMIAndNothingForTheEngine() throws {
    var maker = TraceMaker()
    for index in 0..<20 {
      let start = Double(index) * 1_000
      maker.copy(bytes: 10 << 20, pageable: true, call: (start, start + 900), start + 5, start + 905)
      maker.kernel(launch: (start + 910, start + 915), start + 920, start + 925)
    }
    let device = try #require(TraceExplanation(of: maker.trace, name: "").device)
    let smi = try #require(device.counters[.nvidiaSMI])
    let graphics = try #require(device.counters[.graphicsActive])
    #expect((0.1...0.25).contains(smi.value))
    #expect(graphics.value < 0.02)
  }

  @Test func oneBlockAllTheTimeIsBusyAndNotActive() throws {
    var maker = TraceMaker()
    for index in 0..<30 {
      maker.kernel(
        "spin_kernel", launch: (Double(index), Double(index) + 0.5), 100 + Double(index) * 2_001, 2_100 + Double(index) * 2_001, grid: 1)
    }
    let device = try #require(TraceExplanation(of: maker.trace, name: "").device)
    let sm = try #require(device.counters[.smActive])
    #expect(device.counters[.graphicsActive].map { $0.value > 0.98 } == true)
    #expect((sm.value - 1.0 / 132).magnitude < 0.001)
    #expect(device.counters[.tensorActive]?.value == 0)
  }

  @Test func stepsAreACommonDivisorOfTheCounts() throws {
    let second: Int64 = 1_000_000_000
    #expect(StepRate(unprofiledPerSecond: 1_344, counts: [2_740, 2_740, 137], spanNanoseconds: 119_789_000)?.stepsInTrace == 137)
    // Identical layers: 1,960 is a divisor too, and would mean 16,000 steps per second.
    #expect(StepRate(unprofiledPerSecond: 798, counts: [1_960, 1_960], spanNanoseconds: 120_226_000)?.stepsInTrace == 98)
    // A window that cuts a step: nearly multiples.
    #expect(StepRate(unprofiledPerSecond: 110, counts: [2_010, 2_010, 100], spanNanoseconds: second)?.stepsInTrace == 100)
    #expect(StepRate(unprofiledPerSecond: 1, counts: [997, 1_009], spanNanoseconds: second / 1_000) == nil)
    #expect(StepRate(unprofiledPerSecond: 0, counts: [10], spanNanoseconds: second) == nil)
    #expect(StepRate(unprofiledPerSecond: 10, counts: [], spanNanoseconds: second) == nil)
  }

  /// Recordings with the counters that were read beside them, where they are at hand.
  static let folder = "../shared/gpu"

  @Test(.enabled(if: Files.kind(of: CounterTests.folder) == .folder))
  func predictionsMeetTheCountersReadBesideRealRecordings() throws {
    let document = try JSONValue.parse(try Files.readText("\(Self.folder)/counters.json"))
    var checked = 0
    for entry in try #require(document.arrayValue) {
      let name = try #require(entry["name"]?.stringValue)
      let path = "\(Self.folder)/traces/\(name).json.gz"
      guard Files.kind(of: path) == .file else { continue }
      var context = TraceContext()
      context.rate = entry["steps_per_s"]?.doubleValue
      let explanation = TraceExplanation(of: try TraceImporters.read(path).trace, name: name, context: context)
      let device = try #require(explanation.device)
      let overlaps = device.busy.kernelsOverlap
      func check(_ counter: PredictedCounter.Counter, _ key: String, points: Double) throws {
        let measured = try #require(entry["gpm"]?[key]?.doubleValue)
        let predicted = try #require(device.counters[counter]).value * 100
        let limit = (1...20).contains(measured) ? min(points, 0.25 * measured) : points
        #expect((predicted - measured).magnitude <= limit, "\(name): \(key) \(measured) measured, \(predicted) predicted")
      }
      try check(.graphicsActive, "graphics", points: overlaps ? 5 : 3)
      try check(.smActive, "sm", points: overlaps ? 8 : 5)
      try check(.tensorActive, "tensor", points: 5)
      #expect(device.counters.rate?.stepsInTrace == entry["trace_steps"]?.doubleValue, "\(name): steps")
      if name == "pageable-copy" { #expect((10...25).contains(try #require(device.counters[.nvidiaSMI]).value * 100)) }
      checked += 1
    }
    #expect(checked >= 10)
  }
}
