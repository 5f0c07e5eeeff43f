import CheckedNumbers
public import JSONText

/// A field of a JSON description that cannot be used.
public struct DescriptionError: Error, Equatable, CustomStringConvertible {
  /// The field.
  public var field: String
  /// What was wrong and what is expected.
  public var reason: String
  /// "field "sms": ...".
  public var description: String { "field \"\(field)\": \(reason)" }
}

/// Reads members of an object, naming the one that is wrong.
struct DescriptionReader {
  let object: JSONValue

  func text(_ field: String) throws(DescriptionError) -> String {
    guard let value = object[field]?.stringValue, !value.isEmpty else { throw DescriptionError(field: field, reason: "a text is needed") }
    return value
  }

  func number(_ field: String, _ range: ClosedRange<Double>) throws(DescriptionError) -> Double {
    guard let value = try optional(field, range) else { throw DescriptionError(field: field, reason: "a number is needed") }
    return value
  }

  func optional(_ field: String, _ range: ClosedRange<Double>) throws(DescriptionError) -> Double? {
    guard let value = object[field], value != .null else { return nil }
    guard let number = value.doubleValue, range.contains(number) else {
      throw DescriptionError(field: field, reason: "a number from \(range.lowerBound) to \(range.upperBound) is needed")
    }
    return number
  }

  func refuseUnknown(_ known: [String]) throws(DescriptionError) {
    for member in object.objectValue ?? [] where !known.contains(member.name) {
      throw DescriptionError(field: member.name, reason: "unknown; known are \(known.joined(separator: ", "))")
    }
  }
}

extension GPU {
  /// A user's GPU: the members of Docs/gpus.md. Unknown members are refused, since a misspelt one would be silently missing.
  public init(json: JSONValue) throws(DescriptionError) {
    let reader = DescriptionReader(object: json)
    if json.objectValue == nil { throw DescriptionError(field: "", reason: "the file must hold one object") }
    try reader.refuseUnknown([
      "name", "computeCapability", "sms", "boostMegahertz", "fp32Teraflops", "tf32Teraflops", "fp16Teraflops", "fp8Teraflops",
      "memoryGigabytes",
      "memoryGigabytesPerSecond", "l2Megabytes", "sharedKilobytesPerSM", "registersPerSM", "warpsPerSM", "blocksPerSM", "pcieGeneration",
      "boardPowerWatts", "source", "architecture", "chip", "memoryType", "family", "sourceGrade", "notes",
    ])
    let capability = try reader.number("computeCapability", 3...20)
    let major = Int(saturating: capability)
    let minor = Int(saturating: ((capability - Double(major)) * 10).rounded())
    let fp16 = try reader.optional("fp16Teraflops", 0.1...1e6)
    self.init(
      name: try reader.text("name"), architecture: json["architecture"]?.stringValue ?? "", chip: json["chip"]?.stringValue ?? "",
      computeCapability: ComputeCapability(major, minor),
      smCount: Int(saturating: try reader.number("sms", 1...100_000)), boostMegahertz: try reader.optional("boostMegahertz", 100...20_000),
      fp32Teraflops: try reader.number("fp32Teraflops", 0.01...1e6), tf32Teraflops: try reader.optional("tf32Teraflops", 0.1...1e6),
      fp16Teraflops: fp16, fp8Teraflops: try reader.optional("fp8Teraflops", 0.1...1e6),
      memoryGigabytes: try reader.number("memoryGigabytes", 0.1...1e6), memoryType: json["memoryType"]?.stringValue ?? "",
      memoryGigabytesPerSecond: try reader.number("memoryGigabytesPerSecond", 1...1e6),
      l2Megabytes: try reader.number("l2Megabytes", 0.1...1e5),
      sharedKilobytesPerSM: Int(saturating: try reader.number("sharedKilobytesPerSM", 16...4096)),
      registersPerSM: Int(saturating: try reader.optional("registersPerSM", 1024...1e7) ?? 65536),
      warpsPerSM: Int(saturating: try reader.number("warpsPerSM", 8...1024)),
      blocksPerSM: Int(saturating: try reader.number("blocksPerSM", 1...1024)),
      pcieGeneration: Int(saturating: try reader.optional("pcieGeneration", 1...10) ?? 4),
      boardPowerWatts: try reader.number("boardPowerWatts", 5...1e5),
      family: json["family"]?.stringValue.flatMap { KernelFamily(rawValue: $0) } ?? Self.family(major: major, fp16: fp16),
      sourceGrade: json["sourceGrade"]?.stringValue ?? "U",
      source: json["source"]?.stringValue ?? "user's file", notes: json["notes"]?.stringValue ?? "")
  }

  /// Everything, in the form that `init(json:)` reads.
  public var json: JSONValue {
    [
      "name": JSONValue(name), "architecture": JSONValue(architecture), "chip": JSONValue(chip),
      "computeCapability": JSONValue(Double(computeCapability.major) + Double(computeCapability.minor) / 10), "sms": JSONValue(smCount),
      "boostMegahertz": JSONValue(boostMegahertz), "fp32Teraflops": JSONValue(fp32Teraflops), "tf32Teraflops": JSONValue(tf32Teraflops),
      "fp16Teraflops": JSONValue(fp16Teraflops), "fp8Teraflops": JSONValue(fp8Teraflops), "memoryGigabytes": JSONValue(memoryGigabytes),
      "memoryType": JSONValue(memoryType), "memoryGigabytesPerSecond": JSONValue(memoryGigabytesPerSecond),
      "l2Megabytes": JSONValue(l2Megabytes),
      "sharedKilobytesPerSM": JSONValue(sharedKilobytesPerSM), "registersPerSM": JSONValue(registersPerSM),
      "warpsPerSM": JSONValue(warpsPerSM),
      "blocksPerSM": JSONValue(blocksPerSM), "pcieGeneration": JSONValue(pcieGeneration), "boardPowerWatts": JSONValue(boardPowerWatts),
      "family": JSONValue(family.rawValue), "sourceGrade": JSONValue(sourceGrade), "source": JSONValue(source), "notes": JSONValue(notes),
    ]
  }

  /// The instruction family follows from the compute capability: 9.0 has wgmma, 10.x tcgen05, others with tensor cores mma.sync.
  static func family(major: Int, fp16: Double?) -> KernelFamily {
    fp16 == nil ? .ffma : major == 9 ? .wgmma : major == 10 || major == 11 ? .tcgen05 : .mma
  }
}
