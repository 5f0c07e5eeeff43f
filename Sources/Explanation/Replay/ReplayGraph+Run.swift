import CheckedNumbers

extension ReplayGraph {
  /// The largest relative error of span or busy with which the unedited graph may reproduce its trace; beyond it no gain is printed.
  public static let gate = 0.03

  /// The relative error of the unedited run: the larger of span's and GPU busy time's.
  public var reproductionError: Double {
    let outcome = run()
    func error(_ value: Int64, _ recorded: Int64) -> Double { (Double(value) - Double(recorded)).magnitude / Double(max(1, recorded)) }
    return max(error(outcome.span, recorded.span), error(outcome.gpuBusy, recorded.gpuBusy))
  }

  /// Runs the graph: calls in their recorded order, each thread on a clock of its own.
  public func run() -> Outcome {
    var clock = threadStarts
    var streamEnd = [Int64](repeating: .min, count: processOfStream.count)
    var ends = [Int64](repeating: .min, count: work.count)
    var events: [(start: Int64, end: Int64, isKernel: Bool)] = []
    events.reserveCapacity(work.count)
    for call in calls {
      if call.isRemoved {
        // A removed call may still carry work that another call launches now.
        continue
      }
      let thread = Int(call.thread)
      let start = clock[thread].addingSaturated(call.gap)
      var ownEnd = Int64.min
      let before = call.kind == .synchronize ? streamEnd : []
      for index in Int(call.first)..<Int(call.first) + Int(call.count) {
        let item = work[index]
        if item.isRemoved { continue }
        let stream = Int(item.stream)
        var from = start.addingSaturated(item.afterCall)
        if streamEnd[stream] != .min { from = max(from, streamEnd[stream].addingSaturated(item.afterStream)) }
        if item.dependency >= 0, ends[Int(item.dependency)] != .min {
          from = max(from, ends[Int(item.dependency)].addingSaturated(item.afterDependency))
        }
        let end = from.addingSaturated(item.duration)
        ends[index] = end
        streamEnd[stream] = max(streamEnd[stream], end)
        ownEnd = max(ownEnd, end)
        events.append((from, end, item.isKernel))
      }
      var end = start.addingSaturated(call.duration)
      // A synchronization that finds nothing to wait for still takes a few microseconds.
      let minimum = start.addingSaturated(min(call.duration, 5_000))
      switch call.wait {
      case .none: break
      case .own: if ownEnd != .min { end = max(minimum, ownEnd.addingSaturated(call.wake)) }
      case .stream(let stream):
        let target = before[Int(stream)]
        end = target == .min ? minimum : max(minimum, target.addingSaturated(call.wake))
      case .process(let process):
        var target = Int64.min
        for stream in before.indices where processOfStream[stream] == process { target = max(target, before[stream]) }
        end = target == .min ? minimum : max(minimum, target.addingSaturated(call.wake))
      }
      clock[thread] = end
    }
    return events.isEmpty ? Outcome(span: 1, gpuBusy: 0, deviceBusy: 0) : Self.outcome(events)
  }
}
