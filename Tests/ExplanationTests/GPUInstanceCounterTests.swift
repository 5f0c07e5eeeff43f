import Explanation
import Testing
import Trace

/// Counters of GPU instances (MIG): a program runs in one of them, and only that one's are beside its trace.
@Suite struct GPUInstanceCounterTests {
  /// Ten samples of SM active and of memory, in percent, of each instance.
  static func trace(_ instances: [Int: (sm: Double, memory: Double)], whole: Double? = nil, own: [Int] = []) -> Trace {
    var maker = TraceMaker.saturated(kernels: 100)
    maker.trace.gpus = [
      GPUDescription(id: 0, cudaDevice: 0, name: "NVIDIA H100 80GB HBM3 MIG 3g.40gb", smCount: 60, computeMajor: 9, computeMinor: 0)
    ]
    func add(_ name: String, _ value: Double) {
      let id = maker.trace.names.intern(name)
      for time in 0..<10 { maker.trace.counters.append(CounterSample(time: Int64(time) * 100_000, counter: id, device: 0, value: value)) }
    }
    for (number, values) in instances.sorted(by: { $0.key < $1.key }) {
      add(GPUInstances.name(number, "SMs Active [Throughput %]"), values.sm)
      add(GPUInstances.name(number, "DRAM Read and Write Bandwidth [Throughput %]"), values.memory)
    }
    if let whole { add("SMs Active [Throughput %]", whole) }
    add("GPC Clock Frequency [MHz]", 1_900)
    for number in own { GPUInstances.note(number, isDevice: 0, in: &maker.trace) }
    return maker.trace
  }

  /// Means of ten samples, to within their rounding.
  static func shares(_ metrics: GPUMetrics?) -> [PredictedCounter.Counter: Double]? {
    metrics?.shares.mapValues { ($0 * 1e9).rounded() / 1e9 }
  }

  @Test func theOnlyInstancesCountersAreWeighed() throws {
    let explanation = TraceExplanation(of: Self.trace([3: (95, 20)]), name: "")
    let metrics = try #require(explanation.metrics)
    #expect(Self.shares(metrics) == [.smActive: 0.95, .memoryActive: 0.2] && metrics.clockMegahertz == 1_900)
    #expect(metrics.source.contains("GPU instance 3") && metrics.undecidedInstances.isEmpty)
    #expect(explanation.mismatches.isEmpty && !explanation.notes.contains { $0.contains("not weighed") })
  }

  @Test func whatAnInstanceContradictsIsSaid() throws {
    // Kernels fill the slice in the trace; its counter says that hardly an SM held a warp.
    let explanation = TraceExplanation(of: Self.trace([3: (4, 1)]), name: "")
    #expect(explanation.mismatches.contains { $0.counter == .smActive && ($0.observed - 0.04).magnitude < 1e-9 })
  }

  @Test func ofSeveralTheOneThatTheProgramRanInCounts() throws {
    let metrics = try #require(TraceExplanation(of: Self.trace([1: (5, 1), 2: (90, 30)], own: [2]), name: "").metrics)
    #expect(Self.shares(metrics) == [.smActive: 0.9, .memoryActive: 0.3])
  }

  @Test(arguments: [[], [1, 2]]) func whereItIsNotKnownWhichNoneIsWeighedAndThatIsSaid(_ own: [Int]) throws {
    let explanation = TraceExplanation(of: Self.trace([1: (5, 1), 2: (90, 30)], own: own), name: "")
    #expect(explanation.metrics?.shares == [:] && explanation.metrics?.clockMegahertz == 1_900)
    #expect(explanation.mismatches.isEmpty)
    #expect(explanation.notes.contains { $0.contains("GPU instances 1, 2") && $0.contains("not weighed") }, "\(explanation.notes)")
  }

  /// NVIDIA/DCGM, issue 152: a slice's SM active may read above 100 %.
  @Test func aShareAboveAHundredPercentIsAHundred() throws {
    #expect(TraceExplanation(of: Self.trace([0: (140, 250)]), name: "").metrics?.shares == [.smActive: 1, .memoryActive: 1])
  }

  @Test func aNameThatOnlyLooksLikeAnInstancesIsNone() {
    let parsed = GPUInstances.parsed("GPU instance 12: SMs Active")
    #expect(parsed.instance == 12 && parsed.counter == "SMs Active")
    for name in ["GPU instance : SMs Active", "GPU instance x: SMs Active", "GPU instance 5", "GPU instance 99999999999999999999: A", ""] {
      #expect(GPUInstances.parsed(name).instance == nil)
    }
  }

  @Test func aDCGMPageOfSeveralInstancesWeighsNoneOfThem() throws {
    let one = "DCGM_FI_PROF_SM_ACTIVE{gpu=\"0\",GPU_I_PROFILE=\"3g.40gb\",GPU_I_ID=\"1\"} 0.9\nDCGM_FI_DEV_SM_CLOCK{gpu=\"0\"} 1500\n"
    #expect(try GPUMetrics(one, path: "dcgm.txt").shares == [.smActive: 0.9])
    let two = try GPUMetrics(one + "DCGM_FI_PROF_SM_ACTIVE{gpu=\"0\",GPU_I_PROFILE=\"3g.40gb\",GPU_I_ID=\"2\"} 0.1\n", path: "dcgm.txt")
    #expect(two.shares.isEmpty && two.clockMegahertz == 1500 && two.undecidedInstances == [1, 2])
  }
}
