import Testing
import TimeBase
import Trace

@testable import Capture
@testable import Execution

/// Counters that a recording took beside it, on their way into the trace.
@Suite struct MetricsResultTests {
  static func gpu(_ index: Int, _ uuid: String, sm: Double?, instances: [(Int, String, Double)] = []) -> GPUReading {
    var gpu = GPUReading(index: index, name: "GPU", uuid: uuid)
    gpu.answers[.smClock] = .value(1_000 + Double(index), source: "NVML")
    if let sm { gpu.answers[.smActive] = .value(sm, source: "GPM") }
    gpu.instances = instances.map { number, uuid, sm in
      GPUReading.Instance(identifier: number, name: "MIG", uuids: [uuid], answers: [.smActive: .value(sm, source: "GPM")])
    }
    return gpu
  }

  static func trace(_ gpus: [GPUReading], _ ordinals: [String: Int64]) -> Trace {
    var trace = Trace()
    MetricsResult(samples: [.init(time: Instant(nanoseconds: 5), gpus: gpus)], failure: nil).add(to: &trace, ordinals: ordinals)
    return trace
  }

  /// Values of a counter by device.
  static func values(_ name: String, in trace: Trace) -> [Int64: [Double]] {
    var found: [Int64: [Double]] = [:]
    for row in 0..<trace.counters.count where trace.names[trace.counters.counter[row]] == name {
      found[trace.counters.device[row], default: []].append(trace.counters.value[row])
    }
    return found
  }

  /// CUDA_VISIBLE_DEVICES=1: CUDA's device 0 is the driver's GPU 1, and the driver's GPU 0 must not be taken for it.
  @Test func anotherGPUIsNotCountedAsTheOneThatRan() {
    let trace = Self.trace([Self.gpu(0, "GPU-a", sm: 3), Self.gpu(1, "GPU-b", sm: 90)], ["GPU-b": 0])
    let values = Self.values("SMs Active [Throughput %]", in: trace)
    #expect(values[0] == [90] && values.count == 2)
    // Without CUDA the driver's own numbers stand.
    let plain = Self.values("SMs Active [Throughput %]", in: Self.trace([Self.gpu(0, "GPU-a", sm: 3), Self.gpu(1, "GPU-b", sm: 90)], [:]))
    #expect(plain == [0: [3], 1: [90]])
  }

  @Test func theInstanceThatAProgramRanInIsNamed() {
    let split = Self.gpu(1, "GPU-b", sm: nil, instances: [(1, "MIG-x", 10), (2, "MIG-y", 80)])
    // CUDA writes "GPU-" before an instance's UUID too.
    let trace = Self.trace([Self.gpu(0, "GPU-a", sm: 3), split], ["GPU-y": 0])
    #expect(GPUInstances.numbers(ofDevice: 0, in: trace) == [2])
    #expect(Self.values(GPUInstances.name(2, "SMs Active [Throughput %]"), in: trace) == [0: [80]])
    // Its board's clock is its own, the other GPU's is not.
    #expect(Self.values("GPC Clock Frequency [MHz]", in: trace)[0] == [1_001])
    #expect(Self.values("SMs Active [Throughput %]", in: trace)[0] == nil)
  }

  /// Two programs, each in an instance of its own, and each calls it device 0.
  @Test func twoInstancesUnderOneNumberAreBothNoted() {
    let split = Self.gpu(0, "GPU-b", sm: nil, instances: [(1, "MIG-x", 10), (2, "MIG-y", 80)])
    #expect(GPUInstances.numbers(ofDevice: 0, in: Self.trace([split], ["GPU-x": 0, "GPU-y": 0])) == [1, 2])
    #expect(GPUInstances.numbers(ofDevice: 0, in: Self.trace([split], [:])) == nil)
  }
}
