import JSONText

extension KernelCalibration {
  /// The form `headroom calibrate` writes: every constant with its unit.
  public var json: JSONValue {
    var members: [JSONValue.Member] = [
      JSONValue.Member("schema", "headroom.constants/1"), JSONValue.Member("gpu", JSONValue(name)),
      JSONValue.Member("source", JSONValue(source)), JSONValue.Member("constants", Self.list(main.constants)),
      JSONValue.Member("ensemble", .array(main.ensemble.map(Self.list))), JSONValue.Member("errorBands", Self.numbers(main.errorBands)),
      JSONValue.Member("batchedErrorBands", Self.numbers(main.batchedErrorBands)),
      JSONValue.Member("replayGapMicroseconds", JSONValue(replayGapMicroseconds)),
    ]
    let classes = KernelClass.allCases.compactMap { kernels in
      others[kernels].map { JSONValue.Member(kernels.rawValue, Self.tree($0)) }
    }
    if !classes.isEmpty { members.append(JSONValue.Member("classes", .object(classes))) }
    if let vectors {
      members.append(
        JSONValue.Member(
          "vectors",
          [
            "fixedMicroseconds": JSONValue(vectors.fixedMicroseconds), "memoryShare": JSONValue(vectors.memoryShare),
            "fewRowsMemoryShare": JSONValue(vectors.fewRowsMemoryShare), "clocksPerDepth": JSONValue(vectors.clocksPerDepth),
          ]))
    }
    if let memory {
      members.append(
        JSONValue.Member(
          "memory",
          [
            "values": Self.numbers(memory.values), "kinds": .array(memory.kinds.map { Self.numbers($0.values) }),
            "errorBands": Self.numbers(memory.errorBands),
          ]))
    }
    if !origins.isEmpty { members.append(JSONValue.Member("calibrated", .array(origins.map(Self.tree)))) }
    return .object(members)
  }

  private static func tree(_ origin: CalibrationOrigin) -> JSONValue {
    [
      "part": .string(origin.part), "measurements": JSONValue(origin.measurements), "file": .string(origin.file),
      "date": .string(origin.date), "errorShareBefore": JSONValue(origin.errorBefore), "errorShareAfter": JSONValue(origin.errorAfter),
    ]
  }

  private static func numbers(_ values: [Double]) -> JSONValue { .array(values.map { JSONValue($0) }) }

  private static func list(_ constants: KernelConstants) -> JSONValue {
    .object(
      KernelConstants.Name.allCases.map { JSONValue.Member("\($0)", ["value": JSONValue(constants[$0]), "unit": JSONValue($0.unit)]) })
  }

  private static func tree(_ fit: KernelFit) -> JSONValue {
    [
      "source": JSONValue(fit.source), "constants": list(fit.constants), "ensemble": .array(fit.ensemble.map(list)),
      "errorBands": numbers(fit.errorBands), "batchedErrorBands": numbers(fit.batchedErrorBands),
    ]
  }

  /// Reads what `json` writes. Files written before a constant was added take its least value; classes, vectors and memory kernels may be
  /// missing, and are then those of the GPU's family.
  public init(json: JSONValue) throws(DescriptionError) {
    let reader = DescriptionReader(object: json)
    guard json["schema"]?.stringValue == "headroom.constants/1" else {
      throw DescriptionError(field: "schema", reason: "\"headroom.constants/1\" is needed; write the file with `headroom calibrate`")
    }
    var others: [KernelClass: KernelFit] = [:]
    if let classes = json["classes"] {
      guard case .object(let members) = classes else { throw DescriptionError(field: "classes", reason: "an object is needed") }
      for member in members {
        guard let kernels = KernelClass(rawValue: member.name) else {
          let known = KernelClass.allCases.map(\.rawValue).joined(separator: ", ")
          throw DescriptionError(field: "classes.\(member.name)", reason: "no such class; there are \(known)")
        }
        others[kernels] = try Self.fit(member.value, "classes.\(member.name).", member.value["source"]?.stringValue ?? "")
      }
    }
    self.init(
      name: try reader.text("gpu"), isMeasured: true, main: try Self.fit(json, "", try reader.text("source")), others: others,
      vectors: try Self.vectors(json["vectors"]), memory: try Self.memory(json["memory"]),
      replayGapMicroseconds: try reader.optional("replayGapMicroseconds", 0...10) ?? Self.usualReplayGapMicroseconds)
    for (index, entry) in (json["calibrated"]?.arrayValue ?? []).prefix(64).enumerated() {
      guard let part = entry["part"]?.stringValue, let file = entry["file"]?.stringValue, let date = entry["date"]?.stringValue,
        let before = entry["errorShareBefore"]?.doubleValue, let after = entry["errorShareAfter"]?.doubleValue,
        let count = entry["measurements"]?.doubleValue.flatMap({ Int(exactly: $0) }), before.isFinite, after.isFinite
      else {
        throw DescriptionError(
          field: "calibrated[\(index)]", reason: "part, measurements, file, date, errorShareBefore and errorShareAfter are needed")
      }
      origins.append(
        CalibrationOrigin(part: part, measurements: count, file: file, date: date, errorBefore: before, errorAfter: after))
    }
  }

