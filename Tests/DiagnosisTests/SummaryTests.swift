import Diagnosis
import Testing
import Trace

/// The conventions of `nsys stats`, found by recomputing published tables.
@Suite struct SummaryTests {
  static func trace(_ calls: [(String, Int64)]) -> Trace {
    var trace = Trace()
    var time: Int64 = 1000
    for (name, duration) in calls {
      trace.apiCalls.append(APICall(start: time, end: time + duration, thread: 1, name: trace.names.intern(name)))
      time += duration
    }
    return trace
  }

  @Test func twoPublishedCalls() throws {
    // Two calls of a published table: deviation of a sample, median between the two.
    let summary = Summary(.cudaAPI, of: Self.trace([("cudaMalloc_v3020", 49_313), ("cudaMalloc_v3020", 126_769_697)]))
    let row = try #require(summary.rows.first)
    #expect(row.name == "cudaMalloc")
    #expect(row.count == 2)
    #expect((row.deviationNanoseconds - 89_604_842.8).magnitude < 0.1)
    #expect(row.medianNanoseconds == 63_409_505)
    #expect(row.share == 1)
  }

  @Test func aSecondPublishedTable() throws {
    let row = try #require(Summary(.cudaAPI, of: Self.trace([("poll", 2_971_823), ("poll", 333_015_608)])).rows.first)
    #expect(row.medianNanoseconds == 167_993_715.5)
    #expect((row.deviationNanoseconds - 233_376_198.5).magnitude < 0.1)
  }

  @Test func onlyFourDigitsAreAVersion() {
    let names = ["cudaLaunchKernelExC_v11060", "cudaGetDeviceProperties_v2_v12000", "cudaLaunchKernel_v7000", "v1234", "_v1234", "a_v12x4"]
    let printed = Set(Summary(.cudaAPI, of: Self.trace(names.map { ($0, 5) })).rows.map(\.name))
    #expect(
      printed == ["cudaLaunchKernelExC_v11060", "cudaGetDeviceProperties_v2_v12000", "cudaLaunchKernel", "v1234", "_v1234", "a_v12x4"])
  }

  @Test func namesThatPrintAlikeAreOneRow() throws {
    let summary = Summary(.cudaAPI, of: Self.trace([("a_v3020", 10), ("a_v5000", 30), ("b", 60)]))
    #expect(summary.rows.map(\.name) == ["b", "a"])
    #expect(summary.rows.map(\.share) == [0.6, 0.4])
    #expect(summary.rows.last?.count == 2)
  }

  @Test func oneCallHasNoDeviation() throws {
    let row = try #require(Summary(.cudaAPI, of: Self.trace([("a", 7)])).rows.first)
    #expect(row.deviationNanoseconds == 0)
    #expect((row.medianNanoseconds, row.averageNanoseconds) == (7, 7))
  }

  @Test func eventsOutsideTheWindowAreLeftOut() {
    let trace = Self.trace([("a", 10), ("b", 10), ("c", 10)])
    #expect(Summary(.cudaAPI, of: trace, window: 1010..<1020).rows.map(\.name) == ["b"])
    #expect(Summary(.osRuntime, of: trace).rows.isEmpty)
  }
}
