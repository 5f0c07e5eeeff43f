/// A trace that could not be written or read: which file, where in it, why.
public struct TraceStoreError: Error, Equatable, CustomStringConvertible {
  /// The path as it was given.
  public var path: String
  /// The table, where one is to blame.
  public var table: String?
  /// Its column.
  public var column: String?
  /// Its row, counted from 1 in the order they are stored.
  public var row: Int?
  /// What is wrong, in words.
  public var reason: String

  /// An error at a place in a file.
  public init(path: String, table: String? = nil, column: String? = nil, row: Int? = nil, reason: String) {
    self.path = path
    self.table = table
    self.column = column
    self.row = row
    self.reason = reason
  }

  /// "run.sqlite: CUPTI_ACTIVITY_KIND_KERNEL, column gridX, row 7: text where a whole number should be".
  public var description: String {
    var place: [String] = []
    if let table { place.append(table) }
    if let column { place.append("column \(column)") }
    if let row { place.append("row \(row)") }
    return "\(path): \(place.isEmpty ? "" : place.joined(separator: ", ") + ": ")\(reason)"
  }
}

/// What is wrong with one cell; whoever walks the rows adds the names and the row.
struct CellError: Error {
  /// Position in the table's layout.
  var column: Int
  var reason: String
}
