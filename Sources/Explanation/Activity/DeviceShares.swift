import CheckedNumbers
import Trace

/// What a device's events say beside busy and idle: who else works on it, what only moves data between devices, and how long it idles behind
/// small results.
public struct DeviceShares: Sendable, Hashable {
  /// Time in which collectives ran and no other kernel, nanoseconds.
  public private(set) var communicationAlone: Int64 = 0
  /// Kernel time by process (global id), summed, nanoseconds.
  public private(set) var byProcess: [Int64: Int64] = [:]
  /// Idle time that follows a small copy to the host and lasts longer than the device's own gaps, nanoseconds.
  public private(set) var idleBehindResults: Int64 = 0
  /// How often that was.
  public private(set) var waitsBehindResults = 0
  /// Kernels are those of a language model that generates token by token, as their names say.
  public private(set) var isDecoding = false

  /// Token ids or their scores, of a batch of sequences: a small result.
  static let largestResultBytes: Int64 = 64 << 10
  /// A shorter gap is the device's own.
  static let shortestWait: Int64 = 20_000
  /// What names of kernels hold that only generation runs: caches of keys and values in pages, attention split over them, rotary positions.
  private static let decodeMarks = ["paged", "reshape_and_cache", "kv_cache", "kvcache", "splitkv", "batchdecode", "decode_attention"]

  /// Of one device.
  init(of activity: DeviceActivity, trace: Trace) {
    let names = trace.kernelDescriptions.map { trace.names[$0.demangledName] ?? trace.names[$0.shortName] ?? "" }
    let isCommunication = names.map { KernelName($0).role == .communication }
    var runs = [Bool](repeating: false, count: names.count)
    var (allEnd, otherEnd) = (Int64.min, Int64.min)
    var (all, other) = (Int64(0), Int64(0))
    func extend(_ end: inout Int64, _ sum: inout Int64, _ event: DeviceEvent) {
      if event.end > end {
        sum += event.end - max(event.start, end)
        end = event.end
      }
    }
    for event in activity.events {
      switch event.kind {
      case .kernel:
        let description = Int(trace.kernels.description[Int(event.row)].rawValue)
        extend(&allEnd, &all, event)
        if !isCommunication.indices.contains(description) || !isCommunication[description] { extend(&otherEnd, &other, event) }
        if runs.indices.contains(description) { runs[description] = true }
        add(trace[trace.kernels.stream[Int(event.row)]].process, event)
      case .graph:
        extend(&allEnd, &all, event)
        extend(&otherEnd, &other, event)
        add(trace[trace.graphExecutions.stream[Int(event.row)]].process, event)
      case .copy, .fill: break
      }
    }
    communicationAlone = all - other
    isDecoding = zip(names, runs).contains { name, ran in
      guard ran else { return false }
      let lower = name.prefix(512).lowercased()
      return Self.decodeMarks.contains { lower.contains($0) }
    }
    if isDecoding { countWaits(activity, trace) }
  }

  private mutating func add(_ process: Int64, _ event: DeviceEvent) {
    byProcess[process] = (byProcess[process] ?? 0).addingSaturated(event.end - event.start)
  }

  private mutating func countWaits(_ activity: DeviceActivity, _ trace: Trace) {
    activity.eachGap { gap, before, _ in
      let length = gap.upperBound - gap.lowerBound
      guard length >= Self.shortestWait, let before, before.kind == .copy else { return }
      let row = Int(before.row)
      guard trace.copies.direction[row] == 2, trace.copies.bytes[row] <= Self.largestResultBytes else { return }
      waitsBehindResults += 1
      idleBehindResults += length
    }
  }
}