  private static func fit(_ json: JSONValue, _ place: String, _ source: String) throws(DescriptionError) -> KernelFit {
    var ensemble: [KernelConstants] = []
    for (index, member) in (json["ensemble"]?.arrayValue ?? []).prefix(64).enumerated() {
      ensemble.append(try constants(member, "\(place)ensemble[\(index)]"))
    }
    let bands = try shares(json["errorBands"], "\(place)errorBands")
    let batched = try json["batchedErrorBands"].map { (value) throws(DescriptionError) in try shares(value, "\(place)batchedErrorBands") }
    return KernelFit(
      constants: try constants(json["constants"], "\(place)constants"), ensemble: ensemble, errorBands: bands, batchedErrorBands: batched,
      source: source)
  }

  private static func constants(_ value: JSONValue?, _ field: String) throws(DescriptionError) -> KernelConstants {
    var values: [Double] = []
    for name in KernelConstants.Name.allCases {
      guard let number = value?["\(name)"]?["value"]?.doubleValue else {
        guard value != nil, name.isLaterAddition else {
          throw DescriptionError(field: "\(field).\(name)", reason: "an object with a \"value\" is needed")
        }
        values.append(name.bounds.lowerBound)
        continue
      }
      guard number.isFinite else { throw DescriptionError(field: "\(field).\(name)", reason: "the value is not finite") }
      values.append(number)
    }
    guard let constants = KernelConstants(values: values) else { throw DescriptionError(field: field, reason: "values are out of range") }
    return constants
  }

  private static func shares(_ json: JSONValue?, _ field: String) throws(DescriptionError) -> [Double] {
    let bands = (json?.arrayValue ?? []).compactMap(\.doubleValue).filter { $0.isFinite && $0 >= 0 }
    if bands.count != 3 { throw DescriptionError(field: field, reason: "three shares are needed") }
    return bands
  }

  private static func vectors(_ json: JSONValue?) throws(DescriptionError) -> VectorConstants? {
    guard let json else { return nil }
    let reader = DescriptionReader(object: json)
    return VectorConstants(
      fixedMicroseconds: try reader.number("fixedMicroseconds", 0...1000), memoryShare: try reader.number("memoryShare", 0.01...2),
      fewRowsMemoryShare: try reader.number("fewRowsMemoryShare", 0.01...2), clocksPerDepth: try reader.number("clocksPerDepth", 0...1e6))
  }

  private static func memory(_ json: JSONValue?) throws(DescriptionError) -> MemoryConstants? {
    guard let json else { return nil }
    func list(_ value: JSONValue?, _ count: Int, _ field: String) throws(DescriptionError) -> [Double] {
      let numbers = (value?.arrayValue ?? []).compactMap(\.doubleValue).filter { $0.isFinite && $0 >= 0 }
      guard numbers.count == count else { throw DescriptionError(field: "memory.\(field)", reason: "\(count) numbers are needed") }
      return numbers
    }
    var kinds: [[Double]] = []
    let entries = json["kinds"]?.arrayValue ?? []
    guard entries.count == MemoryKernel.Kind.allCases.count else {
      throw DescriptionError(field: "memory.kinds", reason: "\(MemoryKernel.Kind.allCases.count) lists are needed")
    }
    for (index, entry) in entries.enumerated() { kinds.append(try list(entry, 5, "kinds[\(index)]")) }
    return MemoryConstants(try list(json["values"], 6, "values"), kinds: kinds, errorBands: try list(json["errorBands"], 3, "errorBands"))
  }
}
