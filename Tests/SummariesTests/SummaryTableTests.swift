import JSONText
import Testing
import Trace

@testable import Summaries

/// What a summary says and how it is written.
@Suite struct SummaryTableTests {
  /// Two processes, two devices, one kernel each launched by a call, one without its launch.
  static let trace: Trace = {
    var trace = Trace()
    let kernel = trace.names.intern("void gemm<4>(int)")
    let short = trace.names.intern("gemm")
    let launch = trace.names.intern("cudaLaunchKernel_v7000")
    let description = trace.intern(KernelDescription(demangledName: kernel, shortName: short, grid: (4, 2, 1), block: (128, 1, 1)))
    for number in [Int64(10), 11] {
      let stream = trace.intern(StreamDescription(process: GlobalID.process(number), device: number - 10, stream: 7))
      let thread = GlobalID.thread(process: number, thread: number + 100)
      trace.apiCalls.append(APICall(start: 1000, end: 1100, thread: thread, correlation: 5, name: launch))
      trace.apiCalls.append(APICall(start: 2000, end: 2300, thread: thread, correlation: 6, name: launch))
      trace.kernels.append(KernelEvent(start: 1400, end: 1500, description: description, stream: stream, correlation: 5))
      trace.kernels.append(KernelEvent(start: 2200, end: 2250, description: description, stream: stream, correlation: 6))
      trace.kernels.append(KernelEvent(start: 5000, end: 5010, description: description, stream: stream, correlation: 99))
    }
    trace.ranges.append(RangeEvent(start: 900, end: 1450, text: trace.names.intern("step")))
    trace.ranges.append(RangeEvent(start: 1400, end: 1600, text: trace.names.intern("step")))
    return trace
  }()

  static func cells(_ table: SummaryTable, _ key: String) -> [SummaryTable.Value] {
    table.column(key).map { index in table.rows.map { $0[index] } } ?? []
  }

