import CheckedNumbers

/// A table of a summary: columns with units, rows of values. Printed by its extensions, as text, CSV and JSON.
public struct SummaryTable: Sendable, Hashable {
  /// What a column holds.
  public enum Unit: Sendable, Hashable {
    case none, percent, nanoseconds, megabytes
  }

  /// A column.
  public struct Column: Sendable, Hashable {
    /// As `nsys stats` heads it, without the unit.
    public var title: String
    /// Its unit.
    public var unit: Unit
    /// Digits behind the point; 0 for whole numbers and texts.
    public var decimals: Int
    /// The key in JSON, ending in its unit.
    public var key: String
    /// Whether it holds text.
    public var isText: Bool

    init(_ title: String, _ key: String, unit: Unit = .none, decimals: Int = 0, isText: Bool = false) {
      self.title = title
      self.key = key
      self.unit = unit
      self.decimals = decimals
      self.isText = isText
    }

    /// "Total Time (ns)".
    public var heading: String {
      switch unit {
      case .none: title
      case .percent: "\(title) (%)"
      case .nanoseconds: "\(title) (ns)"
      case .megabytes: "\(title) (MB)"
      }
    }
  }

  /// One cell.
  public enum Value: Sendable, Hashable {
    case text(String)
    case whole(Int64)
    case number(Double)
    /// Not known, or not defined: an average of nothing.
    case none
  }

  /// Which summary.
  public var report: SummaryReport
  /// Its columns.
  public var columns: [Column]
  /// Its rows, in order.
  public var rows: [[Value]]

  static let share = Column("Time", "timeShare", unit: .percent, decimals: 1)

  /// Total, count and the five statistics of times.
  static func times(count: String, key: String) -> [Column] {
    [
      Column("Total Time", "totalNanoseconds", unit: .nanoseconds), Column(count, key),
      Column("Avg", "averageNanoseconds", unit: .nanoseconds, decimals: 1),
      Column("Med", "medianNanoseconds", unit: .nanoseconds, decimals: 1), Column("Min", "minimumNanoseconds", unit: .nanoseconds),
      Column("Max", "maximumNanoseconds", unit: .nanoseconds), Column("StdDev", "deviationNanoseconds", unit: .nanoseconds, decimals: 1),
    ]
  }
}

extension Statistics {
  /// The cells of `SummaryTable.times`.
  var cells: [SummaryTable.Value] {
    [
      .whole(total), .whole(Int64(count)), .number(average), .number(median), .whole(minimum), .whole(maximum), .number(deviation),
    ]
  }
}
