import CheckedNumbers
import Trace

/// What the numbers in `CUPTI_ACTIVITY_KIND_OVERHEAD.overheadType` mean: CUPTI's `CUpti_ActivityOverheadKind` (cupti_activity.h), which Nsight
/// Systems writes from schema 3.24 on, without a name.
enum OverheadKinds {
  /// A number's name, and whether it would not be there without a profiler.
  private static let kinds: [(type: Int64, name: String, isProfilers: Bool)] = [
    (1, "driver compiler (JIT)", false), (1 << 16, "activity buffer flush", true), (2 << 16, "instrumentation", true),
    (3 << 16, "profiler resources", true), (4 << 16, "module loading by the runtime", false), (5 << 16, "lazy function loading", false),
    (6 << 16, "command buffer full", false), (7 << 16, "activity buffer request", true), (8 << 16, "UVM activity start", true),
  ]

  /// Names a row that has no name of its own.
  static func complete(_ row: inout OverheadEvent, type: Int64, _ names: inout NameTable) {
    guard row.name == .unknown, type != Trace.unknown, let kind = kinds.first(where: { $0.type == type }) else { return }
    (row.name, row.isProfilers) = (names.intern(kind.name), kind.isProfilers)
  }
}
