import CheckedNumbers

/// A page in Prometheus' text format: what a server's /metrics answers.
public struct PrometheusText: Sendable {
  /// One value.
  public struct Sample: Sendable, Hashable {
    /// Name of the metric.
    public var name: String
    /// Labels by name.
    public var labels: [String: String]
    /// The value; not a number where the page says NaN.
    public var value: Double
  }

  /// In the page's order.
  public private(set) var samples: [Sample] = []
  /// Lines that are no sample, comment or blank: their number.
  public private(set) var unreadable = 0

  /// Reads a page; lines that cannot be read are counted and left out.
  public init(_ text: String) {
    for line in text.utf8.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
      let trimmed = line.drop { $0 == 0x20 || $0 == 0x09 }
      if trimmed.isEmpty || trimmed.first == UInt8(ascii: "#") { continue }
      if let sample = Self.sample(Array(trimmed)) { samples.append(sample) } else { unreadable += 1 }
    }
  }

  private static func sample(_ line: [UInt8]) -> Sample? {
    var position = 0
    while position < line.count, line[position] != UInt8(ascii: "{"), line[position] != 0x20, line[position] != 0x09 { position += 1 }
    let name = String(decoding: line[..<position], as: UTF8.self)
    if name.isEmpty { return nil }
    var labels: [String: String] = [:]
    if position < line.count, line[position] == UInt8(ascii: "{") {
      position += 1
      while position < line.count, line[position] != UInt8(ascii: "}") {
        let keyStart = position
        while position < line.count, line[position] != UInt8(ascii: "=") { position += 1 }
        let key = String(decoding: line[keyStart..<position], as: UTF8.self).filter { $0 != "," && $0 != " " }
        position += 1
        guard position < line.count, line[position] == UInt8(ascii: "\"") else { return nil }
        position += 1
        var value: [UInt8] = []
        while position < line.count, line[position] != UInt8(ascii: "\"") {
          if line[position] == UInt8(ascii: "\\"), position + 1 < line.count {
            position += 1
            value.append(line[position] == UInt8(ascii: "n") ? UInt8(ascii: "\n") : line[position])
          } else {
            value.append(line[position])
          }
          position += 1
        }
        position += 1
        labels[key] = String(decoding: value, as: UTF8.self)
        if position < line.count, line[position] == UInt8(ascii: ",") { position += 1 }
      }
      guard position < line.count else { return nil }
      position += 1
    }
    // Behind the value may stand a time stamp.
    let rest = line[position...].split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
    guard let text = rest.first else { return nil }
    let word = String(decoding: text, as: UTF8.self)
    let value: Double? =
      switch word {
      case "NaN": .nan
      case "+Inf", "Inf": .infinity
      case "-Inf": -.infinity
      default: Double(word)
      }
    return value.map { Sample(name: name, labels: labels, value: $0) }
  }

  /// Values of a metric whose labels hold all of `matching`.
  public func values(_ name: String, _ matching: [String: String] = [:]) -> [Double] {
    samples.filter { sample in sample.name == name && matching.allSatisfy { sample.labels[$0.key] == $0.value } }.map(\.value)
  }

  /// Their sum; nil where there is none.
  public func sum(_ name: String, _ matching: [String: String] = [:]) -> Double? {
    let found = values(name, matching).filter(\.isFinite)
    return found.isEmpty ? nil : found.reduce(0, +)
  }
}
