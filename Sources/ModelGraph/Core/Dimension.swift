/// One dimension of a shape, affine in the number of rows: `constant + perRow * rows`.
///
/// A graph has one symbol, the rows of the batch. An affine dimension is all that the heads and encoders need (a reshape of
/// [rows, 128, 1024] to [rows * 128, 1024] is 128 per row), and it keeps every later quantity (bytes, FLOPs, tiles) a closed
/// form that `Plan.at(rows:)` evaluates without walking the graph again.
public struct Dimension: Hashable, Sendable, CustomStringConvertible {
  /// The part that does not depend on the rows.
  public var constant: Int
  /// How much every row adds.
  public var perRow: Int

  /// `constant + perRow * rows`.
  public init(constant: Int, perRow: Int = 0) {
    self.constant = constant
    self.perRow = perRow
  }

  /// The batch dimension: one for every row.
  public static let rows = Dimension(constant: 0, perRow: 1)
  /// A dimension of fixed size.
  public static func fixed(_ size: Int) -> Dimension { Dimension(constant: size) }

  /// The size when it does not depend on the rows.
  public var fixedSize: Int? { perRow == 0 ? constant : nil }

  /// The size at `rows`; nil when it does not fit an Int.
  public func size(rows: Int) -> Int? {
    let (scaled, overflow) = perRow.multipliedReportingOverflow(by: rows)
    if overflow { return nil }
    let (sum, sumOverflow) = scaled.addingReportingOverflow(constant)
    return sumOverflow ? nil : sum
  }

  /// "128", "rows", "128*rows", "rows+1".
  public var description: String {
    if perRow == 0 { return String(constant) }
    let symbol = perRow == 1 ? "rows" : "\(perRow)*rows"
    if constant == 0 { return symbol }
    return constant > 0 ? "\(symbol)+\(constant)" : "\(symbol)\(constant)"
  }
}

/// A tensor's dimensions, outermost first. Empty: a scalar.
public typealias Shape = [Dimension]
