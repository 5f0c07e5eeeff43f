/// A file that could not be read as a trace: which, where in it, why, what to do next.
public struct TraceImportError: Error, Equatable, CustomStringConvertible {
  /// The path as it was given.
  public var path: String
  /// Where: "byte 1234", "table CUPTI_ACTIVITY_KIND_KERNEL, row 7"; nil where it is the file as a whole.
  public var place: String?
  /// What is wrong.
  public var reason: String
  /// What to do next: a command or a sentence; nil where there is nothing to add.
  public var remedy: String?

  /// An error at a place in a file.
  public init(path: String, place: String? = nil, reason: String, remedy: String? = nil) {
    self.path = path
    self.place = place
    self.reason = reason
    self.remedy = remedy
  }

  /// A store's error, whose place is part of its words.
  init(_ error: TraceStoreError, remedy: String? = nil) {
    var place: [String] = []
    if let table = error.table { place.append("table \(table)") }
    if let column = error.column { place.append("column \(column)") }
    if let row = error.row { place.append("row \(row)") }
    self.init(path: error.path, place: place.isEmpty ? nil : place.joined(separator: ", "), reason: error.reason, remedy: remedy)
  }

  /// "run.json: byte 1234: not JSON. Export it again."
  public var description: String {
    "\(path): \(place.map { "\($0): " } ?? "")\(reason)\(remedy.map { ". \($0)" } ?? "")"
  }
}
