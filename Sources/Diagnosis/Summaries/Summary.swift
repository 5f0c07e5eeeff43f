import CheckedNumbers
public import Trace

/// Events of one table grouped by name, as `nsys stats` groups them: shares are of the table's own total, not of wall time and not of a
/// union, so overlapping events and several threads are summed.
///
/// Conventions found by recomputing published tables: medians of even counts are the mean of the middle two, deviations are of a sample
/// (n - 1) and 0 for one row, rows are sorted by total time.
public struct Summary: Sendable, Hashable {
  /// One name's events. Times are nanoseconds.
  public struct Row: Sendable, Hashable {
    /// The name all of them share.
    public var name: String
    /// Sum of durations.
    public var totalNanoseconds: Int64
    /// Events.
    public var count: Int
    /// Mean duration.
    public var averageNanoseconds: Double
    /// Median duration.
    public var medianNanoseconds: Double
    /// Shortest.
    public var minimumNanoseconds: Int64
    /// Longest.
    public var maximumNanoseconds: Int64
    /// Sample deviation.
    public var deviationNanoseconds: Double
    /// Share of the table's total, 0...1.
    public var share: Double
  }

  /// Which tables there are.
  public enum Report: String, Sendable, Hashable, CaseIterable {
    /// CUDA calls, runtime and driver together.
    case cudaAPI = "cuda_api_sum"
    /// Kernels by name.
    case gpuKernels = "cuda_gpu_kern_sum"
    /// Copies and fills by direction.
    case gpuMemory = "cuda_gpu_mem_time_sum"
    /// Operating-system calls of all threads.
    case osRuntime = "osrt_sum"
  }

  /// Which table it is.
  public var report: Report
  /// Its rows, by total.
  public var rows: [Row]
  /// Sum of all durations, nanoseconds.
  public var totalNanoseconds: Int64 { rows.reduce(0) { $0 &+ $1.totalNanoseconds } }

  /// Groups a trace's events. Events that start outside `window` (nanoseconds) are left out.
  public init(_ report: Report, of trace: Trace, window: Range<Int64>? = nil) {
    self.report = report
    var groups: [Int32: [Int64]] = [:]
    func isIn(_ start: Int64) -> Bool { window?.contains(start) ?? true }
    func collect(_ start: [Int64], _ end: [Int64], key: (Int) -> Int32) {
      for index in start.indices where isIn(start[index]) && end[index] >= start[index] {
        groups[key(index), default: []].append(end[index] - start[index])
      }
    }
    var names: (Int32) -> String = { trace.names[NameID(rawValue: $0)] ?? "unknown" }
    switch report {
    case .cudaAPI:
      collect(trace.apiCalls.start, trace.apiCalls.end) { trace.apiCalls.name[$0].rawValue }
      let plain = names
      names = { Self.withoutVersion(plain($0)) }
    case .gpuKernels:
      let keys = trace.kernelDescriptions.map { $0.demangledName.rawValue }
      collect(trace.kernels.start, trace.kernels.end) { keys[Int(trace.kernels.description[$0].rawValue)] }
    case .osRuntime: collect(trace.osCalls.start, trace.osCalls.end) { trace.osCalls.name[$0].rawValue }
    case .gpuMemory:
      collect(trace.copies.start, trace.copies.end) { trace.copies.direction[$0] }
      collect(trace.memsets.start, trace.memsets.end) { _ in -1 }
      names = Self.memoryOperation
    }
    // Two ids may print the same name (version suffixes): they are one row.
    var merged: [String: [Int64]] = [:]
    for (key, durations) in groups { merged[names(key), default: []] += durations }
    let total = merged.values.reduce(0.0) { $0 + $1.reduce(0.0) { $0 + Double($1) } }
    rows = merged.map { Self.row(name: $0.key, durations: $0.value, total: total) }
      .sorted { ($0.totalNanoseconds, $1.name) > ($1.totalNanoseconds, $0.name) }
  }

  private static func row(name: String, durations: [Int64], total: Double) -> Row {
    let sorted = durations.sorted()
    let count = sorted.count
    let sum = sorted.reduce(0) { $0 &+ $1 }
    let average = Double(sum) / Double(max(1, count))
    let middle = count / 2
    let median = count == 0 ? 0 : count % 2 == 1 ? Double(sorted[middle]) : (Double(sorted[middle - 1]) + Double(sorted[middle])) / 2
    var squares = 0.0
    for duration in sorted {
      let difference = Double(duration) - average
      squares += difference * difference
    }
    return Row(
      name: name, totalNanoseconds: sum, count: count, averageNanoseconds: average, medianNanoseconds: median,
      minimumNanoseconds: sorted.first ?? 0, maximumNanoseconds: sorted.last ?? 0,
      deviationNanoseconds: count > 1 ? (squares / Double(count - 1)).squareRoot() : 0, share: total > 0 ? Double(sum) / total : 0)
  }

  /// `cudaMalloc_v3020` prints as `cudaMalloc`: a suffix of exactly `_v` and four digits goes; five digits stay.
  static func withoutVersion(_ name: String) -> String {
    let bytes = Array(name.utf8)
    guard bytes.count > 6, bytes[bytes.count - 6] == UInt8(ascii: "_"), bytes[bytes.count - 5] == UInt8(ascii: "v"),
      bytes.suffix(4).allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return name }
    return String(name.dropLast(6))
  }

  /// A copy's direction as profilers print it.
  public static func label(ofCopy direction: Int32) -> String { memoryOperation(direction) }

  /// Labels of nsys 2023 and later.
  static func memoryOperation(_ direction: Int32) -> String {
    switch direction {
    case -1: "[CUDA memset]"
    case 1: "[CUDA memcpy Host-to-Device]"
    case 2: "[CUDA memcpy Device-to-Host]"
    case 8: "[CUDA memcpy Device-to-Device]"
    case 9: "[CUDA memcpy Host-to-Host]"
    case 10: "[CUDA memcpy Peer-to-Peer]"
    case 11: "[CUDA memcpy Unified Host-to-Device]"
    case 12: "[CUDA memcpy Unified Device-to-Host]"
    case 13: "[CUDA memcpy Unified Device-to-Device]"
    default: "[CUDA memcpy kind \(direction)]"
    }
  }
}
