/// A table as it stands on disk. Rows are written and read in the order of `columns`.
struct TableLayout: Sendable {
  struct Column: Sendable {
    var name: String
    /// SQLite's declared type with its constraints.
    var type: String

    /// "name" is a whole number, "name TYPE" anything else.
    init(_ text: String) {
      let parts = text.split(separator: " ", maxSplits: 1)
      name = parts.first.map(String.init) ?? ""
      type = parts.count == 2 ? String(parts[1]) : "INTEGER"
    }
  }

  let name: String
  /// What a trace keeps.
  let columns: [Column]
  /// What is read where another program wrote it, behind `columns`.
  let alsoRead: [Column]
  /// What Nsight Systems has beside them. Added as empty columns once the rows are in: SQLite reads a row that ends early as NULL, so
  /// other tools' queries find every name they ask for and no row grows.
  let others: [Column]

  init(_ name: String, _ columns: String, alsoRead: String = "", others: String = "") {
    func list(_ text: String) -> [Column] {
      text.split { $0 == "," || $0 == "\n" }.map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }.map { Column(String($0)) }
    }
    self.name = name
    self.columns = list(columns)
    self.alsoRead = list(alsoRead)
    self.others = list(others)
  }

  static func quoted(_ name: String) -> String { "\"\(name)\"" }
}
