import CheckedNumbers
import Trace

/// What joins launches and device work where `args.correlation` is missing: the arrow that a writer draws from one to the other, or the id of
/// the framework's operator that both carry.
struct OtherLinks {
  /// A row without a correlation.
  struct Row {
    var table: KinetoBuilder.Table
    var row: Int
  }

  private var last: (row: Row, time: Int64)?
  private var byOperator: [(row: Row, operation: Int64)] = []
  private var sawCorrelation = false

  /// Takes note of a row that was just added.
  @inline(__always) mutating func note(_ table: KinetoBuilder.Table, _ row: Int, _ event: KinetoEvent) {
    if event.correlation != nil {
      (sawCorrelation, last) = (true, nil)
      return
    }
    let entry = Row(table: table, row: row)
    last = event.time.map { (entry, $0) }
    if !sawCorrelation, let operation = event.externalID, operation > 0 { byOperator.append((entry, operation)) }
  }

  /// Another kind of event came between.
  @inline(__always) mutating func forget() { last = nil }

  /// The row that an arrow ends or begins at, and its number: Kineto writes the arrow's end right behind the event it belongs to, with the
  /// same time and with the correlation as its id (pytorch/kineto, libkineto/src/output_json.cpp).
  mutating func row(ofFlow event: KinetoEvent) -> (row: Row, correlation: Int64)? {
    guard let last, let id = event.flow, event.category == .flow, event.time == last.time else { return nil }
    self.last = nil
    sawCorrelation = true
    return (last.row, id)
  }

  /// Rows with the id of their operator, where no row of the file has a correlation. Several launches of one operator share it: work joins the
  /// first of them.
  mutating func rowsByOperator() -> [(row: Row, operation: Int64)] {
    defer { byOperator = [] }
    return sawCorrelation ? [] : byOperator
  }
}
