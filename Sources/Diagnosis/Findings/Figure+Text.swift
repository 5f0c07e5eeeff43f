import CheckedNumbers

extension Figure {
  /// Value and unit in words, three significant digits: "3.7 %", "6.20 us", "1,151 requests/s", "199 MB". Its kind, source and interval
  /// are the printer's to show.
  public var text: String {
    guard value.isFinite else { return "unknown" }
    switch unit {
    case .share:
      let percent = value * 100
      // 99.2 % must not read as 99 %, nor 0.50 % as 1 %.
      let isNearAnEnd = percent.magnitude < 10 || (percent > 99 && percent < 100)
      return Self.decimal(percent, places: percent == percent.rounded() || !isNearAnEnd ? 0 : 1) + " %"
    case .bytes: return Self.prefixed(value, "B")
    case .bytesPerSecond: return Self.prefixed(value, "B/s")
    case .seconds: return Self.significant(value) + " s"
    case .milliseconds: return Self.significant(value) + " ms"
    case .microseconds: return Self.significant(value) + " us"
    case .nanoseconds: return Self.significant(value) + " ns"
    case .count, .ratio: return Self.significant(value)
    case .rows, .requestsPerSecond, .rowsPerSecond: return Self.significant(value) + " " + unit.rawValue
    }
  }

  private static func prefixed(_ value: Double, _ unit: String) -> String {
    var scaled = value
    var prefix = ""
    for next in ["k", "M", "G", "T", "P"] where scaled.magnitude >= 999.5 {
      scaled /= 1000
      prefix = next
    }
    return significant(scaled) + " " + prefix + unit
  }

  /// Three significant digits, and every digit before the point.
  private static func significant(_ value: Double) -> String {
    let magnitude = value.magnitude
    if magnitude == 0 || magnitude >= 99.95 || (value == value.rounded() && magnitude >= 10) { return decimal(value, places: 0) }
    var places = magnitude >= 9.995 ? 1 : 2
    var rest = magnitude
    while rest < 0.9995 && places < 9 {
      rest *= 10
      places += 1
    }
    return decimal(value, places: places)
  }

  /// `places` after the point, thousands grouped.
  private static func decimal(_ value: Double, places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 9e15 else { return "\(value)" }
    let digits = Array(String(UInt64(saturating: scaled)))
    let padded = [Character](repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    var whole = ""
    for (index, digit) in padded.dropLast(places).enumerated() {
      if index > 0 && (padded.count - places - index) % 3 == 0 { whole.append(",") }
      whole.append(digit)
    }
    let sign = value < 0 && scaled != 0 ? "-" : ""
    return places == 0 ? sign + whole : sign + whole + "." + String(padded.suffix(places))
  }
}
