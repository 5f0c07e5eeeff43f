import CheckedNumbers
import Trace

/// Idle time of a device while its program fetched its next input, as a framework's own ranges say: PyTorch writes
/// "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__" around each fetch.
struct InputWait {
  /// Nanoseconds of idle time inside such ranges.
  private(set) var idle: Int64 = 0
  /// The range that holds most of it, as the trace names it.
  private(set) var name = ""

  /// Of one device; nil where the trace has no such ranges.
  init?(_ trace: Trace, device: DeviceActivity) {
    // By name: how long its ranges are, to name the one that counts.
    var totals: [NameID: Int64] = [:]
    var ranges: [Range<Int64>] = []
    var meanings: [NameID: Bool] = [:]
    func add(_ name: NameID, _ start: Int64, _ end: Int64) {
      let isFetch = meanings[name] ?? Self.isFetch(trace.names[name] ?? "")
      meanings[name] = isFetch
      guard isFetch, start != Trace.unknown, end != Trace.unknown, end > start, start > -DeviceActivity.largestTime,
        end < DeviceActivity.largestTime
      else { return }
      ranges.append(start..<end)
      totals[name, default: 0] = (totals[name] ?? 0).addingSaturated(end - start)
    }
    for row in 0..<trace.ranges.count where trace.ranges.type[row] != 1000 {
      add(trace.ranges.text[row], trace.ranges.start[row], trace.ranges.end[row])
    }
    for row in 0..<trace.operators.count { add(trace.operators.name[row], trace.operators.start[row], trace.operators.end[row]) }
    if ranges.isEmpty { return nil }
    ranges.sort { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }
    var merged: [Range<Int64>] = []
    for range in ranges {
      if let last = merged.last, range.lowerBound <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    var position = 0
    device.eachGap { gap, _, _ in
      while position < merged.count, merged[position].upperBound <= gap.lowerBound { position += 1 }
      var index = position
      while index < merged.count, merged[index].lowerBound < gap.upperBound {
        idle += min(gap.upperBound, merged[index].upperBound) - max(gap.lowerBound, merged[index].lowerBound)
        index += 1
      }
    }
    name = totals.max { ($0.value, $1.key) < ($1.value, $0.key) }.flatMap { trace.names[$0.key] } ?? ""
  }

  private static func isFetch(_ name: String) -> Bool {
    let text = name.utf8.count > 512 ? String(name.prefix(512)) : name
    let lower = text.lowercased()
    return lower.contains("dataloader") || lower.contains("data_loader") || lower.contains("data loading") || lower.contains("load_batch")
      || lower.contains("iteratorgetnext")
  }
}
