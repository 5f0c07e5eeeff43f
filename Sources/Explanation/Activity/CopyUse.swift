import CheckedNumbers
public import Trace

/// Copies of a device by direction and host memory.
public struct CopyUse: Sendable {
  /// Copies alike.
  public struct Row: Sendable, Hashable {
    /// ENUM_CUDA_MEMCPY_OPER.
    public var direction: Int32
    /// The host side is pageable; nil where not recorded or not on the host.
    public var isPageable: Bool?
    /// How many.
    public var count: Int
    /// Bytes moved.
    public var bytes: Int64
    /// Durations summed, nanoseconds.
    public var nanoseconds: Int64
    /// Bytes per second while copying.
    public var rate: Double { nanoseconds > 0 ? Double(bytes) / Double(nanoseconds) * 1e9 : 0 }

    /// As printed.
    public var name: String {
      let kind = isPageable.map { $0 ? ", pageable" : ", pinned" } ?? ""
      return CopyName.short(direction: direction) + kind
    }
  }

  /// By time.
  public private(set) var rows: [Row] = []
  /// All bytes.
  public var bytes: Double { rows.reduce(0) { $0 + Double($1.bytes) } }
  /// Time in pageable copies, nanoseconds.
  public var pageableNanoseconds: Int64 { rows.reduce(0) { $0 + ($1.isPageable == true ? $1.nanoseconds : 0) } }
  /// Time in which pages of unified memory moved, nanoseconds: nobody called for these copies, a kernel or the host touched the pages.
  public var unifiedNanoseconds: Int64 { rows.reduce(0) { $0 + (CopyEvent.isMigration(direction: $1.direction) ? $1.nanoseconds : 0) } }
  /// Copies between host and device that moved a megabyte or more at a time.
  public private(set) var largePinned: Row?

  /// Copies of a few bytes to the host: scalars read back one by one.
  public private(set) var scalarReads = 0

  private struct Key: Hashable {
    var direction: Int32
    var isPageable: Bool?
  }

  /// Copies of one device.
  public init(of activity: DeviceActivity, trace: Trace) {
    var sums: [Key: Row] = [:]
    var large = Row(direction: 1, isPageable: false, count: 0, bytes: 0, nanoseconds: 0)
    for event in activity.events where event.kind == .copy {
      let row = Int(event.row)
      let direction = trace.copies.direction[row]
      let kind: Int32 =
        switch direction {
        case 1: trace.copies.sourceKind[row]
        case 2: trace.copies.destinationKind[row]
        default: Trace.unknown32
        }
      // 0 pageable, 1 pinned; managed memory and unknown are neither.
      let isPageable: Bool? = kind == 0 ? true : kind == 1 ? false : nil
      let bytes = max(0, trace.copies.bytes[row])
      if direction == 2, bytes > 0, bytes <= ReplayGraph.largestScalarBytes { scalarReads += 1 }
      let key = Key(direction: direction, isPageable: isPageable)
      var sum = sums[key] ?? Row(direction: direction, isPageable: isPageable, count: 0, bytes: 0, nanoseconds: 0)
      sum.count += 1
      sum.bytes = sum.bytes.addingSaturated(bytes)
      sum.nanoseconds = sum.nanoseconds.addingSaturated(event.end - event.start)
      sums[key] = sum
      if direction == 1 || direction == 2, isPageable == false, bytes >= 1 << 20 {
        large.count += 1
        large.bytes = large.bytes.addingSaturated(bytes)
        large.nanoseconds = large.nanoseconds.addingSaturated(event.end - event.start)
      }
    }
    rows = sums.values.sorted { ($1.nanoseconds, $0.direction, $0.name) < ($0.nanoseconds, $1.direction, $1.name) }
    if large.count > 0 { largePinned = large }
  }
}