  @Test func launchesQueuesAndExecutionsAreToldApart() {
    let table = SummaryTable(SummaryRequest(.kernelExecution), of: Self.trace)
    #expect(table.rows.count == 2)
    // The second kernel of each started before its call had returned: no queue time. The third has no call.
    #expect(Self.cells(table, "count") == [.whole(2), .whole(2)] && Self.cells(table, "queuedCount") == [.whole(1), .whole(1)])
    #expect(Self.cells(table, "queueAverageNanoseconds")[0] == .number(300))
    #expect(
      Self.cells(table, "totalMaximumNanoseconds")[0] == .whole(500) && Self.cells(table, "totalMinimumNanoseconds")[0] == .whole(300))
    #expect(
      Self.cells(table, "apiAverageNanoseconds")[0] == .number(200) && Self.cells(table, "kernelAverageNanoseconds")[0] == .number(75))
    #expect(Self.cells(table, "processID") == [.whole(10), .whole(11)] && Self.cells(table, "threadID") == [.whole(110), .whole(111)])
    #expect(Self.cells(table, "api")[0] == .text("cudaLaunchKernel") && Self.cells(table, "device") == [.whole(0), .whole(1)])
  }

  @Test func filtersChooseProcessDeviceAndWindow() {
    func instances(_ filter: SummaryFilter) -> [SummaryTable.Value] {
      Self.cells(SummaryTable(SummaryRequest(.kernels), of: Self.trace, filter: filter), "instances")
    }
    #expect(instances(SummaryFilter()) == [.whole(6)])
    #expect(instances(SummaryFilter(device: 1)) == [.whole(3)])
    #expect(instances(SummaryFilter(process: GlobalID.process(10))) == [.whole(3)])
    #expect(instances(SummaryFilter(windows: [0..<1500])) == [.whole(2)])
    #expect(instances(SummaryFilter(windows: [4000..<6000, 0..<1500])) == [.whole(4)])
    #expect(instances(SummaryFilter(windows: [])) == [])
    #expect(SummaryFilter.windows(ofRange: "step", in: Self.trace) == [900..<1600])
    #expect(SummaryFilter.windows(ofRange: "other", in: Self.trace).isEmpty)
    var numbered = Trace()
    for (index, name) in ["ProfilerStep#3", "ProfilerStep#4", "ProfilerStep#x", "#5", "batch 250", "aten::mm, op_id = 7"].enumerated() {
      let start = Int64(index) * 100
      numbered.ranges.append(RangeEvent(start: start, end: start + 50, thread: 1 << 24 | 1, text: numbered.names.intern(name)))
    }
    let steps = SummaryFilter.ranges(named: "ProfilerStep", in: numbered)
    #expect(steps.windows == [0..<50, 100..<150] && steps.count == 2)
    // The name as it stands comes first.
    #expect(SummaryFilter.ranges(named: "ProfilerStep#4", in: numbered).count == 1)
    #expect(
      SummaryFilter.rangeNames(in: numbered) == ["ProfilerStep", "#5", "ProfilerStep#x", "aten::mm", "batch"]
    )
    #expect(
      SummaryFilter.ranges(named: "batch", in: numbered).windows == [400..<450]
        && SummaryFilter.ranges(named: "aten::mm", in: numbered).count == 1)
    let calls = SummaryTable(SummaryRequest(.apiCalls), of: Self.trace, filter: SummaryFilter(process: GlobalID.process(10)))
    #expect(Self.cells(calls, "calls") == [.whole(2)])
  }

  @Test func requestsKnowNamesOfAllYears() throws {
    #expect(try SummaryRequest(parsing: "cuda_gpu_kern_sum:base") == SummaryRequest(.kernels, kernelName: .base))
    #expect(try SummaryRequest(parsing: "gpukernsum").report == .kernels && SummaryRequest(parsing: "cudaapisum").report == .apiCalls)
    #expect(throws: SummaryRequestError.self) { try SummaryRequest(parsing: "cuda_gpu_kern_sum:nonsense") }
    #expect(throws: SummaryRequestError.self) { try SummaryRequest(parsing: "") }
    for report in SummaryReport.allCases {
      #expect(try SummaryRequest(parsing: report.rawValue).report == report)
      // Every report can be made of any trace, the empty one too.
      let table = SummaryTable(SummaryRequest(report), of: Self.trace)
      #expect(table.rows.allSatisfy { $0.count == table.columns.count }, "\(report)")
      #expect(Set(table.columns.map(\.key)).count == table.columns.count, "\(report)")
      #expect(SummaryTable(SummaryRequest(report), of: Trace()).rows.isEmpty, "\(report)")
    }
  }

  @Test func csvIsQuotedAndHeadedAsNsysDoes() {
    var trace = Trace()
    let name = trace.names.intern("f<int, \"x\">")
    let call = APICall(start: 0, end: 49_313, name: name)
    trace.apiCalls.append(call)
    trace.apiCalls.append(APICall(start: 0, end: 126_769_697, name: name))
    let csv = SummaryTable(SummaryRequest(.apiCalls), of: trace).csv()
    #expect(
      csv == """
        Time (%),Total Time (ns),Num Calls,Avg (ns),Med (ns),Min (ns),Max (ns),StdDev (ns),Name
        100.0,126819010,2,63409505.0,63409505.0,49313,126769697,89604842.8,"f<int, ""x"">"

        """)
  }

  @Test func jsonHasKeysWithUnitsAndSharesBelowOne() throws {
    let json = SummaryTable(SummaryRequest(.kernels), of: Self.trace).json()
    let row = try #require(json["rows"]?.arrayValue?.first)
    #expect(row["timeShare"] == .number(1) && row["instances"] == .integer(6) && row["name"] == .string("void gemm<4>(int)"))
  }

  @Test func tablesForPeopleAlignAndSeparateThousands() {
    let text = SummaryTable(SummaryRequest(.memorySize), of: Self.trace).text(.table)
    #expect(text.contains("(no rows)"))
    let kernels = SummaryTable(SummaryRequest(.kernelGeometry), of: Self.trace).text(.table)
    #expect(kernels.contains("4 2 1") && kernels.contains("128 1 1"))
    #expect(!kernels.split(separator: "\n").contains { $0.hasSuffix(" ") })
  }

  @Test func medianAndDeviationEqualThePlainOnes() throws {
    var state: UInt64 = 88_172_645_463_325_252
    func next() -> Int64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int64(truncatingIfNeeded: state >> 40)
    }
    for count in [1, 2, 3, 4, 5, 10, 101, 1000] {
      for spread in [Int64(1), 3, 1 << 20] {
        let values = (0..<count).map { _ in next() % spread }
        let sorted = values.sorted()
        let median = (Double(sorted[(count - 1) / 2]) + Double(sorted[count / 2])) / 2
        let statistics = try #require(Statistics(values))
        #expect(statistics.median == median && statistics.minimum == sorted[0] && statistics.maximum == sorted[count - 1])
      }
    }
    #expect(Statistics([]) == nil)
    #expect(Statistics(Array(repeating: 5, count: 3000))?.median == 5)
  }
}
