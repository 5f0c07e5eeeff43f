import CheckedNumbers
import Trace

/// What every importer does with a trace once it is read: rows whose times cannot be go, and what a reader must know is said.
enum TraceChecks {
  /// Takes out rows without times, rows that end before they start or last longer than any capture, and rows far away from all others.
  /// Notes say how many of which.
  static func clean(_ trace: inout Trace) -> [ImportNote] {
    var notes: [ImportNote] = []
    func note(_ what: String, _ removed: Int, _ rows: Int) {
      if removed == 0 { return }
      notes.append(
        ImportNote(
          .warning, .impossibleTimes,
          "\(removed) of \(rows) \(what) have no times, end before they start, last over 13 days or lie 13 days from the others; passed over"
        ))
    }
    let middle = median(of: trace)
    func check<Table: TraceTable>(
      _ table: inout Table, _ what: String, _ start: (Table) -> [Int64], _ end: (Table) -> [Int64], openEnds: Bool = false,
      areDeviceTimes: Bool = false
    ) {
      let (starts, ends) = (start(table), end(table))
      func isBad(_ row: Int) -> Bool {
        let (start, end) = (starts[row], ends[row])
        if start == Trace.unknown { return true }
        // CUPTI: "a value of 0 for both timestamps indicates that timestamp information could not be collected".
        if areDeviceTimes, start == 0, end == 0 { return true }
        if let middle, start.subtractingSaturated(middle).magnitude > UInt64(clamping: ImportLimits.longestNanoseconds) { return true }
        if end == Trace.unknown { return !openEnds }
        return end < start || end.subtractingSaturated(start) > ImportLimits.longestNanoseconds
      }
      var bad = 0
      for row in starts.indices where isBad(row) { bad += 1 }
      if bad == 0 { return }
      var kept = Table()
      kept.reserveCapacity(table.count - bad)
      for row in 0..<table.count where !isBad(row) { kept.append(table[row]) }
      note(what, bad, table.count)
      table = kept
    }
    check(&trace.kernels, "kernels", \.start, \.end, areDeviceTimes: true)
    check(&trace.copies, "memory copies", \.start, \.end, areDeviceTimes: true)
    check(&trace.memsets, "memory fills", \.start, \.end, areDeviceTimes: true)
    check(&trace.graphExecutions, "graph executions", \.start, \.end)
    check(&trace.synchronizations, "synchronizations", \.start, \.end)
    check(&trace.apiCalls, "API calls", \.start, \.end)
    check(&trace.osCalls, "OS calls", \.start, \.end)
    check(&trace.operators, "operators", \.start, \.end)
    check(&trace.overheads, "overheads", \.start, \.end)
    check(&trace.ranges, "ranges", \.start, \.end, openEnds: true)
    return notes
  }

  /// A time in the middle of the trace: the median of a sample of starts, which no handful of damaged rows moves.
  private static func median(of trace: Trace) -> Int64? {
    var sample: [Int64] = []
    func take(_ starts: [Int64]) {
      let step = max(1, starts.count / 1000)
      for row in stride(from: 0, to: starts.count, by: step) where starts[row] != Trace.unknown { sample.append(starts[row]) }
    }
    take(trace.kernels.start)
    take(trace.copies.start)
    take(trace.memsets.start)
    take(trace.graphExecutions.start)
    take(trace.apiCalls.start)
    if sample.isEmpty {
      take(trace.osCalls.start)
      take(trace.operators.start)
      take(trace.ranges.start)
    }
    sample.sort()
    return sample.isEmpty ? nil : sample[sample.count / 2]
  }

  /// What is missing, said once.
  static func describe(_ trace: Trace) -> [ImportNote] {
    var notes: [ImportNote] = []
    let transfers = trace.copies.count + trace.memsets.count
    if trace.kernels.count + transfers > 0 {
      let index = CorrelationIndex(trace)
      let processes = trace.streams.map(\.process)
      func unlinked(_ correlations: [Int64], _ streams: [StreamID]) -> Int {
        correlations.indices.count { index.apiCall(process: processes[Int(streams[$0].rawValue)], correlation: correlations[$0]) == nil }
      }
      let kernels = unlinked(trace.kernels.correlation, trace.kernels.stream)
      // Pages of unified memory move when somebody touches them: no call asks for it.
      let called = trace.copies.indices.filter { !CopyEvent.isMigration(direction: trace.copies.direction[$0]) }
      let others =
        unlinked(called.map { trace.copies.correlation[$0] }, called.map { trace.copies.stream[$0] })
        + unlinked(trace.memsets.correlation, trace.memsets.stream)
      if kernels + others > 0 {
        var parts: [String] = []
        if kernels > 0 { parts.append("\(kernels) of \(trace.kernels.count) kernels") }
        if others > 0 { parts.append("\(others) of \(transfers) copies and fills") }
        notes.append(
          ImportNote(
            .information, .unlinkedDeviceWork,
            "\(parts.joined(separator: " and ")) have no API call in the file (launched before it begins, or cut out); they count as busy"))
      }
    }
    if !trace.graphExecutions.isEmpty {
      notes.append(
        ImportNote(
          .warning, .graphsWithoutNodes,
          "\(trace.graphExecutions.count) CUDA graph executions are recorded as one interval each: inside them busy is an upper bound and SMs with a resident block unknown; "
            + "record their kernels with nsys profile --cuda-graph-trace=node"))
    }
    if trace.kernels.count + trace.graphExecutions.count > 0 {
      var missing: Set<Int64> = []
      for stream in trace.streams where trace.gpu(of: stream)?.smCount ?? Trace.unknown == Trace.unknown { missing.insert(stream.device) }
      if !missing.isEmpty {
        let list = missing.sorted().filter { $0 != Trace.unknown }.prefix(8).map { "\($0)" }.joined(separator: ", ")
        let which = list.isEmpty ? "it ran on" : missing.count == 1 ? "device \(list) is" : "devices \(list) are"
        notes.append(
          ImportNote(
            .information, .missingDeviceFacts, "the file does not say what GPU \(which); SMs with a resident block needs --gpu NAME"))
      }
    }
    return notes
  }
}
