public import JSONText

/// What the checks found, for people and for programs.
public struct RepositoryReport: Sendable {
  private let results: [RepositoryCheck.Result]

  /// Of one check or several.
  public init(_ results: [RepositoryCheck.Result]) { self.results = results }

  private var refused: Int { results.count { !$0.isAccepted } }
  private var withoutModelFile: Int { results.count { $0.isAccepted && $0.lacksModelFile } }
  private var withIgnored: Int { results.count { $0.isAccepted && $0.remarks.contains { $0.kind == .ignored } } }

  /// One line per remark, as compilers write them, so that editors and CI find the place.
  ///
  /// - Parameter quiet: leaves out what was accepted without a remark, and notes.
  public func lines(quiet: Bool) -> [String] {
    var lines: [String] = []
    for result in results {
      let shown = quiet ? result.remarks.filter { $0.kind != .note || $0.isKept } : result.remarks
      if result.isAccepted, !quiet || !shown.isEmpty { lines.append("\(result.file): accepted") }
      lines += shown.map(\.description)
    }
    let accepted = results.count - refused
    let parts =
      (withIgnored == 0 ? [] : ["\(withIgnored) with parts that are ignored"])
      + (withoutModelFile == 0 ? [] : ["\(withoutModelFile) without their model's file"])
    let some = parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
    return lines + ["\(results.count) configuration\(results.count == 1 ? "" : "s"): \(accepted) accepted\(some), \(refused) refused"]
  }

  /// `headroom.check`, as its schema says.
  ///
  /// - Parameter version: the program's.
  public func json(version: String) -> JSONValue {
    let configurations = results.map { result -> JSONValue in
      [
        "model": .string(result.model), "file": .string(result.file), "modelFile": JSONValue(result.modelFile),
        "verdict": result.isAccepted ? "accepted" : "refused",
        "remarks": .array(
          result.remarks.map { remark in
            [
              "kind": .string(remark.kind.rawValue), "file": .string(remark.file),
              "line": remark.line.map { JSONValue($0) } ?? .null, "column": remark.column.map { JSONValue($0) } ?? .null,
              "reason": .string(remark.reason),
            ]
          }), "configuration": result.isAccepted ? result.configuration ?? .null : .null,
      ]
    }
    return [
      "schema": "headroom.check/1", "headroom": .string(version), "mode": "static", "accepted": JSONValue(results.count - refused),
      "refused": JSONValue(refused), "withoutModelFile": JSONValue(withoutModelFile), "configurations": .array(configurations),
    ]
  }
}
