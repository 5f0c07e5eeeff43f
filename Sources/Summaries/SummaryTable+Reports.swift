import CheckedNumbers
public import Trace

extension SummaryTable {
  /// A summary of a trace, or of a part of it. Shares are of the table's own total: overlapping kernels and several threads are summed, and
  /// it is not wall time.
  public init(_ request: SummaryRequest, of trace: Trace, filter: SummaryFilter = SummaryFilter()) {
    report = request.report
    let source = SummarySource(trace: trace, filter: filter, kernelName: request.kernelName)
    let name = Column("Name", "name", isText: true)
    switch request.report {
    case .apiCalls:
      (columns, rows) = Self.table(count: "Num Calls", key: "calls", [name], [source.apiCalls().map { ($0, [$1]) }])
    case .osCalls:
      (columns, rows) = Self.table(count: "Num Calls", key: "calls", [name], [source.osCalls().map { ($0, [$1]) }])
    case .kernels:
      (columns, rows) = Self.table(count: "Instances", key: "instances", [name], [source.kernels().map { ($0, [$1]) }])
    case .kernelGeometry:
      let geometry = [
        Column("GridXYZ", "grid", isText: true), Column("BlockXYZ", "block", isText: true), name,
      ]
      (columns, rows) = Self.table(count: "Instances", key: "instances", geometry, [source.kernelGeometries()])
    case .memoryTime:
      let operation = Column("Operation", "operation", isText: true)
      (columns, rows) = Self.table(count: "Count", key: "count", [operation], [source.memoryOperations(bytes: false).map { ($0, [$1]) }])
    case .memorySize:
      columns = [Column("Total", "totalMegabytes", unit: .megabytes, decimals: 3), Column("Count", "count")]
      columns += [("Avg", "average"), ("Med", "median"), ("Min", "minimum"), ("Max", "maximum"), ("StdDev", "deviation")].map {
        Column($0.0, $0.1 + "Megabytes", unit: .megabytes, decimals: 3)
      }
      columns.append(Column("Operation", "operation", isText: true))
      rows = Self.ordered(source.memoryOperations(bytes: true)).map { statistics, name in
        func megabytes(_ value: Double) -> Value { .number(value / 1e6) }
        return [
          megabytes(Double(statistics.total)), .whole(Int64(statistics.count)), megabytes(statistics.average), megabytes(statistics.median),
          megabytes(Double(statistics.minimum)), megabytes(Double(statistics.maximum)), megabytes(statistics.deviation), .text(name),
        ]
      }
    case .device, .apiAndDevice:
      let labels = [Column("Category", "category", isText: true), Column("Operation", "operation", isText: true)]
      var parts = [
        source.kernels().map { ($0, ["CUDA_KERNEL", $1]) }, source.memoryOperations(bytes: false).map { ($0, ["MEMORY_OPER", $1]) },
      ]
      if request.report == .apiAndDevice { parts.insert(source.apiCalls().map { ($0, ["CUDA_API", $1]) }, at: 0) }
      (columns, rows) = Self.table(count: "Instances", key: "instances", labels, parts)
    case .ranges, .pushPopRanges, .startEndRanges:
      var labels = [Column("Range", "range", isText: true)]
      if request.report == .ranges { labels.insert(Column("Style", "style", isText: true), at: 0) }
      let styles: [Int32] = request.report == .ranges ? [59, 60] : request.report == .pushPopRanges ? [59] : [60]
      let parts = styles.map { style in
        source.ranges(style).map { ($0, request.report == .ranges ? [style == 59 ? "PushPop" : "StartEnd", $1] : [$1]) }
      }
      (columns, rows) = Self.table(count: "Instances", key: "instances", labels, parts)
    case .operators: (columns, rows) = Self.table(count: "Num Calls", key: "calls", [name], [source.operators().map { ($0, [$1]) }])
    case .overheads:
      let labels = [Column("Whose", "whose", isText: true), name]
      (columns, rows) = Self.table(count: "Count", key: "count", labels, [source.overheads()])
    case .kernelExecution: (columns, rows) = source.kernelExecutions()
    }
  }

  typealias Labelled = (Statistics, [String])

  /// Shares, times and labels, by total time.
  private static func table(
    count: String, key: String, _ labels: [Column], _ parts: [[Labelled]]
  ) -> (columns: [Column], rows: [[Value]]) {
    let all = parts.flatMap { $0 }
    let total = all.reduce(0.0) { $0 + Double($1.0.total) }
    let rows = ordered(all, \.1).map { statistics, labels in
      [.number(total > 0 ? 100 * Double(statistics.total) / total : 0)] + statistics.cells + labels.map { Value.text($0) }
    }
    return ([share] + times(count: count, key: key) + labels, rows)
  }

  /// The largest total first; equal ones by their labels, so that the order is always the same.
  private static func ordered(_ rows: [Labelled], _ labels: (Labelled) -> [String]) -> [Labelled] {
    rows.sorted { $0.0.total == $1.0.total ? labels($0).lexicographicallyPrecedes(labels($1)) : $0.0.total > $1.0.total }
  }

  private static func ordered(_ rows: [(Statistics, String)]) -> [(Statistics, String)] {
    rows.sorted { ($0.0.total, $1.1) > ($1.0.total, $0.1) }
  }

  /// The index of a column by its JSON key.
  public func column(_ key: String) -> Int? { columns.firstIndex { $0.key == key } }
}
