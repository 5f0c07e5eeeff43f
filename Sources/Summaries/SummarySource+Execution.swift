import CheckedNumbers
import Trace

extension SummarySource {
  /// Launch, queue and execution of kernels whose launch is in the trace, by calling thread, device, API and kernel.
  ///
  /// API time is the launch call's; queue time runs from its end to the kernel's start and counts only where it is positive, as a kernel
  /// may start before its launch has returned; total time runs from the call's start to the later of the call's and the kernel's end
  /// (NVIDIA's Post-Collection Analysis Guide, "CUDA Kernel Launch & Exec Time Summary").
  func kernelExecutions() -> (columns: [SummaryTable.Column], rows: [[SummaryTable.Value]]) {
    struct Key: Hashable {
      var thread: Int64
      var device: Int64
      var api: String
      var kernel: String
    }
    let kernels = trace.kernels
    let calls = trace.apiCalls
    let index = CorrelationIndex(trace)
    let streams = trace.streams
    let isIn = streams.map { filter.contains(stream: $0) }
    let names = trace.kernelDescriptions.map { name(of: $0) }
    var apiNames: [NameID: String] = [:]
    var numbers = Numbering<Key>()
    var launches = [Int32](repeating: -1, count: kernels.count)
    var groups = [Int32](repeating: -1, count: kernels.count)
    for row in 0..<kernels.count {
      let place = Int(kernels.stream[row].rawValue)
      guard isIn[place], filter.contains(kernels.start[row]),
        let call = index.apiCall(process: streams[place].process, correlation: kernels.correlation[row])
      else { continue }
      let api = apiNames[calls.name[call]] ?? Self.withoutVersion(trace.names[calls.name[call]] ?? "unknown")
      apiNames[calls.name[call]] = api
      launches[row] = Int32(clamping: call)
      groups[row] = Int32(
        clamping: numbers.number(
          Key(thread: calls.thread[call], device: streams[place].device, api: api, kernel: names[Int(kernels.description[row].rawValue)])))
    }
    func grouped(_ value: @escaping (_ kernel: Int, _ call: Int) -> Int64?) -> [Int: Statistics] {
      var grouped = Groups(
        count: kernels.count, groups: numbers.keys.count,
        key: { groups[$0] >= 0 && value($0, Int(launches[$0])) != nil ? Int(groups[$0]) : -1 }, value: { value($0, Int(launches[$0])) ?? 0 }
      )
      return Dictionary(uniqueKeysWithValues: grouped.statistics().map { ($0.group, $0.statistics) })
    }
    let total = grouped { max(kernels.end[$0], calls.end[$1]).subtractingSaturated(calls.start[$1]) }
    let api = grouped { calls.end[$1].subtractingSaturated(calls.start[$1]) }
    let queue = grouped { kernel, call in
      let wait = kernels.start[kernel].subtractingSaturated(calls.end[call])
      return wait > 0 ? wait : nil
    }
    let execution = grouped { kernel, _ in kernels.end[kernel].subtractingSaturated(kernels.start[kernel]) }

    typealias Column = SummaryTable.Column
    var columns = [
      Column("PID", "processID"), Column("TID", "threadID"), Column("DevId", "device"), Column("Count", "count"),
      Column("QCount", "queuedCount"),
    ]
    for (letter, key) in [("T", "total"), ("A", "api"), ("Q", "queue"), ("K", "kernel")] {
      columns += [
        Column("\(letter)Avg", "\(key)AverageNanoseconds", unit: .nanoseconds, decimals: 1),
        Column("\(letter)Med", "\(key)MedianNanoseconds", unit: .nanoseconds, decimals: 1),
        Column("\(letter)Min", "\(key)MinimumNanoseconds", unit: .nanoseconds),
        Column("\(letter)Max", "\(key)MaximumNanoseconds", unit: .nanoseconds),
        Column("\(letter)StdDev", "\(key)DeviationNanoseconds", unit: .nanoseconds, decimals: 1),
      ]
    }
    columns += [Column("API Name", "api", isText: true), Column("Kernel Name", "kernel", isText: true)]

    func cells(_ statistics: Statistics?) -> [SummaryTable.Value] {
      guard let statistics else { return [.none, .none, .none, .none, .none] }
      return [
        .number(statistics.average), .number(statistics.median), .whole(statistics.minimum), .whole(statistics.maximum),
        .number(statistics.deviation),
      ]
    }
    let order = numbers.keys.indices.sorted { left, right in
      let (first, second) = (total[left]?.total ?? 0, total[right]?.total ?? 0)
      return first == second ? left < right : first > second
    }
    let rows = order.map { group -> [SummaryTable.Value] in
      let key = numbers.keys[group]
      let isKnown = key.thread != Trace.unknown
      let head: [SummaryTable.Value] = [
        isKnown ? .whole(GlobalID.processNumber(key.thread)) : .none, isKnown ? .whole(GlobalID.threadNumber(key.thread)) : .none,
        key.device == Trace.unknown ? .none : .whole(key.device), .whole(Int64(total[group]?.count ?? 0)),
        .whole(Int64(queue[group]?.count ?? 0)),
      ]
      return head + cells(total[group]) + cells(api[group]) + cells(queue[group]) + cells(execution[group])
        + [.text(key.api), .text(key.kernel)]
    }
    return (columns, rows)
  }
}
