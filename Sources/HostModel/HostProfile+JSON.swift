public import JSONText

/// Why a host profile could not be read.
public struct HostProfileError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was wrong, where, and what to do.
  public var description: String

  /// A reason in words.
  public init(_ description: String) { self.description = description }
}

extension HostProfile {
  /// Version of the file format.
  public static let schema = "headroom.host-profile/2"

  /// Reads a profile file's tree.
  public init(json: JSONValue) throws(HostProfileError) {
    guard json["schema"]?.stringValue == Self.schema else {
      throw HostProfileError("\"schema\" is not \"\(Self.schema)\": no host profile, or one of another version")
    }
    guard let name = json["name"]?.stringValue, !name.isEmpty else { throw HostProfileError("\"name\" is missing") }
    guard case .object(let members)? = json["entries"] else { throw HostProfileError("\"entries\" is missing or no object") }
    var entries: [HostCost: Entry] = [:]
    for member in members {
      let (key, value) = (member.name, member.value)
      guard let cost = HostCost(rawValue: key) else {
        let known = HostCost.allCases.map(\.rawValue).joined(separator: ", ")
        throw HostProfileError("entries.\(key): no such entry; there are \(known)")
      }
      guard entries[cost] == nil else { throw HostProfileError("entries.\(key): given twice") }
      guard let number = value["value"]?.doubleValue else { throw HostProfileError("entries.\(key).value: a number is missing") }
      if let unit = value["unit"]?.stringValue, unit != cost.unit.rawValue {
        throw HostProfileError("entries.\(key).unit: \"\(unit)\"; this entry is in \(cost.unit.rawValue)")
      }
      guard number.isFinite, cost.range.contains(number) else {
        let range = "\(cost.range.lowerBound) to \(cost.range.upperBound) \(cost.unit.rawValue)"
        throw HostProfileError("entries.\(key).value: \(number) is outside \(range)")
      }
      guard let source = value["source"]?.stringValue.flatMap(Source.init(rawValue:)) else {
        throw HostProfileError("entries.\(key).source: one of measured, literature, fitted, assumed is needed")
      }
      entries[cost] = Entry(number, source, value["note"]?.stringValue ?? "")
    }
    var curves: [CopyKind: CopyCurve] = [:]
    if let copies = json["copies"] {
      guard case .object(let members) = copies else { throw HostProfileError("\"copies\" is no object") }
      for member in members {
        guard let kind = CopyKind(rawValue: member.name) else {
          let known = CopyKind.allCases.map(\.rawValue).joined(separator: ", ")
          throw HostProfileError("copies.\(member.name): no such copies; there are \(known)")
        }
        guard curves[kind] == nil else { throw HostProfileError("copies.\(member.name): given twice") }
        curves[kind] = try CopyCurve(json: member.value, place: "copies.\(member.name)")
      }
    }
    self.init(name: name, about: json["about"]?.stringValue ?? "", entries: entries, copies: curves)
    if self[.clientVisitsInsideLatency].value > self[.clientVisits].value {
      throw HostProfileError("entries.clientVisitsInsideLatency: more than clientVisits")
    }
  }

  /// The file's tree, every entry stated.
  public var json: JSONValue {
    let members = HostCost.allCases.map { cost in
      let entry = self[cost]
      let value: JSONValue = [
        "value": JSONValue(entry.value), "unit": .string(cost.unit.rawValue), "source": .string(entry.source.rawValue),
        "note": .string(entry.note),
      ]
      return JSONValue.Member(cost.rawValue, value)
    }
    var file: [JSONValue.Member] = [
      JSONValue.Member("schema", .string(Self.schema)), JSONValue.Member("name", .string(name)), JSONValue.Member("about", .string(about)),
      JSONValue.Member("entries", .object(members)),
    ]
    let curves = CopyKind.allCases.compactMap { kind in copies[kind].map { JSONValue.Member(kind.rawValue, $0.json) } }
    if !curves.isEmpty { file.append(JSONValue.Member("copies", .object(curves))) }
    return .object(file)
  }
}
